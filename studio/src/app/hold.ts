/**
 * Over a reload the vault stays open, over a close it does not. The vault worker seals owner.txt with a one-time key;
 * the key goes straight to a service worker's memory (public/hold.js), for 30 seconds at most; the sealed text goes to
 * this tab's session storage when the page goes. A closed tab loses both. This page sees only the sealed text.
 */
import { holdUrl, vault } from '$vault/client';
import type { Unlocked } from '$vault/calls';

const HELD = 'safelight-held';
const STILL_MS = 12_000;

let keeper: Promise<ServiceWorkerRegistration | null> | null = null;
let id = '';
let sealed: string | null = null;
let timer: ReturnType<typeof setInterval> | undefined;

function registration(): Promise<ServiceWorkerRegistration | null> {
  keeper ??= (async () => {
    if (!('serviceWorker' in navigator)) return null;
    await navigator.serviceWorker.register(holdUrl(), { scope: '/' });
    return navigator.serviceWorker.ready;
  })().catch(() => null);
  return keeper;
}

async function tell(what: 'keep' | 'still' | 'give' | 'drop', about: string): Promise<MessagePort | null> {
  const active = (await registration())?.active;
  if (!active) return null;
  const { port1, port2 } = new MessageChannel();
  active.postMessage({ what, id: about }, [port2]);
  return port1;
}

/** Begins to hold the vault that is open. */
export async function keepHold(): Promise<void> {
  id = crypto.randomUUID();
  const port = await tell('keep', id);
  if (!port) return;
  sealed = (await vault.hold(port)).held;
  clearInterval(timer);
  timer = setInterval(() => void check(), STILL_MS);
}

async function check(): Promise<void> {
  const port = await tell('still', id);
  if (!port) return;
  port.onmessage = ({ data }) => {
    port.close();
    if (data === false && sealed !== null) void keepHold().catch(() => undefined);
  };
}

/** Locked: nothing is held any more. */
export function dropHold(): void {
  clearInterval(timer);
  sealed = null;
  forgetText();
  if (id) void tell('drop', id).then((port) => port?.close());
  id = '';
}

/** After loading the page: opens what was held, if this was a reload and the key is still there. */
export async function takeHold(): Promise<Unlocked | null> {
  const held = forgetText();
  const [entry] = performance.getEntriesByType('navigation') as PerformanceNavigationTiming[];
  if (held === null || entry?.type !== 'reload') return null;
  const [about = '', text = ''] = held.split(' ');
  const port = await tell('give', about);
  return port ? vault.resume(port, text).catch(() => null) : null;
}

function forgetText(): string | null {
  try {
    const held = sessionStorage.getItem(HELD);
    sessionStorage.removeItem(HELD);
    return held;
  } catch {
    return null;
  }
}

addEventListener('pagehide', (event) => {
  if (sealed === null || event.persisted) return;
  try {
    sessionStorage.setItem(HELD, `${id} ${sealed}`);
  } catch {
    // The password opens it after the reload.
  }
});
