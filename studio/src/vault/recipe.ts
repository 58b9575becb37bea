/** What a recipe uses and costs. Mirrors `safelight.recipe` and `safelight.policy`. */
import type { Cost, Recipe } from './types';

export const MAX_SEED = 2 ** 32 - 1;

/** Digests of every input picture, each once, in a fixed order. */
export function recipeInputs(recipe: Recipe): string[] {
  const named = [recipe.init_image, recipe.mask_image, ...recipe.controls.map((c) => c.image)];
  return [...new Set(named.filter((digest): digest is string => digest !== null))];
}

/** Names of what this recipe uses beyond plain text-to-image. */
export function recipeFeatures(recipe: Recipe): string[] {
  const found: string[] = recipe.task === 'text-to-image' ? [] : [recipe.task];
  if (recipe.adapters.length) found.push('adapters');
  if (recipe.transparent) found.push('transparent');
  return found;
}

/** The cost header that this recipe must be sent with. */
export function costOf(recipe: Recipe): Cost {
  const { model, width_px, height_px, steps, count } = recipe;
  return { model, width_px, height_px, steps, count, features: recipeFeatures(recipe) };
}

/** What a request costs, in tokens, where one token draws `perToken` pixels times steps. */
export function priceOf(work: Pick<Cost, 'width_px' | 'height_px' | 'steps' | 'count'>, perToken: number): number {
  return Math.max(1, Math.ceil((work.width_px * work.height_px * work.steps) / perToken)) * work.count;
}

/** The seed of each picture, in order. */
export function seedsOf(recipe: Recipe): number[] {
  return Array.from({ length: recipe.count }, (_, i) => (recipe.seed + i) % (MAX_SEED + 1));
}

/** A fresh random seed. */
export function newSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}
