/**
 * Passkeys with PRF. The PRF result is the key that unlocks the vault: it goes to the vault worker and is taken out of
 * everything that is sent to the server.
 */
import * as api from '$api/routes';
import { VaultError } from '$vault/errors';
import { vault } from '$vault/client';
import { toBase64 } from '$vault/canonical';
import { words } from '$words';
import { session } from './session.svelte';
import type { Bytes } from '$vault/types';

type Json = Record<string, unknown>;

/** Browsers give passkeys to https pages and to http://localhost only. */
export const passkeysWork = (): boolean =>
  isSecureContext &&
  typeof PublicKeyCredential === 'function' &&
  'parseCreationOptionsFromJSON' in PublicKeyCredential &&
  !/^[\d.]+$|^\[/.test(location.hostname);


async function salt(): Promise<ArrayBuffer> {
  return crypto.subtle.digest('SHA-256', new TextEncoder().encode(`safelight/prf/v1/${location.hostname}`));
}

function prfOf(credential: PublicKeyCredential): Bytes | null {
  const results = (credential.getClientExtensionResults() as { prf?: { results?: { first?: BufferSource } } }).prf?.results?.first;
  if (!results) return null;
  return results instanceof ArrayBuffer ? new Uint8Array(results) : new Uint8Array(results.buffer.slice(0) as ArrayBuffer);
}

/** The credential as the server may see it: without any PRF result. */
function sendable(credential: PublicKeyCredential): Json {
  const json = credential.toJSON() as Json;
  const { prf: _, ...extensions } = (json.clientExtensionResults ?? {}) as Json;
  return { ...json, clientExtensionResults: extensions };
}

const withPrf = (options: Json, first: ArrayBuffer): Json => ({ ...options, extensions: { ...((options.extensions as Json | undefined) ?? {}), prf: { eval: { first } } } });

async function askPrf(options: Json): Promise<{ credential: PublicKeyCredential; prf: Bytes }> {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options as unknown as PublicKeyCredentialRequestOptionsJSON);
  const credential = (await navigator.credentials.get({ publicKey: withPrf(publicKey as unknown as Json, await salt()) as unknown as PublicKeyCredentialRequestOptions })) as PublicKeyCredential | null;
  const prf = credential && prfOf(credential);
  if (!credential || !prf) throw new VaultError('passkey', words.account.passkeyNoPrf);
  return { credential, prf };
}

/** Adds a passkey that unlocks the open vault. */
export async function addPasskey(name: string): Promise<void> {
  const { ticket, options } = await api.passkeyStart();
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options as unknown as PublicKeyCredentialCreationOptionsJSON);
  const credential = (await navigator.credentials.create({
    publicKey: withPrf(publicKey as unknown as Json, await salt()) as unknown as PublicKeyCredentialCreationOptions,
  })) as PublicKeyCredential | null;
  if (!credential) throw new VaultError('passkey', words.account.passkeyNoPrf);
  let prf = prfOf(credential);
  if (!prf) {
    // Many authenticators only give a PRF result on use, not on making.
    const challenge = toBase64(crypto.getRandomValues(new Uint8Array(32))).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
    prf = (await askPrf({ challenge, rpId: location.hostname, allowCredentials: [{ type: 'public-key', id: credential.id }], userVerification: 'required' })).prf;
  }
  const file = await vault.wrapForPasskey(prf);
  await api.passkeyFinish({ ticket, name, credential: sendable(credential), file });
}

/** Signs in and unlocks with one touch. */
export async function signInWithPasskey(): Promise<void> {
  const { ticket, options } = await api.passkeyLoginStart();
  const { credential, prf } = await askPrf(options);
  const signed = await api.passkeyLoginFinish({ ticket, credential: sendable(credential) });
  for (const [method, file] of Object.entries(signed.files)) {
    if (!method.startsWith('passkey-')) continue;
    const unlocked = await vault.unlockPasskey(prf, file).catch(() => null);
    if (unlocked) return session.adoptSignedIn(signed, unlocked);
  }
  throw new VaultError('passkey', words.account.passkeyNoPrf);
}

