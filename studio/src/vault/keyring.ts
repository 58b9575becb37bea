/** What the parts of the vault share: the keys of the library that is open, and the asset keys opened with them. */
import type { Unlocked } from './calls';
import { LockedError, ManifestError } from './errors';
import { identitiesOf, verificationCode, type Identity, type OwnerKeys } from './keys';
import { openEnvelope } from './request';
import type { Bytes } from './types';

export class Keyring {
  #keys: OwnerKeys | null = null;
  readonly #assets = new Map<string, Identity>();
  readonly #named = new Map<string, string>();

  /** The owner's keys; throws {@link LockedError} while no library is open. */
  owner(): OwnerKeys {
    if (!this.#keys) throw new LockedError();
    return this.#keys;
  }

  open(owner: OwnerKeys): Unlocked {
    this.#keys = owner;
    const { recipient } = owner.identity;
    const former = owner.former.map((identity) => identity.recipient);
    return { recipient, former, signingKey: owner.signingKey, verification: verificationCode(recipient, owner.signingKey) };
  }

  close(): void {
    this.#keys = null;
    this.#assets.clear();
    this.#named.clear();
  }

  /** Remembers the identity of an asset that was made here. */
  keep(asset: string, identity: Identity): void {
    this.#assets.set(asset, identity);
  }

  /** Remembers whom the manifests of an asset name: after a change of keys, a former recipient of the owner's. */
  names(asset: string, owner: string): void {
    this.#named.set(asset, owner);
  }

  /** Whom the manifests of an asset name. */
  namedBy(asset: string): string {
    const { identity, former } = this.owner();
    const named = this.#named.get(asset) ?? (former.length === 0 ? identity.recipient : null);
    if (named === null) throw new ManifestError('a picture is opened before it is shared');
    return named;
  }

  /** The identity of an asset, from memory or from its envelope. */
  async asset(id: string, envelope: Bytes): Promise<Identity> {
    const known = this.#assets.get(id);
    if (known) return known;
    const identity = await openEnvelope(envelope, identitiesOf(this.owner()));
    this.#assets.set(id, identity);
    return identity;
  }
}
