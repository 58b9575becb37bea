/**
 * Keys that this browser keeps and nobody can copy out of it.
 *
 * The device key (opt-in, at most 7 days): a non-extractable X25519 key; vault/device-<id>.age on the server opens
 * with it. The hold: over a reload of the tab, owner.txt waits sealed with a key that only a service worker's memory has.
 */
import * as age from './age';
import { bech32Of, concat, fromBase64, random, text, toBase64, utf8 } from './codec';
import { SealError } from './errors';
import { erase, read, write } from './store';
import type { Bytes } from './types';

const MAX_DAYS = 7;

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

/** Seals owner.txt with a key that goes through `port` and nowhere else. */
export async function hold(owner: string, port: MessagePort): Promise<string> {
  const raw = random(32);
  const key = await crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['encrypt']);
  const iv = random(12);
  const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, key, utf8(owner)));
  port.postMessage(raw);
  return toBase64(concat(iv, sealed));
}

/** Undoes {@link hold} with the key that comes through `port`. */
export async function release(held: string, port: MessagePort): Promise<string> {
  const raw = await new Promise<Bytes | null>((resolve) => {
    port.onmessage = ({ data }) => resolve(data as Bytes | null);
    setTimeout(() => resolve(null), 3000);
  });
  port.close();
  if (!raw) throw new SealError('nothing is held');
  const key = await crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['decrypt']);
  const bytes = fromBase64(held);
  const opened = await crypto.subtle.decrypt({ name: 'AES-GCM', iv: bytes.subarray(0, 12) }, key, bytes.subarray(12));
  return text(new Uint8Array(opened));
}
