/** The library's index in memory: what the head names, by asset. */
import { utcDay } from './codec';
import { SEGMENT_ENTRIES, checkNotOlder, headBytes, headDigest, nextHead, openSegment, readHead, sealSegment, type Seen } from './head';
import { RollbackError } from './errors';
import type { OwnerKeys } from './keys';
import type { Bytes, IndexEntry, VaultHead } from './types';

interface Segment {
  digest: string;
  entries: IndexEntry[];
}

export interface SealedSegment {
  digest: string;
  sealed: Bytes;
}

export class LibraryIndex {
  #head: VaultHead | null = null;
  #segments: Segment[] = [];
  readonly entries = new Map<string, IndexEntry>();

  get seen(): Seen {
    return this.#head ? { seq: this.#head.seq, digest: headDigest(this.#head) } : { seq: 0, digest: '' };
  }

  /** Reads a head and its segments, all of them; throws if anything is missing, older or changed. */
  static async open(raw: Bytes | null, sealed: readonly SealedSegment[], seen: Seen, keys: OwnerKeys): Promise<LibraryIndex> {
    const index = new LibraryIndex();
    const head = raw ? readHead(raw, keys.signingKey) : null;
    checkNotOlder(head, seen);
    const given = new Map(sealed.map((segment) => [segment.digest, segment.sealed]));
    for (const digest of head?.segments ?? []) {
      const bytes = given.get(digest);
      if (!bytes) throw new RollbackError('the server left out a part of the library index');
      index.#segments.push({ digest, entries: await openSegment(bytes, digest, keys) });
    }
    index.#head = head;
    for (const segment of index.#segments) for (const entry of segment.entries) index.#note(entry);
    return index;
  }

  #note(entry: IndexEntry): void {
    this.entries.set(entry.asset, entry);
  }

  /** The next head and the segments that changed. It counts once the server has taken it. */
  async update(add: readonly IndexEntry[], drop: readonly string[], keys: OwnerKeys): Promise<{ head: Bytes; seen: Seen; segments: SealedSegment[] }> {
    const dropped = new Set([...drop, ...add.map((entry) => entry.asset)]);
    const next: { digest: string | null; entries: IndexEntry[] }[] = this.#segments.map((segment) => {
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
    for (const id of dropped) {
      this.entries.delete(id);
    }
    for (const entry of add) this.#note(entry);
    this.#segments = segments;
    this.#head = nextHead(this.#head, segments.map((s) => s.digest), this.entries.size, keys);
    return { head: headBytes(this.#head), seen: this.seen, segments: changed };
  }
}
