/** Pictures in the browser: reading what people bring, thumbnails, and other file forms. Nothing leaves the page. */
import type { Bytes, MediaType } from '$vault/types';

/** A picture that a URL shows until it is released. */
export function show(bytes: Bytes, mediaType: string): string {
  return URL.createObjectURL(new Blob([bytes], { type: mediaType }));
}

export const hide = (url: string | null): void => {
  if (url) URL.revokeObjectURL(url);
};

export const decode = (bytes: Bytes, mediaType: string): Promise<ImageBitmap> =>
  createImageBitmap(new Blob([bytes], { type: mediaType }), { imageOrientation: 'from-image' });

async function draw(bitmap: ImageBitmap, width: number, height: number, type: MediaType, quality: number, ground?: string): Promise<Bytes> {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  if (!context) throw new Error('no canvas');
  if (ground) {
    context.fillStyle = ground;
    context.fillRect(0, 0, width, height);
  }
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, 0, 0, width, height);
  const blob = await canvas.convertToBlob({ type, quality });
  return new Uint8Array(await blob.arrayBuffer());
}

/** A WebP thumbnail, at most `side` px on its longer side. */
export async function thumbnail(bytes: Bytes, mediaType: string, side = 256): Promise<Bytes> {
  const bitmap = await decode(bytes, mediaType);
  const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
  try {
    const width = Math.max(1, Math.round(bitmap.width * scale));
    const height = Math.max(1, Math.round(bitmap.height * scale));
    return await draw(bitmap, width, height, 'image/webp', 0.82);
  } finally {
    bitmap.close();
  }
}

/** The same picture in another form. A canvas carries no metadata, so none comes along. */
export async function convert(bytes: Bytes, from: string, to: MediaType, quality = 0.92): Promise<Bytes> {
  const bitmap = await decode(bytes, from);
  try {
    return await draw(bitmap, bitmap.width, bitmap.height, to, quality, to === 'image/jpeg' ? 'white' : undefined);
  } finally {
    bitmap.close();
  }
}

/**
 * A picture that somebody brought, fitted to `width` x `height` (covering it, cut at the centre) as a plain PNG: no
 * EXIF, no GPS, no name.
 */
export async function fit(file: Blob, width: number, height: number): Promise<Bytes> {
  const bitmap = await createImageBitmap(file, { imageOrientation: 'from-image' });
  try {
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext('2d');
    if (!context) throw new Error('no canvas');
    const scale = Math.max(width / bitmap.width, height / bitmap.height);
    const [w, h] = [bitmap.width * scale, bitmap.height * scale];
    context.imageSmoothingQuality = 'high';
    context.drawImage(bitmap, (width - w) / 2, (height - h) / 2, w, h);
    return new Uint8Array(await (await canvas.convertToBlob({ type: 'image/png' })).arrayBuffer());
  } finally {
    bitmap.close();
  }
}

/** Gives the bytes to the person as a file. The name says nothing about the picture. */
export function save(bytes: BlobPart, mediaType: string, name: string): void {
  const url = URL.createObjectURL(new Blob([bytes], { type: mediaType }));
  const anchor = document.createElement('a');
  anchor.href = url;
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(url), 30_000);
}

export const suffix = (mediaType: string): string =>
  ({ 'image/png': '.png', 'image/jpeg': '.jpg', 'image/webp': '.webp' })[mediaType] ?? '.bin';
