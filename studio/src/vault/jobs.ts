/** Jobs: sealing what is asked of a darkroom, opening what it answers. */
import * as age from './age';
import type { OpenedPreview, OpenedReply, SealInput, SealedJob } from './calls';
import { crockford, random, sha256Hex } from './codec';
import { unpack, verify } from './container';
import { LockedError, ManifestError, VaultError } from './errors';
import type { Keyring } from './keyring';
import { newIdentity, type Identity } from './keys';
import { liveDarkrooms } from './notes';
import { costOf } from './recipe';
import { unpackReply } from './reply';
import { newNonce, newSlot, notAfter, sealRequest } from './request';
import type { Bytes } from './types';

interface OpenJob {
  identity: Identity;
  owner: string;
  nonce: string | null;
  darkrooms: string[];
}

const NOT_AFTER_MINUTES = 60;

export class Jobs {
  readonly #ring: Keyring;
  readonly #jobs = new Map<string, OpenJob>();
  readonly #tag = crockford(random(8));

  constructor(ring: Keyring) {
    this.#ring = ring;
  }

  checkNotes(notes: string[], fleetKey: string): { darkroom: string; until: string }[] {
    return liveDarkrooms(notes, fleetKey).map(({ key }) => ({ darkroom: key.darkroom, until: key.announced_until }));
  }

  async seal(input: SealInput): Promise<SealedJob> {
    const darkrooms = liveDarkrooms(input.notes, input.fleetKey).slice(0, 3);
    if (darkrooms.length === 0) throw new VaultError('bad-key-note', 'no darkroom key can be sealed to now');
    const kept = input.retention !== 'none';
    const owner = kept ? this.#ring.owner() : null;
    const slots = owner ? await Promise.all(Array.from({ length: input.recipe.count }, () => newSlot(owner.identity.recipient))) : [];
    // A kept job's reply is sealed to the owner, so that it can be opened after a reload; any other to nobody's key.
    const identity = owner?.identity ?? newIdentity();
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
        publish: input.retention === 'public',
        key_recipient: null,
        key_record: null,
        input_identities: {},
        darkroom_notes: darkrooms.map(({ note }) => note),
      },
      new Map(input.inputs.map((bytes) => [sha256Hex(bytes), bytes])),
      darkrooms.map(({ key }) => key.recipient),
    );
    for (const { slot, identity: asset } of slots) this.#ring.keep(slot.id, asset);
    const handle = crockford(random(8));
    this.#jobs.set(handle, { identity, owner: identity.recipient, nonce, darkrooms: darkrooms.map(({ key }) => key.signing_key) });
    return { handle, sealed, assets: slots.map(({ slot }) => slot.id), cost: costOf(input.recipe) };
  }

  /** A handle for a kept job that was sent before this page was loaded. */
  reopen(notes: string[], fleetKey: string): string {
    const { identity } = this.#ring.owner();
    const handle = crockford(random(8));
    const darkrooms = liveDarkrooms(notes, fleetKey).map(({ key }) => key.signing_key);
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
}
