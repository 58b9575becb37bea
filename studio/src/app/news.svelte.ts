/** Short news at the foot of the page. */
import type { Toast } from '$ui/Toasts.svelte';

class News {
  toasts = $state<Toast[]>([]);
  #next = 1;

  tell(text: string, action?: Toast['action']): void {
    this.#add({ id: this.#next++, text, kind: 'news', action }, 6000);
  }

  fail(text: string, action?: Toast['action']): void {
    this.#add({ id: this.#next++, text, kind: 'error', action }, 12000);
  }

  close(id: number): void {
    this.toasts = this.toasts.filter((toast) => toast.id !== id);
  }

  #add(toast: Toast, milliseconds: number): void {
    this.toasts = [...this.toasts.slice(-2), toast];
    setTimeout(() => this.close(toast.id), milliseconds);
  }
}

export const news = new News();
