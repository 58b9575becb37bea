/** The page's side of the vault: every call is a message to the worker. The page never holds a key. */
import workerUrl from './worker.ts?worker&url';
import type { Answer, Ask } from './calls';
import { VaultError } from './errors';
import type { Calls } from './vault';

interface TrustedFactory {
  createPolicy(name: string, rules: { createScriptURL: (url: string) => string }): { createScriptURL(url: string): unknown };
}

const HOLD_URL = '/hold.js';

function trustedUrl(url: string): string {
  const factory = (globalThis as { trustedTypes?: TrustedFactory }).trustedTypes;
  if (!factory) return url;
  trusted ??= factory.createPolicy('safelight', {
    createScriptURL: (url) => {
      if (url !== workerUrl && url !== HOLD_URL) throw new TypeError('only our own workers');
      return url;
    },
  });
  return trusted.createScriptURL(url) as string;
}

/** The address of the service worker that holds a key over a reload. */
export const holdUrl = (): string => trustedUrl(HOLD_URL);

let trusted: ReturnType<TrustedFactory['createPolicy']> | null = null;

interface Waiting {
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
}

let worker: Worker | null = null;
let next = 1;
const waiting = new Map<number, Waiting>();

function start(): Worker {
  const made = new Worker(trustedUrl(workerUrl), { type: 'module', name: 'vault' });
  made.onmessage = ({ data }: MessageEvent<Answer>) => {
    const asked = waiting.get(data.id);
    waiting.delete(data.id);
    if (!asked) return;
    if ('code' in data) asked.reject(new VaultError(data.code, data.message));
    else asked.resolve(data.value);
  };
  made.onerror = () => fail('the vault stopped');
  return made;
}

function fail(message: string): void {
  for (const { reject } of waiting.values()) reject(new VaultError('locked', message));
  waiting.clear();
}

/** Ends the worker and everything it held in memory. The next call starts an empty one. */
export function endVault(): void {
  worker?.terminate();
  worker = null;
  fail('the vault is locked');
}

function ask(call: string, args: unknown[]): Promise<unknown> {
  worker ??= start();
  const id = next++;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    const ports = args.filter((arg) => arg instanceof MessagePort);
    worker?.postMessage({ id, call, args: args.map(plain) } satisfies Ask, ports);
  });
}

/** Svelte's state is made of proxies, which do not cross to a worker. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array || value instanceof MessagePort || value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}

/** The vault, from the page. */
export const vault = new Proxy({} as Calls, {
  get: (_, call) => (typeof call === 'string' && call !== 'then' ? (...args: unknown[]) => ask(call, args) : undefined),
});
