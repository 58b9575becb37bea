/** The kept pictures of whoever is signed in: what the server lists, joined with what only the vault can read. */
import { SvelteMap, SvelteSet } from 'svelte/reactivity';
import { ApiError } from '$api/http';
import * as api from '$api/routes';
import type { AssetInfo, OwnPublication, ShareInfo } from '$api/shapes';
import { vault } from '$vault/client';
import { VaultError } from '$vault/errors';
import { fromBase64, toBase64, wordsOf } from '$vault/canonical';
import type { OpenedAsset } from '$vault/calls';
import type { Bytes, IndexEntry, MediaType, Meta, Recipe } from '$vault/types';
import { convert, hide, show } from './pixels';
import { forgetHead, rememberHead, seenHead } from './remembered';
import { server } from './server.svelte';
import { session } from './session.svelte';

const THUMBS_AT_ONCE = 24; // a picture that is opened meanwhile waits for one batch at most
const THUMBS_KEPT = 1500;

export interface PublishChoice {
  caption: string;
  showName: boolean;
  remix: boolean;
}

class Library {
  assets = $state.raw<AssetInfo[]>([]);
  /** What the index says of each asset. A plain map, because 10,000 signals are slow: `version` tells of changes. */
  readonly entries = new Map<string, IndexEntry>();
  version = $state(0);
  readonly #text = new Map<string, string>();
  readonly thumbs = new SvelteMap<string, string>();
  readonly broken = new SvelteSet<string>();
  publications = $state.raw<OwnPublication[]>([]);
  loading = $state(false);
  loaded = $state(false);
  problem = $state<unknown>(null);
  #seq = 0;
  #wanted = new Set<string>();
  #fetching = false;
  #load: Promise<void> | null = null;
  #writing: Promise<unknown> = Promise.resolve();
  readonly #byId = new Map<string, AssetInfo>();

  constructor() {
    session.onLock(() => this.#clear());
  }

  #clear(): void {
    for (const url of this.thumbs.values()) hide(url);
    this.thumbs.clear();
    this.#setEntries([]);
    this.broken.clear();
    this.assets = [];
    this.publications = [];
    this.#byId.clear();
    this.#wanted.clear();
    this.loaded = false;
    this.problem = null;
    this.#seq = 0;
    this.#load = null;
  }

  find(id: string): AssetInfo | undefined {
    return this.#byId.get(id);
  }

  /** Reads the index and the list; once per opening of the vault, and again on demand. */
  load(again = false): Promise<void> {
    if (again) this.#load = null;
    this.#load ??= this.#read();
    return this.#load;
  }

  async #read(): Promise<void> {
    this.loading = true;
    this.problem = null;
    try {
      const { fleetKey } = await server.darkrooms();
      await vault.trust(fleetKey);
      // The newest pictures are shown as soon as they can be opened; the rest of a long list follows.
      const [rest] = await Promise.all([this.#readNewest(), this.#readIndex(), this.#readPublications()]);
      this.loaded = true;
      this.loading = false;
      await this.#readRest(rest);
      await this.#addMissing();
    } catch (error) {
      this.problem = error;
      this.#load = null;
    } finally {
      this.loading = false;
    }
  }

  async #readIndex(): Promise<void> {
    const account = session.account?.id ?? '';
    const kept = await api.getHead();
    const head = kept.head === null ? null : fromBase64(kept.head);
    const digests = head ? (JSON.parse(new TextDecoder().decode(head)) as { segments: string[] }).segments : [];
    const segments = await Promise.all(digests.map(async (digest) => ({ digest, sealed: await api.getSegment(digest) })));
    const { entries, seq, digest } = await vault.openIndex(head, segments, seenHead(account));
    this.#seq = seq;
    if (seq) rememberHead(account, { seq, digest });
    this.#setEntries(entries);
  }

