/**
 * The vault itself: its parts around one keyring. Runs inside the worker; has no way to fetch and none to store but
 * device.ts.
 */
import { Account } from './account';
import type { Remote } from './calls';
import { VaultError } from './errors';
import { Jobs } from './jobs';
import { Keyring } from './keyring';
import { Library } from './library';
import { Sharing } from './sharing';

/** What the page may ask: the methods of every part. No two parts have a method of the same name. */
export type Calls = Remote<Account> & Remote<Jobs> & Remote<Library> & Remote<Sharing> & { lock(): Promise<void> };

export class Vault {
  #ring = new Keyring();
  #parts = partsOf(this.#ring);

  /** Does what the page asks, by name. */
  async call(name: string, args: unknown[]): Promise<unknown> {
    if (name === 'lock') return this.#lock();
    const part = this.#parts.find((one) => name !== 'constructor' && Object.hasOwn(Object.getPrototypeOf(one) as object, name));
    if (!part) throw new VaultError('unknown-call', 'the vault has no such call');
    return (part as unknown as Record<string, (...given: unknown[]) => unknown>)[name]?.(...args);
  }

  /** Forgets everything that was open; what still runs finds no key. */
  #lock(): void {
    this.#ring.close();
    this.#ring = new Keyring();
    this.#parts = partsOf(this.#ring);
  }
}

function partsOf(ring: Keyring) {
  const library = new Library(ring);
  return [new Account(ring), new Jobs(ring), library, new Sharing(ring, library)];
}
