/** Justified rows: every row is as wide as the page, pictures keep their shape, tiles touch with a small gap. */

export interface Box {
  index: number;
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Layout {
  boxes: readonly Box[];
  /** First box of each row, and the row's top. */
  rows: readonly { first: number; y: number; height: number }[];
  height: number;
}

/** Lays out pictures of these width-to-height ratios. Pure and linear: 10,000 take a few milliseconds. */
export function justify(ratios: readonly number[], width: number, target: number, gap: number): Layout {
  const boxes: Box[] = [];
  const rows: { first: number; y: number; height: number }[] = [];
  let y = 0;
  let start = 0;
  let sum = 0;
  const close = (end: number, height: number): void => {
    let x = 0;
    rows.push({ first: start, y, height });
    for (let i = start; i < end; i++) {
      const w = (ratios[i] ?? 1) * height;
      boxes.push({ index: i, x, y, width: w, height });
      x += w + gap;
    }
    y += height + gap;
    start = end;
    sum = 0;
  };
  for (let i = 0; i < ratios.length; i++) {
    sum += ratios[i] ?? 1;
    const room = width - gap * (i - start);
    if (sum * target >= room) close(i + 1, room / sum);
  }
  if (start < ratios.length) close(ratios.length, target);
  return { boxes, rows, height: Math.max(0, y - gap) };
}

/** The boxes that touch the strip from `top` to `bottom`. */
export function inSight({ boxes, rows }: Layout, top: number, bottom: number): readonly Box[] {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const row = rows[middle];
    if (row && row.y + row.height < top) low = middle + 1;
    else high = middle;
  }
  let last = low;
  while (last < rows.length && (rows[last]?.y ?? 0) <= bottom) last++;
  return boxes.slice(rows[low]?.first ?? boxes.length, rows[last]?.first ?? boxes.length);
}

/** The box above or below: the one whose middle is nearest, a row away. */
export function vertical({ boxes, rows }: Layout, index: number, by: 1 | -1): number {
  const from = boxes[index];
  if (!from) return index;
  const row = rows.findIndex(({ y }) => y === from.y) + by;
  const first = rows[row]?.first;
  if (first === undefined) return index;
  const end = rows[row + 1]?.first ?? boxes.length;
  const middle = from.x + from.width / 2;
  let best = first;
  for (let i = first; i < end; i++) {
    const at = (box: number): number => Math.abs((boxes[box]?.x ?? 0) + (boxes[box]?.width ?? 0) / 2 - middle);
    if (at(i) < at(best)) best = i;
  }
  return best;
}
