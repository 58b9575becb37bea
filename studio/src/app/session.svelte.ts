/** Who is here: nobody (a guest), somebody signed in with a locked vault, or somebody whose vault is open. */
import * as api from '$api/routes';
import type { AccountInfo, SignedIn } from '$api/shapes';
import { ApiError } from '$api/http';
import { endVault, vault } from '$vault/client';
import type { Unlocked } from '$vault/calls';
import { words } from '$words';
import { dropHold, keepHold, takeHold } from './hold';
import { news } from './news.svelte';
import { rememberSignedIn, wasSignedIn } from './remembered';

export type Asking = 'make' | 'sign-in' | 'unlock' | 'recover';
type Listener = () => void;

class Session {
  account = $state<AccountInfo | null>(null);
  open = $state(false);
  verification = $state('');
  /** Which vault dialog is shown, if any. */
  asking = $state<Asking | null>(null);
  /** True once the page knows whether somebody is signed in. */
  known = $state(false);
  /** "Stay unlocked on this device" is on. */
  staysOpen = $state(false);
  #whenOpen: Listener[] = [];
  readonly #onLock = new Set<Listener>();

  /** Runs whenever the vault locks: everything readable is dropped here. */
  onLock(listener: Listener): void {
    this.#onLock.add(listener);
  }

  /** Runs `then` once the vault is open, asking for it if need be. */
  withVault(then: Listener = () => undefined): void {
    if (this.open) return then();
    this.#whenOpen.push(then);
    this.asking = this.account ? 'unlock' : 'make';
  }

  cancelAsking(): void {
    this.asking = null;
    this.#whenOpen = [];
  }

  /** After loading the page: is somebody signed in, and may the vault open by itself? */
  async resume(): Promise<void> {
    try {
      if (!wasSignedIn()) return;
      this.account = await api.getAccount();
      await this.#openByItself();
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) rememberSignedIn(false);
      else setTimeout(() => !this.account && void this.#quietly(), 5000);
    } finally {
      this.known = true;
    }
  }

  async #quietly(): Promise<void> {
    try {
      this.account = await api.getAccount();
    } catch {
      // Still nobody, or still no connection; the page says so elsewhere.
    }
  }

  async #openByItself(): Promise<void> {
    const held = await takeHold();
    if (held) return this.#opened(held);
    const device = await vault.deviceUnlock().catch(() => null);
    if (!device) return;
    try {
      const file = await api.getVaultFile(`device-${device.id}`);
      this.#opened(await vault.deviceOpen(file));
      this.staysOpen = true;
    } catch {
      await vault.deviceForget().catch(() => undefined);
    }
  }

  #opened(unlocked: Unlocked): void {
    if (this.account && ![unlocked.recipient, ...unlocked.former].includes(this.account.owner_recipient)) {
      this.lock();
      throw new ApiError(0, 'integrity', 'the server names another key for this account', 'do not go on; tell whoever runs the server');
    }
    this.verification = unlocked.verification;
    this.open = true;
    void keepHold().catch(() => undefined);
  }

  // --- making a vault and signing in ---

  async make(name: string, password: string): Promise<{ code: string }> {
    const start = await vault.registerStart(name, password);
    const { response } = await api.registerStart(name, start.request);
    const { code, ...made } = await vault.registerFinish(start.exchange, response);
    this.#signed(await api.registerFinish({ name, ...made }));
    this.#opened(await vault.adopt());
    return { code };
  }

  async signIn(name: string, password: string): Promise<void> {
    const start = await vault.loginStart(name, password);
    const { login, response } = await api.loginStart(name, start.request);
    const { finish } = await vault.loginFinish(start.exchange, response);
    const signed = await api.loginFinish(login, finish);
    const file = signed.files.password ?? (await api.getVaultFile('password'));
    this.#signed(signed);
    this.#opened(await vault.unlockPassword(start.exchange, file));
  }

  async recover(name: string, code: string, password: string): Promise<void> {
    const start = await vault.recoverStart(name, code, password);
    const { login, response, recovery_file } = await api.recoveryStart(name, start.token, start.request);
    const { upload, password_file, ...unlocked } = await vault.recoverFinish(start.exchange, recovery_file, response);
    this.#signed(await api.recoveryFinish({ login, upload, password_file }));
    this.#opened(unlocked);
  }

  /** A fresh proof that the password is known now. */
  async proof(password: string): Promise<api.Proof> {
    const start = await vault.loginStart(this.account?.name ?? '', password);
    const { login, response } = await api.loginStart(this.account?.name ?? '', start.request);
    const { finish } = await vault.loginFinish(start.exchange, response);
    return { login, finish };
  }

  async changePassword(current: string, fresh: string): Promise<void> {
    const proof = await this.proof(current);
    const start = await vault.passwordStart(this.account?.name ?? '', fresh);
    const { response } = await api.passwordStart(start.request);
    const { upload, password_file } = await vault.passwordFinish(start.exchange, response);
    await api.passwordFinish({ upload, password_file, proof });
  }

  /** A new recovery code; the old one stops working. Needs the password, as any change of a way in. */
  async newRecoveryCode(password: string): Promise<string> {
    const proof = await this.proof(password);
    const start = await vault.passwordStart(this.account?.name ?? '', password);
    const { response } = await api.passwordStart(start.request);
    const same = await vault.passwordFinish(start.exchange, response);
    const { code, ...recovery } = await vault.newRecovery();
    await api.passwordFinish({ ...same, ...recovery, proof });
    return code;
  }

  /** Keeps a device key for up to 7 days, or destroys it. */
  async stayOpen(on: boolean): Promise<void> {
    if (on) {
      const id = crypto.randomUUID();
      const { file } = await vault.deviceKeep(id, 7);
      await api.putVaultFile(`device-${id}`, file);
    } else {
      const kept = await vault.deviceUnlock();
      await vault.deviceForget();
      if (kept) await api.dropVaultFile(`device-${kept.id}`);
    }
    this.staysOpen = on;
  }

  adoptSignedIn(signed: SignedIn, unlocked: Unlocked): void {
    this.#signed(signed);
    this.#opened(unlocked);
  }

  #signed(signed: SignedIn): void {
    this.account = signed.account;
    this.known = true;
    rememberSignedIn(true);
  }

  /** The vault is open and the dialog is done: go on with what was wanted. */
  settled(): void {
    this.asking = null;
    const waiting = this.#whenOpen;
    this.#whenOpen = [];
    for (const then of waiting) then();
  }

  // --- locking ---

  /** Forgets every key and everything that was opened. The sign-in stays. */
  lock(why: 'asked' | 'idle' | 'closed' | 'restored' = 'asked'): void {
    const was = this.open;
    this.open = false;
    this.staysOpen = false;
    this.verification = '';
    dropHold();
    void vault
      .lock()
      .then(() => vault.deviceForget())
      .catch(() => undefined)
      .finally(endVault);
    for (const listener of this.#onLock) listener();
    if (was && why === 'asked') news.tell(words.vault.lockedNow);
    if (was && why === 'idle') news.tell(words.vault.idle);
  }

  async signOut(): Promise<void> {
    this.lock('closed');
    await api.endSession('current').catch(() => undefined);
    this.account = null;
    rememberSignedIn(false);
  }

  /** The account is gone from the server: nothing of it stays here either. */
  gone(): void {
    this.lock('closed');
    this.account = null;
    rememberSignedIn(false);
  }
}

export const session = new Session();
