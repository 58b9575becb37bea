/** Sharing one asset by link or by name, and opening what others shared. */
import type { OpenedAsset, ShareMade } from './calls';
import { fromBase64, sha256Hex, toBase64 } from './codec';
import { openObject } from './container';
import type { Keyring } from './keyring';
import { identitiesOf, parseIdentity } from './keys';
import type { Library } from './library';
import * as share from './share';
import type { Bytes } from './types';

export class Sharing {
  readonly #ring: Keyring;
  readonly #library: Library;

  constructor(ring: Keyring, library: Library) {
    this.#ring = ring;
    this.#library = library;
  }

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
    const { request_nonce, darkroom_key } = this.#library.entry(id);
    const { text: identity } = await this.#ring.asset(id, envelope);
    const owner = this.#ring.owner();
    const bundle = { asset: id, identity, kinds: ['full'], owner: this.#ring.namedBy(id), request_nonce, darkroom_key };
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
    return this.#openBundle(await share.openBundle(fromBase64(bundle), identitiesOf(this.#ring.owner()), senderKey), full);
  }

  async #openBundle(bundle: share.Bundle, full: string): Promise<OpenedAsset> {
    const { asset, owner, request_nonce, darkroom_key } = bundle;
    const { manifest, payload } = await openObject(fromBase64(full), parseIdentity(bundle.identity), {
      asset,
      kind: 'full',
      owner,
      request_nonce,
      darkroom_key,
    });
    return { manifest, bytes: payload };
  }
}
