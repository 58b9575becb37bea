/** What the page may ask of the vault worker. Keys stay on the other side of this edge. */
import type { Bytes, Cost, Manifest, MediaType, Recipe, Reply, Retention } from './types';

export interface SealInput {
  recipe: Recipe;
  /** Encoded input pictures; their digests are the recipe's. */
  inputs: Bytes[];
  retention: Retention;
  format: MediaType;
  previews: boolean;
  /** Signed darkroom notes, as the server gave them. */
  notes: string[];
  /** The fleet key this browser has pinned. */
  fleetKey: string;
}

export interface SealedJob {
  /** Names the job in later calls; means nothing outside this worker. */
  handle: string;
  sealed: Bytes;
  assets: string[];
  cost: Cost;
}

export interface OpenedPreview {
  mediaType: string;
  bytes: Bytes;
}

export interface OpenedReply {
  reply: Reply;
  pictures: Bytes[];
}

export interface SealedThumb {
  id: string;
  envelope: Bytes;
  thumb: Bytes;
}

export type OpenedThumb = { id: string; mediaType: string; bytes: Bytes } | { id: string; error: string };

export interface OpenedAsset {
  manifest: Manifest;
  bytes: Bytes;
}

export interface NewAsset {
  id: string;
  full: Bytes;
  thumb: Bytes;
  meta: Bytes;
  envelope: Bytes;
}

export interface Unlocked {
  recipient: string;
  /** What the recipient was before; the server may name the newest of them while a change of keys is unfinished. */
  former: string[];
  signingKey: string;
  verification: string;
}

export interface ShareMade {
  bundle: string;
  access_sha256: string | null;
  passphrase_salt: string | null;
  secret: string | null;
}

/** The methods of a class, as they look from the other side of the worker's edge. */
export type Remote<T> = {
  [K in keyof T]: T[K] extends (...args: infer A) => infer R ? (...args: A) => Promise<Awaited<R>> : never;
};

export interface Ask {
  id: number;
  call: string;
  args: unknown[];
}

export type Answer = { id: number; value: unknown } | { id: number; code: string; message: string };
