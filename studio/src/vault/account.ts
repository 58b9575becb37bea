/** Ways in: password, recovery code, passkeys, a kept device, a reload; and keys for programs. */
import * as age from './age';
import type { Unlocked } from './calls';
import { crockford, fromBase64, random, sha256Hex, toBase64, toHex, utf8 } from './codec';
import * as device from './device';
import { LockedError, SealError, TypedError } from './errors';
import type { Keyring } from './keyring';
import * as keys from './keys';
import { makeKeyRecord } from './notes';
import * as opaque from './opaque';
import type { Bytes } from './types';

export class Account {
  readonly #ring: Keyring;
  readonly #exchanges = new Map<string, opaque.Exchange>();
  readonly #exportKeys = new Map<string, Bytes>();
  #pending: { keys: keys.OwnerKeys; code: Bytes } | null = null;
  #recovering: Bytes | null = null;

  constructor(ring: Keyring) {
    this.#ring = ring;
  }

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
    const unlocked = this.#ring.open(this.#pending.keys);
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
    return { upload, password_file: await this.#wrap(this.#ring.owner(), keys.unlockIdentity('password', exportKey)) };
  }

  newRecovery() {
    const code = keys.newRecoveryCode();
    this.#pending = { keys: this.#ring.owner(), code };
    return this.#recoveryFor(this.#ring.owner(), code);
  }

  wrapForPasskey(prf: Bytes): Promise<string> {
    return this.#wrap(this.#ring.owner(), keys.unlockIdentity('passkey', prf));
  }

  unlockPasskey(prf: Bytes, file: string): Promise<Unlocked> {
    return this.#unlock(keys.unlockIdentity('passkey', prf), file);
  }

  async deviceKeep(id: string, days: number): Promise<{ file: string }> {
    return { file: toBase64(await device.keepDevice(id, days, keys.ownerText(this.#ring.owner()))) };
  }

  async deviceUnlock(): Promise<{ id: string } | null> {
    const kept = await device.deviceKey();
    return kept && { id: kept.id };
  }

  async deviceOpen(file: string): Promise<Unlocked> {
    const kept = await device.deviceKey();
    if (!kept) throw new LockedError();
    return this.#ring.open(keys.parseOwner(await age.openText(fromBase64(file), kept.key)));
  }

  async deviceForget(): Promise<void> {
    await device.forgetDevice();
  }

  async hold(port: MessagePort): Promise<{ held: string }> {
    return { held: await device.hold(keys.ownerText(this.#ring.owner()), port) };
  }

  async resume(port: MessagePort, held: string): Promise<Unlocked> {
    return this.#ring.open(keys.parseOwner(await device.release(held, port)));
  }

  newApiKey(name: string, scopes: string[], expires: string | null) {
    const owner = this.#ring.owner();
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

  async #unlock(identity: keys.Identity, file: string): Promise<Unlocked> {
    return this.#ring.open(keys.parseOwner(await age.openText(fromBase64(file), identity)));
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

