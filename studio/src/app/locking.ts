/** When the vault locks by itself: 15 minutes without use, the page closed, or brought back from the cache. */
import { session } from './session.svelte';

const IDLE_MS = 15 * 60 * 1000;

/** Starts watching; the answer stops it. */
export function watchForIdle(): () => void {
  let last = Date.now();
  const used = (): void => {
    last = Date.now();
  };
  const check = (): void => {
    if (Date.now() - last >= IDLE_MS && session.open && !session.staysOpen) session.lock('idle');
  };
  const events = ['pointerdown', 'keydown', 'wheel', 'touchstart'] as const;
  for (const name of events) addEventListener(name, used, { passive: true, capture: true });
  const timer = setInterval(check, 10_000);
  const seen = (): void => {
    if (document.visibilityState === 'visible') check();
  };
  document.addEventListener('visibilitychange', seen);
  const shown = (event: PageTransitionEvent): void => {
    // A page from the back/forward cache would still hold opened pictures: start clean.
    if (event.persisted) {
      session.lock('restored');
      location.reload();
    }
  };
  const hidden = (event: PageTransitionEvent): void => {
    if (event.persisted) session.lock('closed');
  };
  addEventListener('pageshow', shown);
  addEventListener('pagehide', hidden);
  return () => {
    clearInterval(timer);
    document.removeEventListener('visibilitychange', seen);
    removeEventListener('pageshow', shown);
    removeEventListener('pagehide', hidden);
    for (const name of events) removeEventListener(name, used, { capture: true });
  };
}
