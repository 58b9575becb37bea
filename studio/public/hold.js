// Over a reload of the page, and for half a minute at most, this worker remembers one key in memory. The page keeps what
// the key opens; neither is of use without the other, and this half is never stored. It sees no request of the page.
const HOLD_MS = 30000;
const kept = new Map();

function forget(id) {
  const held = kept.get(id);
  if (held) clearTimeout(held.timer);
  kept.delete(id);
}

function remember(id, key) {
  forget(id);
  kept.set(id, { key, timer: setTimeout(() => forget(id), HOLD_MS) });
}

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('message', ({ data, ports }) => {
  const [port] = ports;
  if (data.what === 'keep' && port) {
    port.onmessage = (event) => remember(data.id, event.data);
  } else if (data.what === 'still') {
    // The page lives: hold on. If the browser had ended this worker, the key is gone and the page is told.
    const held = kept.get(data.id);
    if (held) remember(data.id, held.key);
    if (port) port.postMessage(Boolean(held));
  } else if (data.what === 'give' && port) {
    const held = kept.get(data.id);
    forget(data.id);
    port.postMessage(held ? held.key : null);
  } else if (data.what === 'drop') {
    forget(data.id);
  }
});
