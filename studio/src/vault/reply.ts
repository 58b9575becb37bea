/** The sealed reply and the sealed `meta` of a kept picture. */
import { canonicalBytes, readJson, sha256Hex } from './codec';
import { SealError } from './errors';
import { readTar } from './tar';
import type { Bytes, Meta, Reply } from './types';

/** A reply and the encoded pictures that travel with it, each checked against its hash. */
export function unpackReply(payload: Uint8Array): { reply: Reply; pictures: Uint8Array[] } {
  const [first, ...rest] = readTar(payload);
  if (first?.name !== 'reply.json') throw new SealError('a reply holds no reply');
  const reply = readJson(first.data) as unknown as Reply;
  if (reply.v !== 1 || !['allowed', 'refused'].includes(reply.verdict) || !Array.isArray(reply.pictures)) {
    throw new SealError('a reply has a version or verdict that this page does not read');
  }
  if (rest.length && rest.length !== reply.pictures.length) throw new SealError('a reply carries all of its pictures or none');
  for (const [i, { name, data }] of rest.entries()) {
    if (name !== `picture-${i}`) throw new SealError('a reply has an entry that is not a picture');
    if (sha256Hex(data) !== reply.pictures[i]?.sha256) throw new SealError('a picture of a reply does not have the hash it says');
  }
  return { reply, pictures: rest.map(({ data }) => data) };
}

export function readMeta(payload: Uint8Array): Meta {
  const meta = readJson(payload) as unknown as Meta;
  if (meta.v !== 1 || typeof meta.asset !== 'string' || typeof meta.recipe !== 'object' || !Array.isArray(meta.words)) {
    throw new SealError('a meta lacks a field or has one of the wrong kind');
  }
  return meta;
}

export const metaPayload = (meta: Meta): Bytes => canonicalBytes(meta);
