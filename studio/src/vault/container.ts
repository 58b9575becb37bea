/** The container inside every sealed object: manifest, payload, padding. */
import { allZero, canonical, canonicalBytes, equal, readJson, sha256HexOf, own } from './codec';
import * as age from './age';
import { ManifestError, SealError } from './errors';
import { publicHex, sign, signatureHolds, type Identity } from './keys';
import { BLOCK, END_BYTES, MAX_TAR_BYTES, entryLength, readTar, writeTar, type Entry } from './tar';
import type { Bytes, Kind, Manifest } from './types';

const KIB = 1024;
const BUCKETS = [4 * KIB, 16 * KIB, 64 * KIB];
const THUMB_STEP = 32 * KIB;
const KINDS: readonly string[] = ['full', 'thumb', 'meta', 'reply', 'preview', 'segment'];
const FIELDS = 'asset darkroom_key kind made_on media_type model owner request_nonce sha256 signature size_bytes v'.split(' ');
const SUFFIXES: Record<string, string> = {
  'image/png': '.png',
  'image/jpeg': '.jpg',
  'image/webp': '.webp',
  'application/json': '.json',
  'application/x-tar': '.tar',
};
export const NO_NONCE = '0'.repeat(32);

/** The Padme length (Nikitin et al., PETS 2019, section 4). */
export function padme(n: number): number {
  if (n < 2) return n;
  const exponent = Math.floor(Math.log2(n));
  const bits = exponent - (Math.floor(Math.log2(exponent)) + 1);
  const step = 2 ** Math.max(0, exponent === 0 ? 0 : bits);
  return Math.ceil(n / step) * step;
}

/** Length of the whole archive after padding: a multiple of 512. */
export function paddedLength(kind: Kind | 'request', n: number): number {
  if (kind === 'thumb') return Math.ceil(n / THUMB_STEP) * THUMB_STEP;
  if (kind === 'request') {
    for (const bucket of BUCKETS) if (n <= bucket) return bucket;
  }
  return Math.ceil(padme(n) / BLOCK) * BLOCK;
}

/** An archive of `entries` and a `pad` that brings it to its padded length. */
export function addPad(kind: Kind | 'request', entries: readonly Entry[]): Bytes {
  const base = entries.reduce((sum, { data }) => sum + entryLength(data.length), BLOCK + END_BYTES);
  const pad = paddedLength(kind, base) - base;
  if (base + pad > MAX_TAR_BYTES) throw new SealError('a container is over the limit');
  return writeTar([...entries, { name: 'pad', data: new Uint8Array(pad) }]);
}

function stripPad(kind: Kind | 'request', entries: Entry[]): Entry[] {
  const last = entries.at(-1);
  if (last?.name !== 'pad' || !allZero(last.data)) throw new SealError('a container has no padding of zeros');
  const total = entries.reduce((sum, { data }) => sum + entryLength(data.length), END_BYTES);
  if (paddedLength(kind, total) !== total) throw new SealError('a container is not padded as its kind must be');
  return entries.slice(0, -1);
}

/** What a reader expects; null for the nonce of a thing whose request it does not remember. */
export interface Expected {
  asset: string | null;
  kind: Kind;
  /** One recipient, or all that an owner has had. */
  owner: string | readonly string[];
  request_nonce: string | null;
  darkroom_key: string;
}

function signedBytes(manifest: Manifest): Bytes {
  const { signature: _, ...rest } = manifest;
  return canonicalBytes(rest);
}

function readManifest(raw: Uint8Array): Manifest {
  const value = readJson(raw);
  if (canonical(Object.keys(value).sort()) !== canonical(FIELDS)) throw new ManifestError('a manifest lacks a field or has one too many');
  const texts = FIELDS.filter((name) => !['v', 'asset', 'size_bytes'].includes(name));
  const odd =
    texts.some((name) => typeof value[name] !== 'string') ||
    !Number.isSafeInteger(value.size_bytes) ||
    !(value.asset === null || typeof value.asset === 'string') ||
    value.v !== 1 ||
    !KINDS.includes(value.kind as string);
  if (odd) throw new ManifestError('a manifest has a field of the wrong kind');
  const manifest = value as unknown as Manifest;
  if (!equal(canonicalBytes(manifest), raw)) throw new ManifestError('a manifest is not in canonical form');
  return manifest;
}

/** Throws, naming the first field that is not what was expected. */
export async function verify(manifest: Manifest, expected: Expected): Promise<void> {
  for (const name of ['asset', 'kind', 'owner', 'darkroom_key', 'request_nonce'] as const) {
    if (name === 'request_nonce' && expected.request_nonce === null) continue;
    const fits = name === 'owner' ? [expected.owner].flat().includes(manifest.owner) : manifest[name] === expected[name];
    if (!fits) throw new ManifestError(`a manifest has another ${name} than was expected`);
  }
  if (!(await signatureHolds(expected.darkroom_key, signedBytes(manifest), manifest.signature))) {
    throw new ManifestError("a manifest's signature is wrong");
  }
}

/** Undoes {@link pack}: three entries in order, size and hash as the manifest says. The signature is not checked. */
export async function unpack(raw: Uint8Array): Promise<{ manifest: Manifest; payload: Bytes }> {
  const entries = readTar(raw);
  const [first, second] = entries;
  if (entries.length !== 3 || first?.name !== 'manifest.json' || !second?.name.startsWith('payload')) {
    throw new SealError('a container holds something else than manifest, payload and pad');
  }
  const manifest = readManifest(first.data);
  stripPad(manifest.kind, entries);
  const payload = own(second.data);
  if (manifest.size_bytes !== payload.length) throw new ManifestError('a payload has another size than its manifest says');
  if (manifest.sha256 !== (await sha256HexOf(payload))) throw new ManifestError('a payload does not have the hash in its manifest');
  return { manifest, payload };
}

/** Opens, unpacks and verifies one sealed object. Nothing is returned before all checks. */
export async function openObject(
  sealed: Uint8Array,
  opener: Identity | readonly Identity[],
  expected: Expected,
  recipients = 1,
): Promise<{ manifest: Manifest; payload: Bytes }> {
  const found = await unpack(await age.open(sealed, opener, recipients));
  await verify(found.manifest, expected);
  return found;
}

export interface Unsigned {
  asset: string | null;
  kind: Kind;
  owner: string;
  request_nonce: string;
  made_on: string;
  media_type: string;
  model: string;
}

/** Manifest, payload and pad as one archive, signed by the key of `seed`. */
export async function pack(unsigned: Unsigned, payload: Bytes, seed: Uint8Array): Promise<Bytes> {
  const named: Manifest = {
    v: 1,
    ...unsigned,
    size_bytes: payload.length,
    sha256: await sha256HexOf(payload),
    darkroom_key: publicHex(seed),
    signature: '',
  };
  const signed: Manifest = { ...named, signature: sign(seed, signedBytes(named)) };
  return addPad(unsigned.kind, [
    { name: 'manifest.json', data: canonicalBytes(signed) },
    { name: `payload${SUFFIXES[unsigned.media_type] ?? '.bin'}`, data: payload },
  ]);
}

/** Signs, packs and seals one whole object. */
export async function sealObject(unsigned: Unsigned, payload: Bytes, seed: Uint8Array, recipients: readonly string[]): Promise<Bytes> {
  return age.seal(await pack(unsigned, payload, seed), recipients);
}
