/** What the library's index says of each picture: read at once when the vault opens, searched here, written back. */
import { ApiError } from '$api/http';
import * as api from '$api/routes';
import { fromBase64, toBase64, wordsOf } from '$vault/canonical';
import { vault } from '$vault/client';
import type { IndexEntry } from '$vault/types';
import { rememberHead, seenHead } from './remembered';
import { session } from './session.svelte';

const TRIES = 4;

export class Entries {
  /** Tells of changes: 10,000 signals would be slow, so the map itself is a plain one. */
  version = $state(0);
  readonly #all = new Map<string, IndexEntry>();
  readonly #text = new Map<string, string>();
  #seq = 0;
  #writing: Promise<unknown> = Promise.resolve();

  get(id: string): IndexEntry | undefined {
    return this.#all.get(id);
  }

  has(id: string): boolean {
    return this.#all.has(id);
  }

  ids(): string[] {
    return [...this.#all.keys()];
  }

  clear(): void {
    this.#all.clear();
    this.#text.clear();
    this.#seq = 0;
    this.version += 1;
  }

  /**
   * Reads the head, then every segment that it names, the newest first; each is opened as soon as it is here and told
   * to `heard`. Settles once all of them are; throws if one is missing, older or changed.
   */
  async read(heard: () => void = () => undefined): Promise<void> {
    const account = session.account?.id ?? '';
    const { head } = await api.getHead();
    const { segments, seq, digest } = await vault.openHead(head === null ? null : fromBase64(head), seenHead(account));
    this.#all.clear();
    this.#text.clear();
    const take = async (segment: string): Promise<void> => {
      const entries = await vault.openSegment(segment, await api.getSegment(segment));
      if (!session.open) return; // locked meanwhile: nothing readable may come back
      this.#note(entries);
      heard();
    };
    await Promise.all(segments.toReversed().map(take));
    this.#seq = seq;
    if (seq) rememberHead(account, { seq, digest });
    this.version += 1;
  }

  #note(entries: readonly IndexEntry[]): void {
    for (const entry of entries) {
      this.#all.set(entry.asset, entry);
      this.#text.set(entry.asset, ` ${entry.words.join(' ')} ${entry.tags.join(' ')} ${entry.model}`.toLowerCase());
    }
  }

  /** Writes segments first, then the head that names them: a crash in between leaves the old head, whole. */
  write(add: IndexEntry[], drop: string[]): Promise<void> {
    const run = async (): Promise<void> => {
      for (let tries = 1; ; tries++) {
        const after = this.#seq;
        const { head, segments, seq, digest } = await vault.updateIndex(add, drop);
        try {
          for (const segment of segments) await api.putSegment(segment.digest, segment.sealed);
          await api.putHead(toBase64(head), after);
          this.#seq = seq;
          rememberHead(session.account?.id ?? '', { seq, digest });
          return this.#change(add, drop);
        } catch (error) {
          await this.read(); // another device wrote first, or nothing was written: start from what is there
          if (tries >= TRIES || !(error instanceof ApiError && [409, 412].includes(error.status))) throw error;
        }
      }
    };
    const turn = this.#writing.then(run, run);
    this.#writing = turn.catch(() => undefined);
    return turn;
  }

  #change(add: readonly IndexEntry[], drop: readonly string[]): void {
    for (const id of drop) {
      this.#all.delete(id);
      this.#text.delete(id);
    }
    this.#note(add);
    this.version += 1;
  }

  /** Ids of the pictures that hold every word, or a word that starts so. At once: the words are here already. */
  search(typed: string): Set<string> {
    const wanted = wordsOf(typed).map((word) => ` ${word}`);
    const found = new Set<string>();
    for (const [id, text] of this.#text) if (wanted.every((word) => text.includes(word))) found.add(id);
    return found;
  }
}
