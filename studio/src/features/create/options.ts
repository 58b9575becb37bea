/** The choices of Create: shapes, styles, and the recipe they make. */
import type { ModelInfo } from '$api/shapes';
import { newSeed } from '$vault/recipe';
import type { Recipe } from '$vault/types';

export type Shape = 'square' | 'portrait' | 'landscape';
export const SHAPES: readonly Shape[] = ['square', 'portrait', 'landscape'];

/** Style words that Pocket was taught; other models know them as plain words. */
export const STYLES = ['3d', 'cartoon', 'flat', 'glossy', 'line icon'] as const;
export const SAMPLERS = ['default', 'ddim', 'euler', 'euler-ancestral', 'dpm++-2m', 'lms', 'pndm', 'unipc', 'lcm'] as const;

const RATIO: Record<Shape, [number, number]> = { square: [1, 1], portrait: [3, 4], landscape: [4, 3] };

export interface Size {
  width: number;
  height: number;
}

/** The sides of a shape at a base size, in steps the model can draw. */
export function sizeOf(shape: Shape, base: number, step: number): Size {
  const [w, h] = RATIO[shape];
  const fitTo = (side: number): number => Math.max(step, Math.round(side / step) * step);
  return { width: fitTo((base * w) / Math.max(w, h)), height: fitTo((base * h) / Math.max(w, h)) };
}

/** Sizes to offer: the model's own first, then smaller and larger ones it can still draw. */
export function basesOf(model: ModelInfo): number[] {
  const native = model.native_size_px;
  const offered = native < 300 ? [native / 2, native, native * 2] : [native / 2, native, native * 1.5];
  return [...new Set(offered.map((side) => Math.round(side / model.side_step_px) * model.side_step_px))].filter((side) => side >= 64);
}

export interface Form {
  prompt: string;
  negative: string;
  style: string;
  shape: Shape;
  base: number;
  count: number;
  steps: number;
  guidance: number;
  seed: string;
  sampler: string;
  strength: number;
}

/** The words that are sealed: the prompt, with the style at its end unless it is there already. */
export function fullPrompt({ prompt, style }: Pick<Form, 'prompt' | 'style'>): string {
  const written = prompt.trim();
  return style && !written.toLowerCase().includes(style) ? `${written}, ${style}` : written;
}

export function recipeOf(form: Form, model: ModelInfo, size: Size, init: string | null): Recipe {
  return {
    v: 1,
    task: init ? 'image-to-image' : 'text-to-image',
    prompt: fullPrompt(form),
    negative_prompt: form.negative.trim(),
    model: model.digest,
    sampler: form.sampler,
    steps: form.steps,
    guidance: form.guidance,
    seed: form.seed.trim() === '' ? newSeed() : Number(form.seed),
    width_px: size.width,
    height_px: size.height,
    count: form.count,
    init_image: init,
    mask_image: null,
    strength: init ? form.strength : null,
    adapters: [],
    controls: [],
    transparent: false,
  };
}
