/** How one page hands a recipe or a picture to Create, without knowing it. */
import type { Bytes, Recipe } from '$vault/types';
import { router } from './router.svelte';

export interface Draft {
  recipe?: Recipe;
  /** A new seed each time: variations. */
  freshSeed?: boolean;
  /** A picture to start from. */
  start?: { bytes: Bytes; mediaType: string };
  /** Press Generate as well. */
  go?: boolean;
}

class Drafts {
  next = $state.raw<Draft | null>(null);

  /** Opens Create with this. */
  give(draft: Draft): void {
    this.next = draft;
    router.go('/');
  }

  take(): Draft | null {
    const draft = this.next;
    this.next = null;
    return draft;
  }
}

export const drafts = new Drafts();
