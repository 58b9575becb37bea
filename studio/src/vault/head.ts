/** The vault head and the index segments: what is in a library, in the owner's own hand. */
import { canonicalBytes, concat, equal, readJson, sha256Hex, utf8 } from './codec';
import { NO_NONCE, openObject, sealObject } from './container';
import { RollbackError, SealError } from './errors';
import { identitiesOf, recipientsOf, sign, signatureOk, type OwnerKeys } from './keys';
import type { Bytes, IndexEntry, VaultHead } from './types';

export const SEGMENT_ENTRIES = 256;
export const NO_HEAD = '0'.repeat(64);

const signedBytes = (head: VaultHead): Bytes => {
  const { signature: _, ...rest } = head;
  return concat(utf8('safelight-vault-head/v1\n'), canonicalBytes(rest));
};

export const headBytes = (head: VaultHead): Bytes => canonicalBytes(head);
export const headDigest = (head: VaultHead): string => sha256Hex(headBytes(head));

/** The signed head that follows `before`. */
export function nextHead(before: VaultHead | null, segments: string[], assetCount: number, keys: OwnerKeys): VaultHead {
  const unsigned: VaultHead = {
    v: 1,
    seq: before ? before.seq + 1 : 1,
    prev: before ? headDigest(before) : NO_HEAD,
    segments,
    asset_count: assetCount,
    signature: '',
  };
  return { ...unsigned, signature: sign(keys.signingSeed, signedBytes(unsigned)) };
}

/** A head that this owner signed; any other bytes are an error. */
export function readHead(raw: Uint8Array, signingKey: string): VaultHead {
  let head: VaultHead;
  try {
    head = readJson(raw) as unknown as VaultHead;
  } catch {
    throw new RollbackError('the vault head is not in the right form');
  }
  const whole =
    Object.keys(head).sort().join() === 'asset_count,prev,segments,seq,signature,v' &&
    head.v === 1 &&
    Number.isSafeInteger(head.seq) &&
    head.seq >= 1 &&
    Number.isSafeInteger(head.asset_count) &&
    Array.isArray(head.segments) &&
    equal(headBytes(head), raw);
  if (!whole) throw new RollbackError('the vault head is not in the right form');
  if (!signatureOk(signingKey, signedBytes(head), head.signature)) throw new RollbackError('the vault head is not signed by its owner');
  return head;
}

/** What this browser has seen before: the highest head, and nothing about what is in it. */
export interface Seen {
  seq: number;
  digest: string;
}

/** Throws if this browser has seen a later head, or another one as late. */
export function checkNotOlder(head: VaultHead | null, seen: Seen): void {
  const seq = head?.seq ?? 0;
  if (seq < seen.seq) throw new RollbackError(`the server showed library version ${seq}; this browser has seen ${seen.seq}`);
  if (!head || !seen.seq) return;
  if (seq === seen.seq && headDigest(head) !== seen.digest) throw new RollbackError(`the server showed another library version ${seq}`);
  if (seq === seen.seq + 1 && head.prev !== seen.digest) throw new RollbackError(`library version ${seq} does not follow the one seen before`);
}

/** A sealed index segment and its SHA-256. */
export async function sealSegment(entries: readonly IndexEntry[], keys: OwnerKeys, madeOn: string): Promise<{ sealed: Bytes; digest: string }> {
  if (entries.length > SEGMENT_ENTRIES) throw new SealError('an index segment holds 256 entries at most');
  const payload = canonicalBytes({ v: 1, entries });
  const sealed = await sealObject(
    {
      asset: null,
      kind: 'segment',
      owner: keys.identity.recipient,
      request_nonce: NO_NONCE,
      made_on: madeOn,
      media_type: 'application/json',
      model: '',
    },
    payload,
    keys.signingSeed,
    [keys.identity.recipient],
  );
  return { sealed, digest: sha256Hex(sealed) };
}

/** The entries of the segment that a head names by `digest`. */
export async function openSegment(sealed: Uint8Array, digest: string, keys: OwnerKeys): Promise<IndexEntry[]> {
  if (sha256Hex(sealed) !== digest) throw new RollbackError('an index segment is not the one that the vault head names');
  const { payload } = await openObject(sealed, identitiesOf(keys), {
    asset: null,
    kind: 'segment',
    owner: recipientsOf(keys),
    request_nonce: NO_NONCE,
    darkroom_key: keys.signingKey,
  });
  const value = readJson(payload);
  if (value.v !== 1 || !Array.isArray(value.entries) || value.entries.length > SEGMENT_ENTRIES) {
    throw new SealError('an index segment is not in the right form');
  }
  return value.entries as IndexEntry[];
}
