/** The plain shapes that cross the vault's edge. Field names are the protocol's (docs/spec). */

export type Bytes = Uint8Array<ArrayBuffer>;
export type Retention = 'none' | 'owner' | 'public';
export type MediaType = 'image/png' | 'image/jpeg' | 'image/webp';
export type Task = 'text-to-image' | 'image-to-image' | 'inpaint' | 'outpaint' | 'control';

/** Everything that decides the pixels. */
export interface Recipe {
  v: 1;
  task: Task;
  prompt: string;
  negative_prompt: string;
  model: string;
  sampler: string;
  steps: number;
  guidance: number;
  seed: number;
  width_px: number;
  height_px: number;
  count: number;
  init_image: string | null;
  mask_image: string | null;
  strength: number | null;
  adapters: { digest: string; weight: number }[];
  controls: { kind: 'edge' | 'depth' | 'pose'; image: string; weight: number }[];
  transparent: boolean;
}

/** What a request costs, outside the seal. */
export interface Cost {
  model: string;
  width_px: number;
  height_px: number;
  steps: number;
  count: number;
  features: string[];
}

export interface Manifest {
  v: 1;
  asset: string | null;
  kind: Kind;
  owner: string;
  request_nonce: string;
  made_on: string;
  media_type: string;
  size_bytes: number;
  sha256: string;
  model: string;
  darkroom_key: string;
  signature: string;
}

export type Kind = 'full' | 'thumb' | 'meta' | 'reply' | 'preview' | 'segment';

export interface DarkroomKey {
  darkroom: string;
  recipient: string;
  signing_key: string;
  not_before: string;
  announced_until: string;
  keeps_until: string;
}

export interface ReplyPicture {
  asset: string | null;
  seed: number;
  media_type: string;
  width_px: number;
  height_px: number;
  sha256: string;
}

export interface Reply {
  v: 1;
  job: string;
  verdict: 'allowed' | 'refused';
  category: string | null;
  recipe_digest: string;
  model: string;
  seed: number;
  seconds: number;
  device: string;
  pictures: ReplyPicture[];
}

export interface Meta {
  v: 1;
  asset: string;
  /** Null for an upload, which has none. */
  recipe: Recipe | null;
  words: string[];
  tags: string[];
  made_on: string;
  model_name: string;
  width_px: number;
  height_px: number;
  media_type: string;
  seconds: number;
  device: string;
  note: string | null;
  embedding: string | null;
}

/** One asset in the index: enough to search, to show, and to trust its signature. */
export interface IndexEntry {
  asset: string;
  kind: string;
  words: string[];
  tags: string[];
  made_on: string;
  model: string;
  width_px: number;
  height_px: number;
  seed: number;
  darkroom_key: string;
  request_nonce: string;
  embedding: string | null;
}

export interface VaultHead {
  v: 1;
  seq: number;
  prev: string;
  segments: string[];
  asset_count: number;
  signature: string;
}
