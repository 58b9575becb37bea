/** What the parts of the vault share: the keys of the library that is open, and the asset keys opened with them. */
import type { Unlocked } from './calls';
import { LockedError } from './errors';
import { verificationCode, type Identity, type OwnerKeys } from './keys';
import { openEnvelope } from './request';
import type { Bytes } from './types';

export class Keyring {
  #keys: OwnerKeys | null = null;
  readonly #assets = new Map<string, Identity>();

  /** The owner's keys; throws {@link LockedError} while no library is open. */
  owner(): OwnerKeys {
    if (!this.#keys) throw new LockedError();
    return this.#keys;
  }

  open(owner: OwnerKeys): Unlocked {
    this.#keys = owner;
    const { recipient } = owner.identity;
    return { recipient, signingKey: owner.signingKey, verification: verificationCode(recipient, owner.signingKey) };
  }

  close(): void {
    this.#keys = null;
    this.#assets.clear();
  }

  /** Remembers the identity of an asset that was made here. */
  keep(asset: string, identity: Identity): void {
    this.#assets.set(asset, identity);
  }

  /** The identity of an asset, from memory or from its envelope. */
  async asset(id: string, envelope: Bytes): Promise<Identity> {
    const known = this.#assets.get(id);
    if (known) return known;
    const identity = await openEnvelope(envelope, this.owner().identity);
    this.#assets.set(id, identity);
    return identity;
  }
}
