/**
 * Making guesses expensive: Argon2id over what a person types, before anything else sees it. The parameters are
 * RFC 9106's second recommended option and are fixed here: no server chooses them, so no server can lower them.
 */
import { argon2id } from 'hash-wasm';
import { own, utf8 } from './codec';
import type { Bytes } from './types';

export async function stretch(typed: string, salt: Uint8Array): Promise<Bytes> {
  return own(
    await argon2id({
      password: utf8(typed.normalize('NFC')),
      salt,
      parallelism: 4,
      iterations: 3,
      memorySize: 64 * 1024,
      hashLength: 32,
      outputType: 'binary',
    }),
  );
}
