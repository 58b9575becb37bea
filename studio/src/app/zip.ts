/** A plain zip of stored files: how many pictures are taken away at once. No times, no names but ours. */

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c >>> 0;
});

function crc32(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (const byte of bytes) c = (TABLE[(c ^ byte) & 255] ?? 0) ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

export interface ZipFile {
  name: string;
  data: Uint8Array<ArrayBuffer>;
}

const EPOCH_DATE = (0 << 9) | (1 << 5) | 1; // 1980-01-01, the earliest that a zip can say

function record(signature: number, fields: [2 | 4, number][], name: Uint8Array): Uint8Array<ArrayBuffer> {
  const size = 4 + fields.reduce((sum, [bytes]) => sum + bytes, 0) + name.length;
  const view = new DataView(new ArrayBuffer(size));
  view.setUint32(0, signature, true);
  let at = 4;
  for (const [bytes, value] of fields) {
    if (bytes === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += bytes;
  }
  const out = new Uint8Array(view.buffer);
  out.set(name, at);
  return out;
}

/** The parts of a zip, in order: give them to a Blob. */
export function zip(files: readonly ZipFile[]): Uint8Array<ArrayBuffer>[] {
  const encoder = new TextEncoder();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const central: Uint8Array<ArrayBuffer>[] = [];
  let offset = 0;
  for (const { name, data } of files) {
    const label = encoder.encode(name);
    const crc = crc32(data);
    const common: [2 | 4, number][] = [
      [2, 20],
      [2, 0],
      [2, 0],
      [2, 0],
      [2, EPOCH_DATE],
      [4, crc],
      [4, data.length],
      [4, data.length],
      [2, label.length],
      [2, 0],
    ];
    const local = record(0x04034b50, common, label);
    central.push(record(0x02014b50, [[2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]], label));
    parts.push(local, data);
    offset += local.length + data.length;
  }
  const size = central.reduce((sum, part) => sum + part.length, 0);
  const end: [2 | 4, number][] = [[2, 0], [2, 0], [2, files.length], [2, files.length], [4, size], [4, offset], [2, 0]];
  return [...parts, ...central, record(0x06054b50, end, new Uint8Array())];
}
