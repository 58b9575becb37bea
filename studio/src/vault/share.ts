/** Shares: a way for somebody else to open one asset, by link or by name. */
import * as age from './age';
import { canonicalBytes, concat, equal, fromBase64Url, random, readJson, toBase64Url, utf8 } from './codec';
import { SealError, TypedError } from './errors';
import { derive, identityFromSeed, sign, signatureOk, type Identity, type OwnerKeys } from './keys';
import { stretch } from './stretch';
import type { Bytes } from './types';

/** Identity A of one asset, and what its manifest must say. */
export interface Bundle {
  v: 1;
  asset: string;
  identity: string;
  kinds: string[];
  owner: string;
  owner_signing_key: string;
  request_nonce: string;
  darkroom_key: string;
  signature: string;
}

export const newLinkSecret = (): Bytes => random(32);
export const newSalt = (): Bytes => random(16);
export const secretText = (secret: Uint8Array): string => toBase64Url(secret);

export function parseSecret(typed: string): Bytes {
  try {
    const secret = fromBase64Url(typed);
    if (secret.length === 32 && secretText(secret) === typed) return secret;
  } catch {
    // Said below, without repeating what was typed.
  }
  throw new TypedError('the link is not complete');
}

/** What opening sends to the server, which keeps only its SHA-256. */
export const accessToken = (secret: Uint8Array): Bytes => derive(secret, 'safelight/share/access/v1');

/** The identity that opens a link's bundle; a passphrase with its 16-byte salt is mixed in. */
export async function linkIdentity(secret: Uint8Array, passphrase: string | null, salt: Uint8Array | null): Promise<Identity> {
  if ((passphrase === null) !== (salt === null)) throw new SealError('a passphrase and its salt go together');
  const factor = passphrase !== null && salt !== null ? await stretch(passphrase, salt) : new Uint8Array();
  return identityFromSeed(derive(concat(secret, factor), 'safelight/share/identity/v1'));
}

const signedBytes = (bundle: Bundle): Bytes => {
  const { signature: _, ...rest } = bundle;
  return concat(utf8('safelight-share/v1\n'), canonicalBytes(rest));
};

/** Signs as the owner and seals to a link's or a person's recipient. */
export async function sealBundle(bundle: Omit<Bundle, 'signature' | 'owner_signing_key' | 'v'>, keys: OwnerKeys, recipient: string): Promise<Bytes> {
  const named: Bundle = { v: 1, ...bundle, owner_signing_key: keys.signingKey, signature: '' };
  const signed = { ...named, signature: sign(keys.signingSeed, signedBytes(named)) };
  return age.seal(canonicalBytes(signed), [recipient]);
}

/** Opens a bundle and checks its signature. */
export async function openBundle(sealed: Uint8Array, opener: age.Opener, ownerSigningKey: string | null): Promise<Bundle> {
  const raw = await age.open(sealed, opener);
  const bundle = readJson(raw) as unknown as Bundle;
  if (bundle.v !== 1 || typeof bundle.identity !== 'string' || !Array.isArray(bundle.kinds) || !equal(canonicalBytes(bundle), raw)) {
    throw new SealError("a share's bundle is not in the right form");
  }
  if (ownerSigningKey !== null && bundle.owner_signing_key !== ownerSigningKey) {
    throw new SealError("a share's bundle was made by somebody else than it says");
  }
  if (!signatureOk(bundle.owner_signing_key, signedBytes(bundle), bundle.signature)) {
    throw new SealError("a share's bundle has a wrong signature");
  }
  return bundle;
}
