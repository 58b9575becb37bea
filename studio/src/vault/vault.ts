/**
 * The vault itself: holds the keys of one open library and does what the page asks. Runs inside the worker; has no
 * way to fetch and none to store but device.ts.
 */
import * as age from './age';
import type { NewAsset, OpenedAsset, OpenedPreview, OpenedReply, OpenedThumb, SealInput, SealedJob, SealedThumb, ShareMade, Unlocked } from './calls';
import { crockford, fromBase64, newId, random, sha256Hex, toBase64, toHex, utcDay, utf8 } from './codec';
import { NO_NONCE, openObject, sealObject, unpack, verify } from './container';
import * as device from './device';
import { LockedError, ManifestError, SealError, TypedError, VaultError } from './errors';
import { LibraryIndex, type SealedSegment } from './index';
import * as keys from './keys';
import { makeKeyRecord, readDarkroomNote, verifyDarkroomNote } from './notes';
import * as opaque from './opaque';
import { costOf } from './recipe';
import { metaPayload, readMeta, unpackReply } from './reply';
import { newNonce, newSlot, notAfter, openEnvelope, sealEnvelope, sealRequest } from './request';
import * as share from './share';
import { wordsOf } from './words';
import type { Bytes, DarkroomKey, IndexEntry, Manifest, MediaType, Meta, Recipe } from './types';

interface OpenJob {
  identity: keys.Identity;
  owner: string;
  nonce: string | null;
  darkrooms: string[];
}

const NOT_AFTER_MINUTES = 60;

export class Vault {
  #keys: keys.OwnerKeys | null = null;
  #index = new LibraryIndex();
  #fleetKey = '';
  readonly #jobs = new Map<string, OpenJob>();
  readonly #exchanges = new Map<string, opaque.Exchange>();
  readonly #exportKeys = new Map<string, Bytes>();
  readonly #identities = new Map<string, keys.Identity>();
  #pending: { keys: keys.OwnerKeys; code: Bytes } | null = null;
  #recovering: Bytes | null = null;
  readonly #tag = crockford(random(8));

  // --- account ---

