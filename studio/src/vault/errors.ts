/** Why the vault refused. Messages carry no word, key or picture. The codes are those of `safelight.errors`. */

export class VaultError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.name = 'VaultError';
  }
}

/** A sealed file cannot be opened or has a shape that is not ours. */
export class SealError extends VaultError {
  constructor(message: string) {
    super('bad-seal', message);
  }
}

/** A manifest's asset, kind, owner, nonce, hash or signature is not what was expected. */
export class ManifestError extends VaultError {
  constructor(message: string) {
    super('bad-manifest', message);
  }
}

/** The server showed an older or shorter library than this browser has seen. */
export class RollbackError extends VaultError {
  constructor(message: string) {
    super('rollback', message);
  }
}

/** A darkroom key note is unsigned, expired or signed by a key that is not pinned. */
export class KeyNoteError extends VaultError {
  constructor(message: string) {
    super('bad-key-note', message);
  }
}

/** The name or the password is wrong. Never says which. */
export class SignInError extends VaultError {
  constructor(message = 'the name or the password is wrong') {
    super('not-signed-in', message);
  }
}

/** What a person typed cannot be right: a recovery code with a wrong character, a link cut short. */
export class TypedError extends VaultError {
  constructor(message: string) {
    super('bad-request', message);
  }
}

/** The vault is locked. */
export class LockedError extends VaultError {
  constructor() {
    super('locked', 'the vault is locked');
  }
}
