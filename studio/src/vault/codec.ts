/** Text forms of bytes, canonical JSON and digests: equal values have equal bytes in Python and TypeScript. */
import { sha256 } from '@noble/hashes/sha2.js';
import { bech32 } from '@scure/base';
import { SealError } from './errors';
import type { Bytes } from './types';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export const utf8 = (text: string): Bytes => encoder.encode(text) as Bytes;
export const text = (bytes: Uint8Array): string => decoder.decode(bytes);

/** Whether every byte is zero. A plain loop: it runs over the padding of everything that is opened. */
export function allZero(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return false;
  return true;
}

/** A copy with its own buffer, as the web platform's calls want it. */
export const own = (bytes: Uint8Array): Bytes => new Uint8Array(bytes);

export function concat(...parts: Uint8Array[]): Bytes {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let different = 0;
  for (let i = 0; i < a.length; i++) different |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return different === 0;
}

export function toHex(bytes: Uint8Array): string {
  let out = '';
  for (const byte of bytes) out += byte.toString(16).padStart(2, '0');
  return out;
}

export function fromHex(hex: string): Bytes {
  if (hex.length % 2 || /[^0-9a-f]/.test(hex)) throw new SealError('not hexadecimal');
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}

export function toBase64(bytes: Uint8Array): string {
  let out = '';
  for (let i = 0; i < bytes.length; i += 0x8000) out += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(out);
}

const platform = (Uint8Array as unknown as { fromBase64?: (value: string) => Bytes }).fromBase64;

export function fromBase64(value: string): Bytes {
  try {
    if (platform) return platform(value);
    const binary = atob(value);
    const out = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) out[i] = binary.charCodeAt(i);
    return out;
  } catch {
    throw new SealError('not base64');
  }
}

export const toBase64Url = (bytes: Uint8Array): string =>
  toBase64(bytes).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');

export function fromBase64Url(value: string): Bytes {
  if (/[^A-Za-z0-9_-]/.test(value)) throw new SealError('not base64url');
  return fromBase64(value.replaceAll('-', '+').replaceAll('_', '/') + '='.repeat((4 - (value.length % 4)) % 4));
}

export const sha256Hex = (bytes: Uint8Array): string => toHex(sha256(bytes));

/** The platform's SHA-256: much faster than script for whole pictures. */
export async function sha256HexOf(bytes: Bytes): Promise<string> {
  return toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
}

/** RFC 8785. JSON.stringify already writes numbers and strings as the RFC asks; only the order is ours. */
export function canonical(value: unknown): string {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new SealError('a number is not finite');
    return JSON.stringify(value);
  }
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new SealError('a text holds half a character');
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value === 'object') {
    const entries = Object.entries(value).filter(([, v]) => v !== undefined);
    entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${entries.map(([k, v]) => `${JSON.stringify(k)}:${canonical(v)}`).join(',')}}`;
  }
  throw new SealError('a value has no JSON form');
}

export const canonicalBytes = (value: unknown): Bytes => utf8(canonical(value));

/** JSON that must be in canonical form already, or an object of another writer is refused. */
export function readJson(bytes: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text(bytes));
  } catch {
    throw new SealError('a sealed text is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new SealError('a sealed text is not an object');
  return value as Record<string, unknown>;
}

const CROCKFORD = '0123456789abcdefghjkmnpqrstvwxyz';

/** Lower-case Crockford base32 without padding, first bit first. */
export function crockford(bytes: Uint8Array): string {
  let bits = 0;
  let held = 0;
  let out = '';
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      out += CROCKFORD[(held >> bits) & 31];
      held &= (1 << bits) - 1;
    }
  }
  if (bits) out += CROCKFORD[(held << (5 - bits)) & 31];
  return out;
}

/** Undo {@link crockford} for a whole number of bytes; null for a character that is never in one. */
export function uncrockford(letters: string): Bytes | null {
  const out: number[] = [];
  let bits = 0;
  let held = 0;
  for (const letter of letters.toLowerCase()) {
    const value = CROCKFORD.indexOf(letter);
    if (value < 0) return null;
    held = (held << 5) | value;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      out.push((held >> bits) & 255);
      held &= (1 << bits) - 1;
    }
  }
  return Uint8Array.from(out);
}

export const random = (length: number): Bytes => crypto.getRandomValues(new Uint8Array(length));

/** A fresh id such as `ast_7k2m...`. */
export const newId = (kind: 'ast' | 'job' | 'prj'): string => `${kind}_${crockford(random(16))}`;

/** An age recipient or identity from its 32 bytes. */
export function bech32Of(prefix: 'age' | 'age-secret-key-', bytes: Uint8Array): string {
  const out = bech32.encode(prefix, bech32.toWords(bytes), false);
  return prefix === 'age' ? out : out.toUpperCase();
}

/** The 32 bytes of an age recipient or identity. */
export function bytesOfBech32(prefix: 'age' | 'age-secret-key-', value: string): Bytes {
  try {
    if (value !== value.toLowerCase() && value !== value.toUpperCase()) throw new SealError('not an age key');
    const found = bech32.decode(value.toLowerCase() as `${string}1${string}`, false);
    if (found.prefix !== prefix) throw new SealError('a key of another kind');
    const bytes = bech32.fromWords(found.words);
    if (bytes.length !== 32) throw new SealError('a key of another length');
    return own(bytes);
  } catch (error) {
    if (error instanceof SealError) throw error;
    throw new SealError('not an age key');
  }
}

/** `YYYY-MM-DDTHH:MM:SSZ`: the only form of a time in notes and requests. */
export const timeText = (at: Date): string => `${at.toISOString().slice(0, 19)}Z`;

export function parseTime(value: string): Date {
  const at = new Date(value);
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(value) || Number.isNaN(at.getTime())) throw new SealError('not a time');
  return at;
}

export const utcDay = (at: Date): string => at.toISOString().slice(0, 10);
