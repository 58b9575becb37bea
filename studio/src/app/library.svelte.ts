/** The kept pictures of whoever is signed in: what the server lists, joined with what only the vault can read. */
import { tick } from 'svelte';
import { ApiError } from '$api/http';
import * as api from '$api/routes';
import type { AssetInfo, OwnPublication, ShareInfo } from '$api/shapes';
import { vault } from '$vault/client';
import { VaultError } from '$vault/errors';
import { fromBase64, toBase64 } from '$vault/canonical';
import type { OpenedAsset } from '$vault/calls';
import type { Bytes, IndexEntry, MediaType, Meta, Recipe } from '$vault/types';
import { Entries } from './entries.svelte';
import { convert } from './pixels';
import { forgetHead } from './remembered';
import { server } from './server.svelte';
import { session } from './session.svelte';
import { Thumbs } from './thumbs.svelte';

/** So many of the newest pictures fill any screen: once the index has them, the grid shows. */
const FIRST_SCREEN = 60;

export interface PublishChoice {
  caption: string;
  showName: boolean;
  remix: boolean;
}

class Library {
  assets = $state.raw<AssetInfo[]>([]);
  readonly entries = new Entries();
  readonly thumbs = new Thumbs((id) => (this.entries.has(id) ? this.#byId.get(id) : undefined));
  publications = $state.raw<OwnPublication[]>([]);
  /** The newest pictures can be shown. */
  loaded = $state(false);
  /** All of them are listed. */
  whole = $state(false);
  problem = $state<unknown>(null);
  #load: Promise<void> | null = null;
  readonly #byId = new Map<string, AssetInfo>();
  readonly #deleted = new Set<string>();

  constructor() {
    session.onLock(() => this.#clear());
  }

  #clear(): void {
    this.thumbs.clear();
    this.entries.clear();
    this.assets = [];
    this.publications = [];
    this.#byId.clear();
    this.#deleted.clear();
    this.loaded = false;
    this.whole = false;
    this.problem = null;
    this.#load = null;
  }

  find(id: string): AssetInfo | undefined {
    return this.#byId.get(id);
  }

  /** Reads the index and the newest of the list; once per opening of the vault, and again on demand. */
  load(again = false): Promise<void> {
    if (again) this.#load = null;
    this.#load ??= this.#read();
    return this.#load;
  }

  async #read(): Promise<void> {
    this.problem = null;
    try {
      const trusted = server.darkrooms().then(({ fleetKey }) => vault.trust(fleetKey));
      const newest = this.#readNewest();
      const index = this.entries.read(() => this.#showFirst());
      const [next] = await Promise.all([newest, index, trusted, this.#readPublications()]);
      if (!session.open) return;
      this.loaded = true;
      void this.#readRest(next).catch((error: unknown) => this.#failed(error));
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    if (!session.open) return;
    this.problem = error;
    this.#load = null;
  }

  /** The newest pictures are shown as soon as they can be opened, while the rest of the index is still read. */
  #showFirst(): void {
    if (this.loaded || !session.open || this.assets.length === 0) return;
    if (!this.assets.slice(0, FIRST_SCREEN).every(({ id }) => this.entries.has(id))) return;
    this.entries.version += 1;
    this.loaded = true;
  }

  async #readNewest(): Promise<number | null> {
    const { assets, next } = await api.listAssets(null);
    this.#setAssets(assets.filter(shown));
    this.#showFirst();
    return next;
  }

  /** The rest of a long list, once the pictures in sight have been opened. */
  async #readRest(cursor: number | null): Promise<void> {
    const rest: AssetInfo[] = [];
    await tick();
    await this.thumbs.idle();
    while (cursor !== null) {
      const { assets, next }: { assets: AssetInfo[]; next: number | null } = await api.listAssets(cursor);
      rest.push(...assets.filter(shown));
      cursor = next;
    }
    const unseen = rest.filter(({ id }) => !this.#byId.has(id) && !this.#deleted.has(id));
    if (unseen.length) this.#setAssets([...this.assets, ...unseen]);
    this.whole = true;
    await this.#addMissing();
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
    const gone = this.entries.ids().filter((id) => !this.#byId.has(id));
    if (missing.length === 0 && gone.length === 0) return;
    const found: IndexEntry[] = [];
    for (const asset of missing) {
      try {
        found.push((await this.#openMeta(asset)).entry);
      } catch {
        this.thumbs.broken.add(asset.id);
      }
    }
    if (found.length || gone.length) await this.entries.write(found, gone);
  }

  async #openMeta(asset: AssetInfo): Promise<{ meta: Meta; entry: IndexEntry }> {
    return vault.openMeta(asset.id, envelopeOf(asset), await api.getObject(asset.id, 'meta'));
  }

  // --- opening ---

  async openFull(id: string): Promise<OpenedAsset> {
    if (!this.entries.has(id)) await this.load();
    const asset = this.#byId.get(id) ?? (await api.getAsset(id));
    return vault.openFull(id, envelopeOf(asset), await api.getObject(id, 'full'));
  }

  async openMeta(id: string): Promise<Meta> {
    if (!this.entries.has(id)) await this.load();
    const asset = this.#byId.get(id) ?? (await api.getAsset(id));
    return (await this.#openMeta(asset)).meta;
  }

  /** A picture that was just made for this account: into the list and the index, and opened. */
  async adopt(id: string): Promise<OpenedAsset> {
    await this.load();
    const asset = await api.getAsset(id);
    const { entry } = await this.#openMeta(asset);
    if (!this.#byId.has(id)) this.#setAssets([asset, ...this.assets]);
    if (!this.entries.has(id)) await this.entries.write([entry], []);
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
    await this.entries.write([made.entry], []);
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

  /** Pictures that were made public by the darkroom that made them. */
  async hearOfPublic(ids: readonly string[]): Promise<void> {
    await this.#readPublications();
    for (const id of ids) if (this.publicationOf(id)) this.#change(id, { visibility: 'public' });
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

  /** Deletes an asset for good; one that another device has deleted already is no error. */
  async delete(id: string): Promise<void> {
    await api.dropAsset(id).catch((error: unknown) => {
      if (!(error instanceof ApiError && error.status === 404)) throw error;
    });
    this.lost(id);
  }

  /** An asset is not on the server any more. */
  lost(id: string): void {
    this.#deleted.add(id);
    this.#setAssets(this.assets.filter((asset) => asset.id !== id));
    this.publications = this.publications.filter((p) => p.asset !== id);
    this.thumbs.drop(id);
  }

  /** After deletes: takes them out of the index in one write. */
  async dropFromIndex(ids: readonly string[]): Promise<void> {
    if (ids.length) await this.entries.write([], [...ids]);
  }

  async refresh(id: string): Promise<void> {
    const { visibility } = await api.getAsset(id);
    this.#change(id, { visibility });
  }

  #change(id: string, change: Partial<AssetInfo>): void {
    this.#setAssets(this.assets.map((asset) => (asset.id === id ? { ...asset, ...change } : asset)));
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
