/**
 * What this browser remembers about the look. Never anything about pictures, words or people: with the numbers of
 * remembered.ts these are the only keys the studio writes to localStorage, and a test reads them all.
 */
export type Theme = 'dark' | 'light' | 'system';

const read = (key: string): string | null => {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
};

const write = (key: string, value: string): void => {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Private windows may refuse; the choice then lasts as long as the page.
  }
};

const light = matchMedia('(prefers-color-scheme: light)');

class Prefs {
  theme = $state<Theme>((read('safelight-theme') as Theme | null) ?? 'dark');
  more = $state(read('safelight-more') === 'yes');
  previews = $state(read('safelight-previews') !== 'no');
  blurred = $state(false);
  #systemLight = $state(light.matches);

  constructor() {
    light.addEventListener('change', ({ matches }) => {
      this.#systemLight = matches;
      this.#paint();
    });
  }

  get dark(): boolean {
    return this.theme === 'system' ? !this.#systemLight : this.theme === 'dark';
  }

  setTheme(theme: Theme): void {
    this.theme = theme;
    write('safelight-theme', theme);
    this.#paint();
  }

  #paint(): void {
    document.documentElement.dataset.theme = this.dark ? 'dark' : 'light';
  }

  setMore(open: boolean): void {
    this.more = open;
    write('safelight-more', open ? 'yes' : 'no');
  }

  setPreviews(on: boolean): void {
    this.previews = on;
    write('safelight-previews', on ? 'yes' : 'no');
  }

  toggleBlur(): void {
    this.blurred = !this.blurred;
    document.documentElement.dataset.blur = this.blurred ? 'on' : 'off';
  }
}

export const prefs = new Prefs();
