/** The library: its index, and opening and sealing what is in it. */
import * as age from './age';
import type { NewAsset, OpenedAsset, OpenedThumb, SealedThumb } from './calls';
import { newId, utcDay } from './codec';
import { NO_NONCE, openObject, sealObject, unpack, verify } from './container';
import { ManifestError, VaultError } from './errors';
import type { Seen } from './head';
import { LibraryIndex } from './index';
import type { Keyring } from './keyring';
import { newIdentity, recipientsOf } from './keys';
import { readDarkroomNote } from './notes';
import { metaPayload, readMeta } from './reply';
import { sealEnvelope } from './request';
import { wordsOf } from './words';
import type { Bytes, IndexEntry, Manifest, MediaType, Meta, Recipe } from './types';

export class Library {
  readonly #ring: Keyring;
  #index = new LibraryIndex();
  #fleetKey = '';

  constructor(ring: Keyring) {
    this.#ring = ring;
  }

  trust(fleetKey: string): void {
    this.#fleetKey = fleetKey;
  }

  /** Begins to open the library that a head names: its segments follow, in any order. */
  openHead(head: Bytes | null, seen: Seen): Seen & { segments: readonly string[] } {
    this.#index = LibraryIndex.of(head, seen, this.#ring.owner());
    return { ...this.#index.seen, segments: this.#index.missing };
  }

  /** Opens one segment that the head names; what it holds. */
  openSegment(digest: string, sealed: Bytes): Promise<IndexEntry[]> {
    return this.#index.take(digest, sealed, this.#ring.owner());
  }

  async updateIndex(add: IndexEntry[], drop: string[]) {
    const { head, seen, segments } = await this.#index.update(add, drop, this.#ring.owner());
    return { head, ...seen, segments };
  }

  /** One after the other, so that a picture that is asked for meanwhile need not wait for all of them. */
  async openThumbs(thumbs: SealedThumb[]): Promise<OpenedThumb[]> {
    const opened: OpenedThumb[] = [];
    for (const { id, envelope, thumb } of thumbs) {
      try {
        const { manifest, payload } = await this.#openAsset(id, 'thumb', envelope, thumb);
        opened.push({ id, mediaType: manifest.media_type, bytes: payload });
      } catch (error) {
        opened.push({ id, error: error instanceof VaultError ? error.code : 'bad-seal' });
      }
    }
    return opened;
  }

  /** Opens the meta of an asset that may not be in the index yet, and says what the index should hold of it. */
  async openMeta(id: string, envelope: Bytes, sealed: Bytes): Promise<{ meta: Meta; entry: IndexEntry }> {
    const found = await unpack(await age.open(sealed, await this.#ring.asset(id, envelope)));
    const meta = readMeta(found.payload);
    const known = this.#index.entries.get(id);
    const darkroom_key = known?.darkroom_key ?? this.#signer(meta, found.manifest);
    const request_nonce = known?.request_nonce ?? found.manifest.request_nonce;
    await verify(found.manifest, { asset: id, kind: 'meta', owner: recipientsOf(this.#ring.owner()), request_nonce, darkroom_key });
    this.#ring.names(id, found.manifest.owner);
    if (meta.asset !== id) throw new ManifestError('a meta is of another asset');
    return { meta, entry: entryOf(meta, darkroom_key, request_nonce) };
  }

  async openFull(id: string, envelope: Bytes, sealed: Bytes): Promise<OpenedAsset> {
    const { manifest, payload } = await this.#openAsset(id, 'full', envelope, sealed);
    return { manifest, bytes: payload };
  }

  /** The key that signed an asset that the index does not hold yet: the owner's, or one that the fleet announced. */
  #signer(meta: Meta, manifest: Manifest): string {
    if (manifest.darkroom_key === this.#ring.owner().signingKey) {
      if (manifest.request_nonce !== NO_NONCE) throw new ManifestError('an upload names a request');
      return manifest.darkroom_key;
    }
    if (!meta.note || !this.#fleetKey) throw new ManifestError('nobody says which darkroom made this');
    const { signing_key } = readDarkroomNote(meta.note, this.#fleetKey);
    if (signing_key !== manifest.darkroom_key) throw new ManifestError('a manifest has another darkroom_key than was expected');
    return signing_key;
  }

  /** What the index says of an asset; throws if it is not in there. */
  entry(id: string): IndexEntry {
    const entry = this.#index.entries.get(id);
    if (!entry) throw new ManifestError('an asset is not in the index');
    return entry;
  }

  async #openAsset(id: string, kind: 'full' | 'thumb', envelope: Bytes, sealed: Bytes) {
    const entry = this.entry(id);
    const opened = await openObject(sealed, await this.#ring.asset(id, envelope), {
      asset: id,
      kind,
      owner: recipientsOf(this.#ring.owner()),
      request_nonce: entry.request_nonce,
      darkroom_key: entry.darkroom_key,
    });
    this.#ring.names(id, opened.manifest.owner);
    return opened;
  }

  /** Seals a picture that this page holds (kept from off the record, or uploaded) as the owner's own. */
  async makeAsset(input: {
    recipe: Recipe;
    modelName: string;
    full: Bytes;
    thumb: Bytes;
    mediaType: MediaType;
    width: number;
    height: number;
    seconds: number;
    device: string;
  }): Promise<NewAsset & { entry: IndexEntry }> {
    const owner = this.#ring.owner();
    const asset = newIdentity();
    const id = newId('ast');
    const made_on = utcDay(new Date());
    const meta: Meta = {
      v: 1,
      asset: id,
      recipe: input.recipe,
      words: wordsOf(input.recipe.prompt),
      tags: [],
      made_on,
      model_name: input.modelName,
      width_px: input.width,
      height_px: input.height,
      media_type: input.mediaType,
      seconds: input.seconds,
      device: input.device,
      note: null,
      embedding: null,
    };
    const make = (kind: 'full' | 'thumb' | 'meta', payload: Bytes, media_type: string): Promise<Bytes> =>
      sealObject(
        { asset: id, kind, owner: owner.identity.recipient, request_nonce: NO_NONCE, made_on, media_type, model: input.recipe.model },
        payload,
        owner.signingSeed,
        [asset.recipient],
      );
    const [full, thumb, sealedMeta, envelope] = await Promise.all([
      make('full', input.full, input.mediaType),
      make('thumb', input.thumb, 'image/webp'),
      make('meta', metaPayload(meta), 'application/json'),
      sealEnvelope(asset, owner.identity.recipient),
    ]);
    this.#ring.keep(id, asset);
    return { id, full, thumb, meta: sealedMeta, envelope, entry: entryOf(meta, owner.signingKey, NO_NONCE) };
  }
}

function entryOf(meta: Meta, darkroom_key: string, request_nonce: string): IndexEntry {
  return {
    asset: meta.asset,
    kind: meta.recipe ? 'picture' : 'upload',
    words: meta.words,
    tags: meta.tags,
    made_on: meta.made_on,
    model: meta.model_name,
    width_px: meta.width_px,
    height_px: meta.height_px,
    seed: meta.recipe?.seed ?? 0,
    darkroom_key,
    request_nonce,
    embedding: meta.embedding,
  };
}
