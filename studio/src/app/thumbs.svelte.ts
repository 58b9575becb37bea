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
  /** An asset that the index knows: only then can its thumbnail be checked. */
  readonly #find: (id: string) => AssetInfo | undefined;
  readonly #wanted = new Set<string>();
  readonly #coming = new Set<string>();
  readonly #lanes = new Set<Promise<void>>();
  #running = 0;

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
    for (const id of ids) {
      if (!this.urls.has(id) && !this.broken.has(id) && !this.#coming.has(id) && this.#find(id)) this.#wanted.add(id);
    }
    while (this.#running < LANES && this.#wanted.size > this.#running * AT_ONCE) {
      this.#running += 1;
      const lane = this.#work();
      this.#lanes.add(lane);
      void lane.finally(() => this.#lanes.delete(lane));
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
    try {
      while (this.#wanted.size && session.open) await this.#next([...this.#wanted].slice(0, AT_ONCE));
    } catch {
      // Not now: the next scroll asks again.
    } finally {
      this.#running -= 1;
    }
  }

  async #next(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      this.#wanted.delete(id);
      this.#coming.add(id);
    }
    try {
      await this.#open(ids);
    } finally {
      for (const id of ids) this.#coming.delete(id);
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
