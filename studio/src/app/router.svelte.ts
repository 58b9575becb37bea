/** The address bar as state. Features navigate; only the shell decides which page is shown. */

class Router {
  path = $state(location.pathname);
  query = $state(location.search);

  constructor() {
    addEventListener('popstate', () => this.#read());
  }

  #read(): void {
    this.path = location.pathname;
    this.query = location.search;
  }

  /** Go to a path of this site. `replace` keeps the way back as it was. */
  go(to: string, { replace = false }: { replace?: boolean } = {}): void {
    if (to === location.pathname + location.search) return;
    if (replace) history.replaceState(null, '', to);
    else history.pushState(null, '', to);
    this.#read();
    if (!replace) scrollTo(0, 0);
  }

  /** The parts of the path, without empty ones. */
  get parts(): string[] {
    return this.path.split('/').filter(Boolean);
  }

  /** A click handler for links: ordinary clicks stay on the page, others keep their meaning. */
  link = (event: MouseEvent): void => {
    const anchor = event.currentTarget as HTMLAnchorElement;
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    this.go(anchor.pathname + anchor.search);
  };
}

export const router = new Router();
