import { describe, expect, test } from 'vitest';
import { parseEvent } from '$api/events';
import { zip } from '$app/zip';
import { basesOf, fullPrompt, recipeOf, sizeOf } from '../src/features/create/options';
import { inSight, justify, vertical } from '../src/features/creations/layout';
import { priceOf } from '$vault/recipe';
import { mark, xmp } from '../src/features/details/metadata';

const model = {
  name: 'pocket',
  digest: 'ab'.repeat(32),
  family: 'pocket',
  kind: 'model' as const,
  native_size_px: 256,
  default_steps: 20,
  default_guidance: 4,
  side_step_px: 16,
  licence: null,
  commercial: null,
  price_example: 4,
};

describe('justified rows', () => {
  const ratios = Array.from({ length: 10_000 }, (_, i) => [1, 0.75, 1.333, 1.777][i % 4] ?? 1);
  const layout = justify(ratios, 1200, 208, 2);

  test('every full row is exactly as wide as the page, and no picture is left out', () => {
    expect(layout.boxes.map((box) => box.index)).toEqual(ratios.map((_, i) => i));
    for (const [i, row] of layout.rows.entries()) {
      const end = layout.rows[i + 1]?.first ?? layout.boxes.length;
      const last = layout.boxes[end - 1];
      if (i < layout.rows.length - 1) expect((last?.x ?? 0) + (last?.width ?? 0)).toBeCloseTo(1200, 3);
      expect(row.height).toBeLessThanOrEqual(208.001);
    }
  });

  test('only what is in sight is drawn', () => {
    const seen = inSight(layout, 50_000, 51_000);
    expect(seen.length).toBeLessThan(50);
    for (const box of seen) expect(box.y + box.height >= 50_000 && box.y <= 51_000).toBe(true);
    expect(inSight(layout, -500, 10)[0]?.index).toBe(0);
    expect(inSight(justify([], 1200, 208, 2), 0, 1000)).toEqual([]);
  });

  test('up and down go to the nearest picture a row away', () => {
    const middle = 5000;
    const below = vertical(layout, middle, 1);
    expect(layout.boxes[below]?.y).toBeGreaterThan(layout.boxes[middle]?.y ?? 0);
    expect(vertical(layout, 0, -1)).toBe(0);
  });
});

describe('create', () => {
  test('sizes keep the step of the model', () => {
    for (const base of basesOf(model)) {
      for (const shape of ['square', 'portrait', 'landscape'] as const) {
        const { width, height } = sizeOf(shape, base, 16);
        expect([width % 16, height % 16]).toEqual([0, 0]);
      }
    }
  });

  test('a style is said once', () => {
    expect(fullPrompt({ prompt: ' a fox ', style: '3d' })).toBe('a fox, 3d');
    expect(fullPrompt({ prompt: 'a 3D fox', style: '3d' })).toBe('a 3D fox');
  });

  test('a recipe names its input, and cost grows with the work', () => {
    const form = { prompt: 'x', negative: '', style: '', shape: 'square' as const, base: 256, count: 2, steps: 20, guidance: 4, seed: '7', sampler: 'default', strength: 0.6 };
    const size = { width: 256, height: 256 };
    expect(recipeOf(form, model, size, null)).toMatchObject({ task: 'text-to-image', seed: 7, strength: null, init_image: null });
    expect(recipeOf(form, model, size, 'cd'.repeat(32))).toMatchObject({ task: 'image-to-image', strength: 0.6 });
    const work = { width_px: 256, height_px: 256, steps: 20, count: 1 };
    const each = 1024 * 1024 * 20;
    expect(priceOf({ ...work, count: 3 }, each)).toBe(3);
    expect(priceOf({ width_px: 1024, height_px: 1024, steps: 20, count: 2 }, each)).toBe(2);
    expect(priceOf({ width_px: 1024, height_px: 1024, steps: 21, count: 2 }, each)).toBe(4);
  });
});

describe('events', () => {
  test('reads the fields of a block, and skips comments', () => {
    expect(parseEvent('id: 4\nevent: progress\ndata: {"step":1}')).toEqual({ id: 4, type: 'progress', data: { step: 1 } });
    expect(parseEvent(': still here')).toBeNull();
  });
});

describe('files', () => {
  test('a zip of stored files', () => {
    const parts = zip([{ name: 'a.png', data: new TextEncoder().encode('hello') as Uint8Array<ArrayBuffer> }]);
    const all = Uint8Array.from(parts.flatMap((part) => [...part]));
    const view = new DataView(all.buffer);
    expect(view.getUint32(0, true)).toBe(0x04034b50);
    expect(view.getUint32(14, true)).toBe(0x3610a686); // CRC-32 of "hello"
    expect(view.getUint32(all.length - 22, true)).toBe(0x06054b50);
  });

  test('minimal marks say nothing that a person wrote; full marks escape it', () => {
    const meta = {
      recipe: { prompt: 'a <b> & "c"', negative_prompt: '', steps: 20, sampler: 'default', guidance: 4, seed: 7 },
      model_name: 'pocket',
      width_px: 8,
      height_px: 8,
    } as never;
    expect(xmp(null)).toContain('trainedAlgorithmicMedia');
    expect(xmp(null)).not.toContain('description');
    expect(xmp(meta)).toContain('a &#60;b&#62; &#38; &#34;c&#34;');
    const jpeg = mark(Uint8Array.of(0xff, 0xd8, 0xff, 0xd9), 'image/jpeg', xmp(null), 8, 8);
    expect([...jpeg.subarray(0, 4)]).toEqual([0xff, 0xd8, 0xff, 0xe1]);
  });
});
