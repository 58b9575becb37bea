/**
 * What a downloaded file says about itself. A canvas writes none, so everything in the file is put there here.
 * Minimal: an XMP packet that says "made by a machine" and nothing else. Full: also what makes it again.
 */
import type { Bytes, Meta, Recipe } from '$vault/types';

const SOURCE = 'http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia';

const escape = (text: string): string =>
  text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`).replace(/[^\t\n\r\u0020-\ud7ff\ue000-\u{10ffff}]/gu, '');

/** The XMP packet. */
export function xmp(meta: Meta | null): string {
  const more = meta?.recipe
    ? `<dc:description><rdf:Alt><rdf:li xml:lang="x-default">${escape(describe(meta, meta.recipe))}</rdf:li></rdf:Alt></dc:description>`
    : '';
  return (
    `<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">` +
    `<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/">` +
    `<Iptc4xmpExt:DigitalSourceType>${SOURCE}</Iptc4xmpExt:DigitalSourceType>` +
    `<plus:DataMining>http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED</plus:DataMining>${more}` +
    `</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>`
  );
}

/** The recipe in words, for `full`. */
function describe({ model_name, width_px, height_px }: Meta, recipe: Recipe): string {
  const lines = [recipe.prompt];
  if (recipe.negative_prompt) lines.push(`Negative prompt: ${recipe.negative_prompt}`);
  lines.push(
    `Steps: ${recipe.steps}, Sampler: ${recipe.sampler}, CFG scale: ${recipe.guidance}, Seed: ${recipe.seed}, Size: ${width_px}x${height_px}, Model: ${model_name}`,
  );
  return lines.join('\n');
}

const bytesOf = (text: string): Bytes => new TextEncoder().encode(text) as Bytes;

function join(...parts: Uint8Array[]): Bytes {
  const out = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function crc32(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (const byte of bytes) {
    c ^= byte;
    for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  }
  return (c ^ 0xffffffff) >>> 0;
}

const u32 = (n: number): Uint8Array => Uint8Array.of(n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255);
const u32le = (n: number): Uint8Array => Uint8Array.of(n & 255, (n >>> 8) & 255, (n >>> 16) & 255, n >>> 24);

function inPng(file: Bytes, packet: string): Bytes {
  const type = bytesOf('iTXt');
  const data = join(bytesOf('XML:com.adobe.xmp'), Uint8Array.of(0, 0, 0, 0, 0), bytesOf(packet));
  const chunk = join(u32(data.length), type, data, u32(crc32(join(type, data))));
  const after = 8 + 25; // signature and IHDR
  return join(file.subarray(0, after), chunk, file.subarray(after));
}

function inJpeg(file: Bytes, packet: string): Bytes {
  const data = join(bytesOf('http://ns.adobe.com/xap/1.0/\0'), bytesOf(packet));
  const length = data.length + 2;
  if (length > 0xffff) return file;
  return join(file.subarray(0, 2), Uint8Array.of(0xff, 0xe1, length >> 8, length & 255), data, file.subarray(2));
}

function inWebp(file: Bytes, packet: string, width: number, height: number): Bytes {
  const chunk = (name: string, data: Uint8Array): Bytes => join(bytesOf(name), u32le(data.length), data, new Uint8Array(data.length % 2));
  const body = file.subarray(12);
  const tag = String.fromCharCode(...body.subarray(0, 4));
  const u24 = (n: number): Uint8Array => Uint8Array.of(n & 255, (n >>> 8) & 255, (n >>> 16) & 255);
  let head: Uint8Array;
  let rest: Uint8Array;
  if (tag === 'VP8X') {
    head = new Uint8Array(body.subarray(0, 18));
    head[8] = (head[8] ?? 0) | 0x04;
    rest = body.subarray(18);
  } else {
    const alpha = tag === 'VP8L' && ((body[12] ?? 0) & 0x10) !== 0;
    head = chunk('VP8X', join(Uint8Array.of(0x04 | (alpha ? 0x10 : 0), 0, 0, 0), u24(width - 1), u24(height - 1)));
    rest = body;
  }
  const all = join(bytesOf('WEBP'), head, rest, chunk('XMP ', bytesOf(packet)));
  return join(bytesOf('RIFF'), u32le(all.length), all);
}

/** The same file with the packet in it. */
export function mark(file: Bytes, mediaType: string, packet: string, width: number, height: number): Bytes {
  if (mediaType === 'image/png') return inPng(file, packet);
  if (mediaType === 'image/jpeg') return inJpeg(file, packet);
  return inWebp(file, packet, width, height);
}
