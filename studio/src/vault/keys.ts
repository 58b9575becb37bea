/** Identities and what is derived from secrets. Bytes in docs/spec/keys.md. */
import { ed25519, x25519 } from '@noble/curves/ed25519.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bech32Of, bytesOfBech32, crockford, fromHex, own, random, sha256Hex, toBase64Url, toHex, uncrockford, utf8 } from './codec';
import { SealError, TypedError } from './errors';
import type { Bytes } from './types';

/** An age X25519 identity: the text opens, the recipient seals. */
export interface Identity {
  readonly text: string;
  readonly recipient: string;
}

/** Everything an owner owns: O that opens, what O was before (the newest first), and the Ed25519 seed that signs. */
export interface OwnerKeys {
  readonly identity: Identity;
  readonly former: readonly Identity[];
  readonly signingSeed: Bytes;
  readonly signingKey: string;
}

export function identityFromSeed(seed: Uint8Array): Identity {
  if (seed.length !== 32) throw new SealError('an identity needs 32 bytes');
  const secret = own(seed);
  let recipient: string | null = null;
  return {
    text: bech32Of('age-secret-key-', secret),
    // Only sealing asks for it, and it is slow to compute: a wall of pictures opens without it.
    get recipient() {
      return (recipient ??= bech32Of('age', x25519.getPublicKey(secret)));
    },
  };
}

export const newIdentity = (): Identity => identityFromSeed(random(32));

const linesOf = (file: string): string[] => file.split('\n').map((line) => line.trim()).filter((line) => line && !line.startsWith('#'));

/** Reads `AGE-SECRET-KEY-1...`; blank lines and # lines around it are skipped. */
export function parseIdentity(file: string): Identity {
  const lines = linesOf(file);
  const [only] = lines;
  if (lines.length !== 1 || only === undefined) throw new SealError('an identity file holds exactly one identity');
  return identityFromSeed(bytesOfBech32('age-secret-key-', only));
}

export function checkRecipient(recipient: string): string {
  if (recipient !== recipient.toLowerCase()) throw new SealError('not an age recipient');
  bytesOfBech32('age', recipient);
  return recipient;
}

const SIGN_LINE = '# safelight-sign: ';

export function ownerKeys(identity: Identity, signingSeed: Bytes, former: readonly Identity[] = []): OwnerKeys {
  if (signingSeed.length !== 32) throw new SealError('a signing seed has 32 bytes');
  return { identity, former, signingSeed, signingKey: publicHex(signingSeed) };
}

/** All that may open something of this owner's. */
export const identitiesOf = (keys: OwnerKeys): readonly Identity[] => [keys.identity, ...keys.former];

/** Every recipient that manifests of this owner may name. */
export const recipientsOf = (keys: OwnerKeys): readonly string[] => identitiesOf(keys).map(({ recipient }) => recipient);

export const newOwnerKeys = (): OwnerKeys => ownerKeys(newIdentity(), random(32));

/** Reads owner.txt. */
export function parseOwner(file: string): OwnerKeys {
  const seeds = file.split('\n').filter((line) => line.startsWith(SIGN_LINE));
  const [only] = seeds;
  if (seeds.length !== 1 || only === undefined) throw new SealError('an owner file has one safelight-sign line');
  const [identity, ...former] = linesOf(file).map(parseIdentity);
  if (!identity) throw new SealError('an owner file holds no identity');
  return ownerKeys(identity, fromHex(only.slice(SIGN_LINE.length).trim()), former);
}

/** owner.txt: an age identity file that also carries the signing seed as a comment. */
export const ownerText = (keys: OwnerKeys): string =>
  `${keys.identity.text}\n${SIGN_LINE}${toHex(keys.signingSeed)}\n${keys.former.map(({ text }) => `${text}\n`).join('')}`;

export const publicHex = (seed: Uint8Array): string => toHex(ed25519.getPublicKey(seed));
export const sign = (seed: Uint8Array, message: Uint8Array): string => toHex(ed25519.sign(message, seed));

export function signatureOk(publicKey: string, message: Uint8Array, signature: string): boolean {
  try {
    return ed25519.verify(fromHex(signature), message, fromHex(publicKey), { zip215: false });
  } catch {
    return false;
  }
}

/** HKDF-SHA256 with an empty salt and `label` as info. */
export const derive = (secret: Uint8Array, label: string, length = 32): Bytes =>
  own(hkdf(sha256, secret, undefined, utf8(label), length));

const nativeKeys = new Map<string, Promise<CryptoKey | null>>();

/** As {@link signatureOk}, by the platform where it can: ten times as fast, for walls of thumbnails. */
export async function signatureHolds(publicKey: string, message: Bytes, signature: string): Promise<boolean> {
  let key = nativeKeys.get(publicKey);
  if (!key) {
    key = (async () => crypto.subtle.importKey('raw', fromHex(publicKey), 'Ed25519', false, ['verify']))().catch(() => null);
    nativeKeys.set(publicKey, key);
  }
  const found = await key;
  if (!found || !/^[0-9a-f]{128}$/.test(signature)) return signatureOk(publicKey, message, signature);
  return crypto.subtle.verify('Ed25519', found, fromHex(signature), message);
}

export type Method = 'password' | 'passkey' | 'recovery';

/** The identity U that opens vault/<method>.age. */
export const unlockIdentity = (method: Method, secret: Uint8Array): Identity =>
  identityFromSeed(derive(secret, `safelight/unlock/${method}/v1`));

/** K, the identity of an API key: opens what the key made. */
export const keyIdentity = (secret: string): Identity => identityFromSeed(derive(utf8(secret), 'safelight/api-key/v1'));

export const newApiSecret = (): string => `sl_${toBase64Url(random(32))}`;

export const newRecoveryCode = (): Bytes => random(20);

/** 32 bytes that prove the recovery code to the server, which keeps only their SHA-256. */
export const recoveryToken = (code: Uint8Array): Bytes => derive(code, 'safelight/recovery-token/v1');

const groups = (letters: string): string => (letters.match(/.{4}/g) ?? []).join('-');

/** Eight groups of four Crockford letters. */
export const recoveryText = (code: Uint8Array): string => groups(crockford(code).toUpperCase());

/** Reads a typed code: case, spaces and dashes do not matter; O is 0, I and L are 1. */
export function parseRecovery(typed: string): Bytes {
  const letters = typed.toUpperCase().replace(/[\s-]/g, '').replaceAll('O', '0').replace(/[IL]/g, '1');
  const code = letters.length === 32 ? uncrockford(letters) : null;
  if (code?.length !== 20) throw new TypedError('the recovery code has a wrong or missing character');
  return code;
}

/** Six groups of four letters by which two people check that they hold the same keys. */
export function verificationCode(recipient: string, signingKey: string): string {
  const digest = fromHex(sha256Hex(utf8(`safelight-keys/v1\n${recipient}\n${signingKey}\n`)));
  return groups(crockford(digest.subarray(0, 15)).toUpperCase());
}

