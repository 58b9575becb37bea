/** Which pictures are selected: by mouse, with shift for a range, or by keys. */
import { SvelteSet } from 'svelte/reactivity';

export class Selection {
  readonly ids = new SvelteSet<string>();
  /** The tile that keys act on. */
  active = $state(-1);
  #anchor = 0;

  get size(): number {
    return this.ids.size;
  }

  toggle(order: readonly string[], index: number): void {
    const id = order[index];
    if (id === undefined) return;
    if (this.ids.has(id)) this.ids.delete(id);
    else this.ids.add(id);
    this.#anchor = index;
    this.active = index;
  }

  /** Everything from the last one toggled to this one. */
  range(order: readonly string[], index: number): void {
    const [from, to] = this.#anchor < index ? [this.#anchor, index] : [index, this.#anchor];
    for (const id of order.slice(from, to + 1)) this.ids.add(id);
    this.active = index;
  }

  /** Moves the active tile; with `extend` the way there is selected. */
  move(order: readonly string[], to: number, extend: boolean): void {
    const index = Math.max(0, Math.min(order.length - 1, to));
    if (extend) {
      if (this.ids.size === 0) this.#anchor = Math.max(0, this.active);
      this.ids.clear();
      this.range(order, index);
    } else {
      this.active = index;
      this.#anchor = index;
    }
  }

  all(order: readonly string[]): void {
    for (const id of order) this.ids.add(id);
  }

  clear(): void {
    this.ids.clear();
  }

  /** Drops what is no longer shown. */
  keepOnly(order: readonly string[]): void {
    if (this.ids.size) {
      const shown = new Set(order);
      for (const id of [...this.ids]) if (!shown.has(id)) this.ids.delete(id);
    }
    if (this.active >= order.length) this.active = order.length - 1;
  }
}
