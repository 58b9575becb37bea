/** The one archive form inside a seal: POSIX ustar, regular files only, every byte fixed. */
import { allZero, concat, equal, utf8 } from './codec';
import { SealError } from './errors';
import type { Bytes } from './types';

export const BLOCK = 512;
export const END_BYTES = 2 * BLOCK;
export const MAX_TAR_BYTES = 64 * 1024 * 1024;

export interface Entry {
  name: string;
  data: Uint8Array;
}

/** How many bytes an entry with `size` bytes of content takes. */
export const entryLength = (size: number): number => BLOCK + Math.ceil(size / BLOCK) * BLOCK;

function header(name: string, size: number): Bytes {
  if (!/^[a-z0-9][a-z0-9._-]{0,98}$/.test(name)) throw new SealError('an archive entry has a name that is not ours');
  const block = new Uint8Array(BLOCK);
  const put = (at: number, value: string): void => block.set(utf8(value), at);
  put(0, name);
  put(100, '0000600\0');
  put(108, '0000000\0');
  put(116, '0000000\0');
  put(124, `${size.toString(8).padStart(11, '0')}\0`);
  put(136, '00000000000\0');
  put(148, '        ');
  put(156, '0');
  put(257, 'ustar\x0000');
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, '0')}\0 `);
  return block;
}

/** An archive of these files in this order. */
export function writeTar(entries: readonly Entry[]): Bytes {
  const parts: Uint8Array[] = [];
  for (const { name, data } of entries) {
    parts.push(header(name, data.length), data, new Uint8Array((BLOCK - (data.length % BLOCK)) % BLOCK));
  }
  parts.push(new Uint8Array(END_BYTES));
  const out = concat(...parts);
  if (out.length > MAX_TAR_BYTES) throw new SealError('a container is over the limit');
  return out;
}

/** The files of an archive that {@link writeTar} could have made, byte for byte. */
export function readTar(raw: Uint8Array): Entry[] {
  if (raw.length > MAX_TAR_BYTES || raw.length % BLOCK) throw new SealError('a container has an impossible length');
  const entries: Entry[] = [];
  let at = 0;
  while (at < raw.length && !allZero(raw.subarray(at, at + BLOCK))) {
    const block = raw.subarray(at, at + BLOCK);
    const { name, size } = readHeader(block);
    const start = at + BLOCK;
    at += entryLength(size);
    if (at > raw.length - END_BYTES || !allZero(raw.subarray(start + size, at))) {
      throw new SealError('a container is cut short or has stray bytes');
    }
    entries.push({ name, data: raw.subarray(start, start + size) });
    if (entries.length > 64) throw new SealError('a container has too many entries');
  }
  if (raw.length !== at + END_BYTES || !allZero(raw.subarray(at))) throw new SealError('a container has bytes after its end');
  return entries;
}

function readHeader(block: Uint8Array): { name: string; size: number } {
  const nul = block.indexOf(0);
  const name = String.fromCharCode(...block.subarray(0, nul < 0 || nul > 100 ? 100 : nul));
  const digits = String.fromCharCode(...block.subarray(124, 135));
  const size = /^[0-7]{11}$/.test(digits) ? Number.parseInt(digits, 8) : -1;
  if (size < 0 || size > MAX_TAR_BYTES || !equal(header(name, size), block)) {
    throw new SealError('a container has a header that is not ours');
  }
  return { name, size };
}
