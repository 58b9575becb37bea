/**
 * Keys that this browser keeps and nobody can copy out of it.
 *
 * The device key (opt-in, at most 7 days): a non-extractable X25519 key; vault/device-<id>.age on the server opens
 * with it. The hold: over a reload of the tab, and only then, owner.txt waits in the tab's session storage, sealed with
 * a non-extractable AES key that is used once. Closing the tab stores nothing; locking destroys both.
 */
import * as age from './age';
import { bech32Of, concat, crockford, fromBase64, random, text, toBase64, utf8 } from './codec';
import { SealError } from './errors';
import { erase, names, read, write } from './store';
import type { Bytes } from './types';

const MAX_DAYS = 7;
const HOLD = 'hold-';

interface DeviceKey {
  id: string;
  key: CryptoKey;
  until: number;
}

/** Makes the device key and seals `owner` (owner.txt) to it. */
export async function keepDevice(id: string, days: number, owner: string): Promise<Bytes> {
  const pair = (await crypto.subtle.generateKey('X25519', false, ['deriveBits'])) as CryptoKeyPair;
  const recipient = bech32Of('age', new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey)));
  const until = Date.now() + Math.min(days, MAX_DAYS) * 86_400_000;
  await write('device', { id, key: pair.privateKey, until } satisfies DeviceKey);
  return age.seal(utf8(owner), [recipient]);
}

/** The device key, if it is there and not past its time. */
export async function deviceKey(): Promise<DeviceKey | null> {
  const kept = await read<DeviceKey>('device');
  if (!kept) return null;
  if (kept.until > Date.now()) return kept;
  await erase('device');
  return null;
}

export const forgetDevice = (): Promise<unknown> => erase('device');

interface HoldKey {
  key: CryptoKey;
  made: number;
}

/** Seals owner.txt for a reload that may come. Only the sealed text leaves; it is stored only when the reload comes. */
export async function hold(owner: string): Promise<string> {
  await sweep();
  const key = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);
  const id = crockford(random(8));
  await write(HOLD + id, { key, made: Date.now() } satisfies HoldKey);
  const iv = random(12);
  const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, key, utf8(owner)));
  return `${id}.${toBase64(concat(iv, sealed))}`;
}

/** Undoes {@link hold}, once. */
export async function release(held: string): Promise<string> {
  const [id = '', sealed = ''] = held.split('.');
  const kept = await read<HoldKey>(HOLD + id);
  await erase(HOLD + id);
  if (!kept || !sealed) throw new SealError('nothing is held');
  const bytes = fromBase64(sealed);
  const opened = await crypto.subtle.decrypt({ name: 'AES-GCM', iv: bytes.subarray(0, 12) }, kept.key, bytes.subarray(12));
  return text(new Uint8Array(opened));
}

export const dropHold = (held: string): Promise<unknown> => erase(HOLD + (held.split('.')[0] ?? ''));

/** Keys whose tab was closed open nothing any more; they go after a day. */
async function sweep(): Promise<void> {
  for (const name of await names()) {
    if (!name.startsWith(HOLD)) continue;
    const kept = await read<HoldKey>(name);
    if (!kept || Date.now() - kept.made > 86_400_000) await erase(name);
  }
}
