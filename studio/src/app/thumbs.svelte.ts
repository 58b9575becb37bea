/** Opened thumbnails of the pictures in sight: asked for in small batches, forgotten when they have scrolled away. */
import { SvelteMap, SvelteSet } from 'svelte/reactivity';
import * as api from '$api/routes';
import type { AssetInfo } from '$api/shapes';
import { fromBase64 } from '$vault/canonical';
import { vault } from '$vault/client';
import { hide, show } from './pixels';
import { session } from './session.svelte';

const AT_ONCE = 12;
const LANES = 2; // one batch is on its way while another is opened
const KEPT = 1500;

export class Thumbs {
  /** Addresses of opened thumbnails, by asset. */
  readonly urls = new SvelteMap<string, string>();
  /** What could not be opened. */
  readonly broken = new SvelteSet<string>();
  readonly #find: (id: string) => AssetInfo | undefined;
  readonly #wanted = new Set<string>();
  readonly #coming = new Set<string>();
  #lanes: Promise<void>[] = [];

  constructor(find: (id: string) => AssetInfo | undefined) {
    this.#find = find;
  }

  clear(): void {
    for (const url of this.urls.values()) hide(url);
    this.urls.clear();
    this.broken.clear();
    this.#wanted.clear();
  }

  /** These are in sight, the most wanted first. What was asked for before and has not been begun is forgotten. */
  want(ids: readonly string[]): void {
    this.#wanted.clear();
    for (const id of ids) if (!this.urls.has(id) && !this.broken.has(id) && !this.#coming.has(id)) this.#wanted.add(id);
    while (this.#lanes.length < LANES && this.#wanted.size > this.#lanes.length * AT_ONCE) {
      const lane: Promise<void> = this.#work().finally(() => (this.#lanes = this.#lanes.filter((other) => other !== lane)));
      this.#lanes.push(lane);
    }
  }

  /** Settles when nothing more is asked for. */
  async idle(): Promise<void> {
    await Promise.all(this.#lanes);
  }

  drop(id: string): void {
    hide(this.urls.get(id) ?? null);
    this.urls.delete(id);
  }

  async #work(): Promise<void> {
    while (this.#wanted.size && session.open) {
      const ids = [...this.#wanted].slice(0, AT_ONCE);
      for (const id of ids) {
        this.#wanted.delete(id);
        this.#coming.add(id);
      }
      try {
        await this.#open(ids);
      } catch {
        return; // not now: the next scroll asks again
      } finally {
        for (const id of ids) this.#coming.delete(id);
      }
    }
  }

  async #open(ids: readonly string[]): Promise<void> {
    const sealed = await api.getThumbs([...ids]);
    const batch = ids.flatMap((id) => {
      const envelope = this.#find(id)?.envelope;
      const thumb = sealed[id];
      return envelope && thumb ? [{ id, envelope: fromBase64(envelope), thumb: fromBase64(thumb) }] : [];
    });
    const opened = await vault.openThumbs(batch);
    if (!session.open) return;
    for (const one of opened) {
      if ('error' in one) this.broken.add(one.id);
      else this.urls.set(one.id, show(one.bytes, one.mediaType));
    }
    this.#trim();
  }

  #trim(): void {
    for (const id of this.urls.keys()) {
      if (this.urls.size <= KEPT) return;
      this.drop(id);
    }
  }
}
