/** The order in which Creations shows pictures just now, so that Details can go to the next one. */
class Browsing {
  order = $state.raw<readonly string[]>([]);

  beside(id: string): { previous: string | null; next: string | null } {
    const at = this.order.indexOf(id);
    return at < 0
      ? { previous: null, next: null }
      : { previous: this.order[at - 1] ?? null, next: this.order[at + 1] ?? null };
  }
}

export const browsing = new Browsing();
