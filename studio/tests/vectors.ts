/** The vectors that Python and TypeScript share: tests/vectors in the repository. */
import { readFileSync } from 'node:fs';
import { fromBase64 } from '$vault/codec';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the files' shapes are described in docs/spec
export function vectors(name: string): any {
  return JSON.parse(readFileSync(new URL(`../../tests/vectors/${name}.json`, import.meta.url), 'utf8'));
}

export const raw = fromBase64;