  async registerStart(name: string, password: string): Promise<{ exchange: string; request: string }> {
    const { request, exchange } = await opaque.registrationStart(name, password);
    return { exchange: this.#remember(exchange), request };
  }

  async registerFinish(exchange: string, response: string) {
    const { upload, exportKey } = await opaque.registrationFinish(this.#take(exchange), response);
    const made = { keys: keys.newOwnerKeys(), code: keys.newRecoveryCode() };
    this.#pending = made;
    return {
      upload,
      owner_recipient: made.keys.identity.recipient,
      signing_key: made.keys.signingKey,
      password_file: await this.#wrap(made.keys, keys.unlockIdentity('password', exportKey)),
      ...(await this.#recoveryFor(made.keys, made.code)),
    };
  }

  adopt(): Unlocked {
    if (!this.#pending) throw new SealError('no keys were made');
    const unlocked = this.#open(this.#pending.keys);
    return unlocked;
  }

  checkRecovery(typed: string): boolean {
    const matches = this.#pending !== null && toHex(keys.parseRecovery(typed)) === toHex(this.#pending.code);
    if (matches) this.#pending = null;
    return matches;
  }

  async loginStart(name: string, password: string): Promise<{ exchange: string; request: string }> {
    const { request, exchange } = await opaque.loginStart(name, password);
    return { exchange: this.#remember(exchange), request };
  }

  async loginFinish(exchange: string, response: string): Promise<{ finish: string }> {
    const { finish, exportKey } = await opaque.loginFinish(this.#take(exchange), response);
    this.#exportKeys.set(exchange, exportKey);
    return { finish };
  }

  async unlockPassword(exchange: string, file: string): Promise<Unlocked> {
    const exportKey = this.#exportKeys.get(exchange);
    this.#exportKeys.delete(exchange);
    if (!exportKey) throw new SealError('no sign-in is in progress');
    return this.#unlock(keys.unlockIdentity('password', exportKey), file);
  }

  async recoverStart(name: string, typed: string, password: string) {
    this.#recovering = keys.parseRecovery(typed);
    const { exchange, request } = await this.registerStart(name, password);
    return { exchange, request, token: toBase64(keys.recoveryToken(this.#recovering)) };
  }

  async recoverFinish(exchange: string, file: string, response: string) {
    if (!this.#recovering) throw new SealError('no recovery is in progress');
    const unlocked = await this.#unlock(keys.unlockIdentity('recovery', this.#recovering), file);
    this.#recovering = null;
    return { ...unlocked, ...(await this.passwordFinish(exchange, response)) };
  }

  passwordStart(name: string, password: string): Promise<{ exchange: string; request: string }> {
    return this.registerStart(name, password);
  }

  async passwordFinish(exchange: string, response: string): Promise<{ upload: string; password_file: string }> {
    const { upload, exportKey } = await opaque.registrationFinish(this.#take(exchange), response);
    return { upload, password_file: await this.#wrap(this.#owner(), keys.unlockIdentity('password', exportKey)) };
  }

  newRecovery() {
    const code = keys.newRecoveryCode();
    this.#pending = { keys: this.#owner(), code };
    return this.#recoveryFor(this.#owner(), code);
  }

  wrapForPasskey(prf: Bytes): Promise<string> {
    return this.#wrap(this.#owner(), keys.unlockIdentity('passkey', prf));
  }

  unlockPasskey(prf: Bytes, file: string): Promise<Unlocked> {
    return this.#unlock(keys.unlockIdentity('passkey', prf), file);
  }

  async deviceKeep(id: string, days: number): Promise<{ file: string }> {
    return { file: toBase64(await device.keepDevice(id, days, keys.ownerText(this.#owner()))) };
  }

  async deviceUnlock(): Promise<{ id: string } | null> {
    const kept = await device.deviceKey();
    return kept && { id: kept.id };
  }

  async deviceOpen(file: string): Promise<Unlocked> {
    const kept = await device.deviceKey();
    if (!kept) throw new LockedError();
    return this.#open(keys.parseOwner(await age.openText(fromBase64(file), kept.key)));
  }

  async deviceForget(): Promise<void> {
    await device.forgetDevice();
  }

  async hold(port: MessagePort): Promise<{ held: string }> {
    return { held: await device.hold(keys.ownerText(this.#owner()), port) };
  }

  async resume(port: MessagePort, held: string): Promise<Unlocked> {
    return this.#open(keys.parseOwner(await device.release(held, port)));
  }

  lock(): void {
    this.#keys = null;
    this.#pending = null;
    this.#recovering = null;
    this.#index = new LibraryIndex();
    for (const held of [this.#jobs, this.#exchanges, this.#exportKeys, this.#identities]) held.clear();
  }

  // --- making pictures ---

  checkNotes(notes: string[], fleetKey: string): { darkroom: string; until: string }[] {
    return this.#darkrooms(notes, fleetKey).map(({ key }) => ({ darkroom: key.darkroom, until: key.announced_until }));
  }

  async seal(input: SealInput): Promise<SealedJob> {
    const darkrooms = this.#darkrooms(input.notes, input.fleetKey).slice(0, 3);
    if (darkrooms.length === 0) throw new VaultError('bad-key-note', 'no darkroom key can be sealed to now');
    const kept = input.retention !== 'none';
    const owner = kept ? this.#owner() : null;
    const slots = owner ? await Promise.all(Array.from({ length: input.recipe.count }, () => newSlot(owner.identity.recipient))) : [];
    // A kept job's reply is sealed to the owner, so that it can be opened after a reload; any other to nobody's key.
    const identity = owner?.identity ?? keys.newIdentity();
    const nonce = newNonce();
    const sealed = await sealRequest(
      {
        v: 1,
        request_nonce: nonce,
        not_after: notAfter(new Date(), NOT_AFTER_MINUTES),
        account_tag: this.#tag,
        owner_recipient: owner?.identity.recipient ?? null,
        owner_signing_key: owner?.signingKey ?? null,
        assets: slots.map(({ slot }) => slot),
        reply_recipient: identity.recipient,
        retention: input.retention,
        recipe: input.recipe,
        format: input.format,
        previews: input.previews,
        publish: false,
        key_recipient: null,
        key_record: null,
        input_identities: {},
        darkroom_notes: darkrooms.map(({ note }) => note),
      },
      new Map(input.inputs.map((bytes) => [sha256Hex(bytes), bytes])),
      darkrooms.map(({ key }) => key.recipient),
    );
    for (const { slot, identity: asset } of slots) this.#identities.set(slot.id, asset);
    const handle = crockford(random(8));
    this.#jobs.set(handle, { identity, owner: identity.recipient, nonce, darkrooms: darkrooms.map(({ key }) => key.signing_key) });
    return { handle, sealed, assets: slots.map(({ slot }) => slot.id), cost: costOf(input.recipe) };
  }

  /** A handle for a kept job that was sent before this page was loaded. */
  reopen(notes: string[], fleetKey: string): string {
    const { identity } = this.#owner();
    const handle = crockford(random(8));
    const darkrooms = this.#darkrooms(notes, fleetKey).map(({ key }) => key.signing_key);
    this.#jobs.set(handle, { identity, owner: identity.recipient, nonce: null, darkrooms });
    return handle;
  }

  async openPreview(handle: string, sealed: Bytes): Promise<OpenedPreview> {
    const { manifest, payload } = await this.#openForJob(handle, sealed, 'preview');
    return { mediaType: manifest.media_type, bytes: payload };
  }

  async openReply(handle: string, sealed: Bytes): Promise<OpenedReply & { darkroomKey: string; nonce: string }> {
    const { manifest, payload } = await this.#openForJob(handle, sealed, 'reply');
    const { reply, pictures } = unpackReply(payload);
    return { reply, pictures: pictures.map((bytes) => new Uint8Array(bytes)), darkroomKey: manifest.darkroom_key, nonce: manifest.request_nonce };
  }

  forget(handle: string): void {
    this.#jobs.delete(handle);
  }

  async #openForJob(handle: string, sealed: Bytes, kind: 'preview' | 'reply') {
    const job = this.#jobs.get(handle);
    if (!job) throw new LockedError();
    const found = await unpack(await age.open(sealed, job.identity));
    const { darkroom_key } = found.manifest;
    if (!job.darkrooms.includes(darkroom_key)) throw new ManifestError('a manifest has another darkroom_key than was expected');
    await verify(found.manifest, { asset: null, kind, owner: job.owner, request_nonce: job.nonce, darkroom_key });
    return found;
  }

  #darkrooms(notes: string[], fleetKey: string): { note: string; key: DarkroomKey }[] {
    const now = new Date();
    const found: { note: string; key: DarkroomKey }[] = [];
    let problem: unknown = null;
    for (const note of notes) {
      try {
        found.push({ note, key: verifyDarkroomNote(note, fleetKey, now) });
      } catch (error) {
        problem = error;
      }
    }
    if (found.length === 0 && problem) throw problem;
    return found.sort((a, b) => (a.key.announced_until < b.key.announced_until ? 1 : -1));
  }

  // --- the library ---

  trust(fleetKey: string): void {
    this.#fleetKey = fleetKey;
  }

  async openIndex(head: Bytes | null, segments: SealedSegment[], seen: { seq: number; digest: string }) {
    this.#index = await LibraryIndex.open(head, segments, seen, this.#owner());
    return { ...this.#index.seen, entries: [...this.#index.entries.values()] };
  }

  async updateIndex(add: IndexEntry[], drop: string[]) {
    const { head, seen, segments } = await this.#index.update(add, drop, this.#owner());
    return { head, ...seen, segments };
  }

  async openThumbs(thumbs: SealedThumb[]): Promise<OpenedThumb[]> {
    return Promise.all(
      thumbs.map(async ({ id, envelope, thumb }) => {
        try {
          const { manifest, payload } = await this.#openAsset(id, 'thumb', envelope, thumb);
          return { id, mediaType: manifest.media_type, bytes: payload };
        } catch (error) {
          return { id, error: error instanceof VaultError ? error.code : 'bad-seal' };
        }
      }),
    );
  }

  /** Opens the meta of an asset that may not be in the index yet, and says what the index should hold of it. */
  async openMeta(id: string, envelope: Bytes, sealed: Bytes): Promise<{ meta: Meta; entry: IndexEntry }> {
    const found = await unpack(await age.open(sealed, await this.#identity(id, envelope)));
    const meta = readMeta(found.payload);
    const known = this.#index.entries.get(id);
    const darkroom_key = known?.darkroom_key ?? this.#signer(meta, found.manifest);
    const request_nonce = known?.request_nonce ?? found.manifest.request_nonce;
    await verify(found.manifest, { asset: id, kind: 'meta', owner: this.#owner().identity.recipient, request_nonce, darkroom_key });
    if (meta.asset !== id) throw new ManifestError('a meta is of another asset');
    return { meta, entry: entryOf(meta, darkroom_key, request_nonce) };
  }

  async openFull(id: string, envelope: Bytes, sealed: Bytes): Promise<OpenedAsset> {
    const { manifest, payload } = await this.#openAsset(id, 'full', envelope, sealed);
    return { manifest, bytes: payload };
  }

  /** The key that signed an asset that the index does not hold yet: the owner's, or one that the fleet announced. */
  #signer(meta: Meta, manifest: Manifest): string {
    if (manifest.darkroom_key === this.#owner().signingKey) return manifest.darkroom_key;
    if (!meta.note || !this.#fleetKey) throw new ManifestError('nobody says which darkroom made this');
    const { signing_key } = readDarkroomNote(meta.note, this.#fleetKey);
    if (signing_key !== manifest.darkroom_key) throw new ManifestError('a manifest has another darkroom_key than was expected');
    return signing_key;
  }

  async #openAsset(id: string, kind: 'full' | 'thumb', envelope: Bytes, sealed: Bytes) {
    const entry = this.#index.entries.get(id);
    if (!entry) throw new ManifestError('an asset is not in the index');
    return openObject(sealed, await this.#identity(id, envelope), {
      asset: id,
      kind,
      owner: this.#owner().identity.recipient,
      request_nonce: entry.request_nonce,
      darkroom_key: entry.darkroom_key,
    });
  }

  async #identity(id: string, envelope: Bytes): Promise<keys.Identity> {
    const known = this.#identities.get(id);
    if (known) return known;
    const identity = await openEnvelope(envelope, this.#owner().identity);
    this.#identities.set(id, identity);
    return identity;
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
    const owner = this.#owner();
    const asset = keys.newIdentity();
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
    this.#identities.set(id, asset);
    return { id, full, thumb, meta: sealedMeta, envelope, entry: entryOf(meta, owner.signingKey, NO_NONCE) };
  }

  // --- sharing ---

  async shareByLink(id: string, envelope: Bytes, passphrase: string | null): Promise<ShareMade> {
    const secret = share.newLinkSecret();
    const salt = passphrase === null ? null : share.newSalt();
    const { recipient } = await share.linkIdentity(secret, passphrase, salt);
    return {
      bundle: await this.#bundle(id, envelope, recipient),
      access_sha256: sha256Hex(share.accessToken(secret)),
      passphrase_salt: salt && toBase64(salt),
      secret: share.secretText(secret),
    };
  }

  async shareWith(id: string, envelope: Bytes, recipient: string): Promise<ShareMade> {
    return { bundle: await this.#bundle(id, envelope, recipient), access_sha256: null, passphrase_salt: null, secret: null };
  }

  async #bundle(id: string, envelope: Bytes, recipient: string): Promise<string> {
    const entry = this.#index.entries.get(id);
    if (!entry) throw new ManifestError('an asset is not in the index');
    const { text: identity } = await this.#identity(id, envelope);
    const { request_nonce, darkroom_key } = entry;
    const owner = this.#owner();
    const bundle = { asset: id, identity, kinds: ['full'], owner: owner.identity.recipient, request_nonce, darkroom_key };
    return toBase64(await share.sealBundle(bundle, owner, recipient));
  }

  shareToken(secret: string): string {
    return toBase64(share.accessToken(share.parseSecret(secret)));
  }

  async openShare(secret: string, passphrase: string | null, salt: string | null, bundle: string, full: string): Promise<OpenedAsset> {
    const identity = await share.linkIdentity(share.parseSecret(secret), passphrase, salt === null ? null : fromBase64(salt));
    return this.#openBundle(await share.openBundle(fromBase64(bundle), identity, null), full);
  }

  async openReceived(bundle: string, full: string, senderKey: string | null): Promise<OpenedAsset> {
    return this.#openBundle(await share.openBundle(fromBase64(bundle), this.#owner().identity, senderKey), full);
  }

  async #openBundle(bundle: share.Bundle, full: string): Promise<OpenedAsset> {
    const { asset, owner, request_nonce, darkroom_key } = bundle;
    const { manifest, payload } = await openObject(fromBase64(full), keys.parseIdentity(bundle.identity), {
      asset,
      kind: 'full',
      owner,
      request_nonce,
      darkroom_key,
    });
    return { manifest, bytes: payload };
  }

  // --- keys for programs ---

  newApiKey(name: string, scopes: string[], expires: string | null) {
    const owner = this.#owner();
    const key = keys.newApiSecret();
    const secret_sha256 = sha256Hex(utf8(key));
    const key_recipient = keys.keyIdentity(key).recipient;
    if (/[\r\n]/.test(name)) throw new TypedError('a name is one line');
    const record = makeKeyRecord(
      {
        name,
        owner_recipient: owner.identity.recipient,
        owner_signing_key: owner.signingKey,
        key_recipient,
        secret_sha256,
        scopes,
        expires_at: expires === null ? null : new Date(expires),
      },
      owner.signingSeed,
    );
    return { key, secret_sha256, key_recipient, record };
  }

  // --- inside ---

  #owner(): keys.OwnerKeys {
    if (!this.#keys) throw new LockedError();
    return this.#keys;
  }

  #open(owner: keys.OwnerKeys): Unlocked {
    this.#keys = owner;
    const { recipient } = owner.identity;
    return { recipient, signingKey: owner.signingKey, verification: keys.verificationCode(recipient, owner.signingKey) };
  }

  async #unlock(identity: keys.Identity, file: string): Promise<Unlocked> {
    return this.#open(keys.parseOwner(await age.openText(fromBase64(file), identity)));
  }

  async #wrap(owner: keys.OwnerKeys, unlock: keys.Identity): Promise<string> {
    return toBase64(await age.seal(utf8(keys.ownerText(owner)), [unlock.recipient]));
  }

  async #recoveryFor(owner: keys.OwnerKeys, code: Bytes) {
    return {
      code: keys.recoveryText(code),
      recovery_file: await this.#wrap(owner, keys.unlockIdentity('recovery', code)),
      recovery_token_sha256: sha256Hex(keys.recoveryToken(code)),
    };
  }

  #remember(exchange: opaque.Exchange): string {
    const handle = crockford(random(8));
    this.#exchanges.set(handle, exchange);
    return handle;
  }

  #take(handle: string): opaque.Exchange {
    const exchange = this.#exchanges.get(handle);
    this.#exchanges.delete(handle);
    if (!exchange) throw new SealError('no sign-in is in progress');
    return exchange;
  }
}

function entryOf(meta: Meta, darkroom_key: string, request_nonce: string): IndexEntry {
  return {
    asset: meta.asset,
    kind: 'picture',
    words: meta.words,
    tags: meta.tags,
    made_on: meta.made_on,
    model: meta.model_name,
    width_px: meta.width_px,
    height_px: meta.height_px,
    seed: meta.recipe.seed,
    darkroom_key,
    request_nonce,
    embedding: meta.embedding,
  };
}