  #setEntries(entries: readonly IndexEntry[]): void {
    this.entries.clear();
    this.#text.clear();
    for (const entry of entries) {
      this.entries.set(entry.asset, entry);
      this.#text.set(entry.asset, ` ${entry.words.join(' ')} ${entry.tags.join(' ')} ${entry.model}`.toLowerCase());
    }
    this.version += 1;
  }

  async #readNewest(): Promise<number | null> {
    const { assets, next } = await api.listAssets(null);
    this.#setAssets(assets.filter(shown));
    return next;
  }

  async #readRest(cursor: number | null): Promise<void> {
    const rest: AssetInfo[] = [];
    while (cursor !== null) {
      const { assets, next }: { assets: AssetInfo[]; next: number | null } = await api.listAssets(cursor);
      rest.push(...assets.filter(shown));
      cursor = next;
    }
    if (rest.length) this.#setAssets([...new Map([...rest, ...this.assets].map((a) => [a.id, a])).values()]);
  }

  async #readPublications(): Promise<void> {
    this.publications = await api.listPublications();
  }

  #setAssets(assets: AssetInfo[]): void {
    const sorted = [...assets].sort((a, b) => b.seq - a.seq);
    this.#byId.clear();
    for (const asset of sorted) this.#byId.set(asset.id, asset);
    this.assets = sorted;
  }

  /** Pictures that arrived without this page (another device, an API key) are checked and put into the index. */
  async #addMissing(): Promise<void> {
    const missing = this.assets.filter((asset) => !this.entries.has(asset.id));
    const gone = [...this.entries.keys()].filter((id) => !this.#byId.has(id));
    if (missing.length === 0 && gone.length === 0) return;
    const found: IndexEntry[] = [];
    for (const asset of missing) {
      try {
        found.push((await this.#openMeta(asset)).entry);
      } catch {
        this.broken.add(asset.id);
      }
    }
    if (found.length || gone.length) await this.#writeIndex(found, gone);
  }

  async #openMeta(asset: AssetInfo): Promise<{ meta: Meta; entry: IndexEntry }> {
    return vault.openMeta(asset.id, envelopeOf(asset), await api.getObject(asset.id, 'meta'));
  }

  /** Writes segments first, then the head that names them: a crash in between leaves the old head, whole. */
  #writeIndex(add: IndexEntry[], drop: string[]): Promise<void> {
    const run = async (): Promise<void> => {
      for (let tries = 0; ; tries++) {
        const after = this.#seq;
        const { head, segments, seq, digest } = await vault.updateIndex(add, drop);
        try {
          for (const segment of segments) await api.putSegment(segment.digest, segment.sealed);
          await api.putHead(toBase64(head), after);
          this.#seq = seq;
          rememberHead(session.account?.id ?? '', { seq, digest });
          const gone = new Set(drop);
          this.#setEntries([...[...this.entries.values()].filter((entry) => !gone.has(entry.asset)), ...add]);
          return;
        } catch (error) {
          await this.#readIndex(); // another device wrote first, or nothing was written: start from what is there
          if (tries >= 3 || !(error instanceof ApiError && [409, 412].includes(error.status))) throw error;
        }
      }
    };
    const turn = this.#writing.then(run, run);
    this.#writing = turn.catch(() => undefined);
    return turn;
  }

  // --- opening ---

  /** Asks for thumbnails to be opened; they appear in `thumbs`. */
  want(ids: readonly string[]): void {
    for (const id of ids) if (!this.thumbs.has(id) && !this.broken.has(id) && this.entries.has(id)) this.#wanted.add(id);
    void this.#fetchThumbs();
  }

  /** Forgets what was asked for and is no longer in sight. */
  unwant(): void {
    this.#wanted.clear();
  }

  async #fetchThumbs(): Promise<void> {
    if (this.#fetching) return;
    this.#fetching = true;
    try {
      while (this.#wanted.size && session.open) {
        const ids = [...this.#wanted].slice(0, THUMBS_AT_ONCE);
        for (const id of ids) this.#wanted.delete(id);
        const sealed = await api.getThumbs(ids);
        const batch = ids.flatMap((id) => {
          const asset = this.#byId.get(id);
          const thumb = sealed[id];
          return asset?.envelope && thumb ? [{ id, envelope: fromBase64(asset.envelope), thumb: fromBase64(thumb) }] : [];
        });
        for (const opened of await vault.openThumbs(batch)) {
          if ('error' in opened) this.broken.add(opened.id);
          else if (session.open) this.thumbs.set(opened.id, show(opened.bytes, opened.mediaType));
        }
        this.#trim();
      }
    } catch {
      // Not now: the next scroll asks again.
    } finally {
      this.#fetching = false;
    }
  }

  #trim(): void {
    for (const [id, url] of this.thumbs) {
      if (this.thumbs.size <= THUMBS_KEPT) return;
      hide(url);
      this.thumbs.delete(id);
    }
  }

  async openFull(id: string): Promise<OpenedAsset> {
    const asset = this.#byId.get(id) ?? (await api.getAsset(id));
    return vault.openFull(id, envelopeOf(asset), await api.getObject(id, 'full'));
  }

  async openMeta(id: string): Promise<Meta> {
    const asset = this.#byId.get(id) ?? (await api.getAsset(id));
    return (await this.#openMeta(asset)).meta;
  }

  /** A picture that was just made for this account: into the list and the index, and opened. */
  async adopt(id: string): Promise<OpenedAsset> {
    await this.load();
    const asset = await api.getAsset(id);
    const { entry } = await this.#openMeta(asset);
    if (!this.#byId.has(id)) this.#setAssets([asset, ...this.assets]);
    if (!this.entries.has(id)) await this.#writeIndex([entry], []);
    return this.openFull(id);
  }

  // --- changing ---

  /** Seals a picture that this page holds as the owner's own. */
  async keep(input: { recipe: Recipe; bytes: Bytes; thumb: Bytes; mediaType: MediaType; seconds: number; device: string }): Promise<string> {
    await this.load();
    const modelName = server.models.find((model) => model.digest === input.recipe.model)?.name ?? '';
    const bitmap = { width: input.recipe.width_px, height: input.recipe.height_px };
    const made = await vault.makeAsset({
      recipe: input.recipe,
      modelName,
      full: input.bytes,
      thumb: input.thumb,
      mediaType: input.mediaType,
      width: bitmap.width,
      height: bitmap.height,
      seconds: input.seconds,
      device: input.device,
    });
    const form = new FormData();
    form.set('asset', made.id);
    form.set('kind', 'picture');
    form.set('envelope', toBase64(made.envelope));
    for (const name of ['full', 'thumb', 'meta'] as const) {
      form.set(name, new Blob([made[name]], { type: 'application/age' }), name);
    }
    const asset = await api.putAsset(form);
    this.#setAssets([asset, ...this.assets]);
    await this.#writeIndex([made.entry], []);
    return made.id;
  }

  /** Makes a separate public copy: opened here, uploaded as a plain picture without its words. */
  async publish(id: string, choice: PublishChoice): Promise<OwnPublication> {
    const { manifest, bytes } = await this.openFull(id);
    const clean = await convert(bytes, manifest.media_type, manifest.media_type as MediaType, 0.95);
    const form = new FormData();
    form.set('asset', id);
    form.set('picture', new Blob([clean], { type: manifest.media_type }), 'picture');
    form.set('words', choice.caption);
    form.set('show_name', String(choice.showName));
    form.set('remix', String(choice.remix));
    const made = await api.publish(form);
    this.publications = [made, ...this.publications];
    this.#change(id, { visibility: 'public' });
    return made;
  }

  publicationOf(id: string): OwnPublication | undefined {
    return this.publications.find((publication) => publication.asset === id);
  }

  /** Deletes every public copy of an asset. The sealed original stays where it always was. */
  async unpublish(id: string): Promise<void> {
    for (const publication of this.publications.filter((p) => p.asset === id)) {
      await api.dropPublication(publication.id);
      this.publications = this.publications.filter((p) => p !== publication);
    }
    await this.refresh(id);
  }

  /** Takes back every public copy and every share: only the owner can open it then. */
  async makePrivate(id: string): Promise<void> {
    await this.unpublish(id);
    if (this.find(id)?.visibility === 'private') return;
    for (const share of await this.sharesOf(id)) await api.dropShare(share.id);
    await this.refresh(id);
  }

  async delete(id: string): Promise<void> {
    await api.dropAsset(id);
    this.#setAssets(this.assets.filter((asset) => asset.id !== id));
    this.publications = this.publications.filter((p) => p.asset !== id);
    hide(this.thumbs.get(id) ?? null);
    this.thumbs.delete(id);
  }

  /** After deletes: takes them out of the index in one write. */
  async dropFromIndex(ids: readonly string[]): Promise<void> {
    if (ids.length) await this.#writeIndex([], [...ids]);
  }

  async refresh(id: string): Promise<void> {
    const { visibility } = await api.getAsset(id);
    this.#change(id, { visibility });
  }

  #change(id: string, change: Partial<AssetInfo>): void {
    this.#setAssets(this.assets.map((asset) => (asset.id === id ? { ...asset, ...change } : asset)));
  }

  /** Ids of the assets that hold every word, or a word that starts so. At once: the words are here already. */
  search(typed: string): Set<string> {
    const wanted = wordsOf(typed).map((word) => ` ${word}`);
    const found = [...this.#text].filter(([, text]) => wanted.every((word) => text.includes(word)));
    return new Set(found.map(([id]) => id));
  }

  // --- sharing ---

  async sharesOf(id: string): Promise<ShareInfo[]> {
    return (await api.listShares()).filter((share) => share.asset === id && !share.revoked_at);
  }

  /** Makes a link; the secret is in the fragment, which no browser sends. */
  async shareByLink(id: string, days: number, passphrase: string): Promise<string> {
    const asset = await api.getAsset(id);
    const { bundle, access_sha256, passphrase_salt, secret } = await vault.shareByLink(id, envelopeOf(asset), passphrase || null);
    const made = await api.createShare({ asset: id, access_sha256, bundle, passphrase_salt, expires_days: days });
    await this.refresh(id);
    return `${location.origin}/s/${made.id}#${secret ?? ''}`;
  }

  async shareWith(id: string, person: string, days: number): Promise<void> {
    const asset = await api.getAsset(id);
    const { recipient } = await api.getPerson(person.trim().toLowerCase());
    const { bundle } = await vault.shareWith(id, envelopeOf(asset), recipient);
    await api.createShare({ asset: id, person: person.trim().toLowerCase(), bundle, expires_days: days });
    await this.refresh(id);
  }

  async revoke(id: string, share: string): Promise<void> {
    await api.dropShare(share);
    await this.refresh(id);
  }

  /** After leaving: nothing remembers that this account was here. */
  forget(account: string): void {
    forgetHead(account);
  }
}

const shown = (asset: AssetInfo): boolean => asset.kind !== 'project';

function envelopeOf(asset: AssetInfo): Bytes {
  if (!asset.envelope) throw new VaultError('not-found', 'the key of this picture is destroyed');
  return fromBase64(asset.envelope);
}

export const library = new Library();
