/** Seal and open: plain age v1 files with exactly the recipients that are meant. */
import { Decrypter, Encrypter } from 'age-encryption';
import { bytesOfBech32, concat, fromHex, own, text } from './codec';
import { SealError } from './errors';
import { checkRecipient, type Identity } from './keys';
import type { Bytes } from './types';

const MAX_SEALED_BYTES = 80 * 1024 * 1024;
const MAX_HEADER_BYTES = 16 * 1024;
const INTRO = 'age-encryption.org/v1';

/** An age file that each of `recipients` opens and nobody else. */
export async function seal(data: Uint8Array, recipients: readonly string[]): Promise<Bytes> {
  if (recipients.length === 0 || new Set(recipients).size !== recipients.length) {
    throw new SealError('a file is sealed to one or more different recipients');
  }
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(checkRecipient(recipient));
  return own(await encrypter.encrypt(data));
}

/** The lines of the header, without its last newline; only the header is read, however long the file is. */
function headerLines(data: Uint8Array): string[] {
  const head = data.subarray(0, MAX_HEADER_BYTES);
  const lines: string[] = [];
  for (let at = 0; ; ) {
    const end = head.indexOf(0x0a, at);
    if (end < 0) throw new SealError('an age header is broken or too long');
    const line = String.fromCharCode(...head.subarray(at, end));
    lines.push(line);
    if (lines[0] !== INTRO) throw new SealError('not an age v1 file');
    if (line.startsWith('---')) return lines;
    at = end + 1;
  }
}

/** The types of all stanzas in the header, in order. */
export function stanzaTypes(data: Uint8Array): string[] {
  const lines = headerLines(data);
  const types: string[] = [];
  let at = 1;
  while (lines[at]?.startsWith('-> ')) {
    const words = (lines[at] ?? '').split(' ');
    if (words.some((word) => !/^[\x21-\x7e]+$/.test(word))) throw new SealError('an age header has a broken stanza');
    types.push(words[1] ?? '');
    at += 1;
    while (/^[A-Za-z0-9+/]{64}$/.test(lines[at] ?? '')) at += 1;
    if (!/^[A-Za-z0-9+/]{0,63}$/.test(lines[at] ?? '-')) throw new SealError('an age header has a broken stanza');
    at += 1;
  }
  if (!/^--- [A-Za-z0-9+/]{43}$/.test(lines[at] ?? '')) throw new SealError('an age header is broken or too long');
  return types;
}

/** Refuses anything but exactly `stanzas` X25519 readers; other stanzas must end in -grease. */
export function checkHeader(data: Uint8Array, stanzas = 1): void {
  const types = stanzaTypes(data);
  if (types.some((type) => type !== 'X25519' && !type.endsWith('-grease'))) {
    throw new SealError('a sealed file has a stanza that is not X25519');
  }
  const count = types.filter((type) => type === 'X25519').length;
  if (count !== stanzas) throw new SealError(`a sealed file has ${count} recipients where ${stanzas} are expected`);
}

const PKCS8_X25519 = fromHex('302e020100300506032b656e04220420');
const imported = new WeakMap<Identity, Promise<CryptoKey | string>>();

/** The identity as a key of the platform, which is three times as fast as script; its text where there is none. */
function native(identity: Identity): Promise<CryptoKey | string> {
  let key = imported.get(identity);
  if (!key) {
    const bytes = concat(PKCS8_X25519, bytesOfBech32('age-secret-key-', identity.text));
    key = crypto.subtle.importKey('pkcs8', bytes, 'X25519', false, ['deriveBits']).catch(() => identity.text);
    imported.set(identity, key);
  }
  return key;
}

/** What opens: one identity, several to try in turn, or a device key, a CryptoKey that cannot be copied out. */
export type Opener = Identity | readonly Identity[] | CryptoKey;

const isList = (opener: Opener): opener is readonly Identity[] => Array.isArray(opener);

/** What was sealed, if `opener` opens it. */
export async function open(data: Uint8Array, opener: Opener, recipients = 1): Promise<Bytes> {
  if (data.length > MAX_SEALED_BYTES) throw new SealError('a sealed file is over the limit');
  checkHeader(data, recipients);
  const decrypter = new Decrypter();
  for (const identity of isList(opener) ? opener : [opener]) decrypter.addIdentity('text' in identity ? await native(identity) : identity);
  try {
    return own(await decrypter.decrypt(data));
  } catch {
    throw new SealError('no identity here opens this file, or it was changed');
  }
}

/** As {@link open}, for text. */
export const openText = async (data: Uint8Array, opener: Opener): Promise<string> => text(await open(data, opener));
