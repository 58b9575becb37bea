/** The library's index in memory: what the head names, by asset. */
import { utcDay } from './codec';
import { SEGMENT_ENTRIES, checkNotOlder, headBytes, headDigest, nextHead, openSegment, readHead, sealSegment, type Seen } from './head';
import { RollbackError } from './errors';
import type { OwnerKeys } from './keys';
import type { Bytes, IndexEntry, VaultHead } from './types';

interface Segment {
  digest: string;
  /** Null until the segment has been opened. */
  entries: IndexEntry[] | null;
}

export interface SealedSegment {
  digest: string;
  sealed: Bytes;
}

export class LibraryIndex {
  #head: VaultHead | null = null;
  #segments: Segment[] = [];
  readonly entries = new Map<string, IndexEntry>();

  /** The library that a head names; throws if this browser has seen a later one. Its segments come by {@link take}. */
  static of(raw: Bytes | null, seen: Seen, keys: OwnerKeys): LibraryIndex {
    const index = new LibraryIndex();
    index.#head = raw ? readHead(raw, keys.signingKey) : null;
    checkNotOlder(index.#head, seen);
    index.#segments = (index.#head?.segments ?? []).map((digest) => ({ digest, entries: null }));
    return index;
  }

  get seen(): Seen {
    return this.#head ? { seq: this.#head.seq, digest: headDigest(this.#head) } : { seq: 0, digest: '' };
  }

  /** Digests of the segments that were not opened yet. */
  get missing(): string[] {
    return this.#segments.filter(({ entries }) => entries === null).map(({ digest }) => digest);
  }

  /** Opens one segment, which must be the one that the head names; what it holds. */
  async take(digest: string, sealed: Bytes, keys: OwnerKeys): Promise<IndexEntry[]> {
    const segment = this.#segments.find((one) => one.digest === digest);
    if (!segment) throw new RollbackError('the vault head does not name this part of the library index');
    segment.entries = await openSegment(sealed, digest, keys);
    for (const entry of segment.entries) this.entries.set(entry.asset, entry);
    return segment.entries;
  }

  /** The next head and the segments that changed. It counts once the server has taken it. */
  async update(add: readonly IndexEntry[], drop: readonly string[], keys: OwnerKeys): Promise<{ head: Bytes; seen: Seen; segments: SealedSegment[] }> {
    const whole = this.#segments.map(({ digest, entries }) => {
      if (entries === null) throw new RollbackError('a part of the library index is not here yet');
      return { digest, entries };
    });
    const dropped = new Set([...drop, ...add.map((entry) => entry.asset)]);
    const next: { digest: string | null; entries: IndexEntry[] }[] = whole.map((segment) => {
      const entries = segment.entries.filter((entry) => !dropped.has(entry.asset));
      return entries.length === segment.entries.length ? segment : { digest: null, entries };
    });
    for (const entry of add) {
      const last = next.at(-1);
      if (last && last.entries.length < SEGMENT_ENTRIES) next[next.length - 1] = { digest: null, entries: [...last.entries, entry] };
      else next.push({ digest: null, entries: [entry] });
    }
    const changed: SealedSegment[] = [];
    const segments: Segment[] = [];
    for (const { digest, entries } of next) {
      if (entries.length === 0) continue;
      if (digest !== null) segments.push({ digest, entries });
      else {
        const made = await sealSegment(entries, keys, utcDay(new Date()));
        changed.push(made);
        segments.push({ digest: made.digest, entries });
      }
    }
    for (const id of dropped) this.entries.delete(id);
    for (const entry of add) this.entries.set(entry.asset, entry);
    this.#segments = segments;
    this.#head = nextHead(this.#head, segments.map((s) => s.digest), this.entries.size, keys);
    return { head: headBytes(this.#head), seen: this.seen, segments: changed };
  }
}
