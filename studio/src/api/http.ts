/** The one place that fetches. Same origin only; never follows a redirect; errors are the server's own words. */
import type { Problem } from './shapes';

/** The server answered with a problem, or did not answer (`code` is then `no-connection`). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly hint: string,
    readonly retryAfterSeconds: number | null = null,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

export interface Call {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  json?: unknown;
  body?: BodyInit;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** A raw answer; throws {@link ApiError} unless it is a success. */
export async function request(path: string, call: Call = {}): Promise<Response> {
  if (!path.startsWith('/') || path.startsWith('//')) throw new TypeError('only paths of this server');
  const headers = new Headers(call.headers);
  let body = call.body;
  if (call.json !== undefined) {
    headers.set('Content-Type', 'application/json');
    body = JSON.stringify(call.json);
  }
  let answer: Response;
  try {
    answer = await fetch(path, {
      method: call.method ?? 'GET',
      headers,
      credentials: 'same-origin',
      redirect: 'error',
      cache: 'no-store',
      referrerPolicy: 'no-referrer',
      ...(body === undefined ? {} : { body }),
      ...(call.signal ? { signal: call.signal } : {}),
    });
  } catch (error) {
    if (call.signal?.aborted) throw error;
    throw new ApiError(0, 'no-connection', 'the server did not answer', 'check the connection');
  }
  if (!answer.ok) throw await problem(answer);
  return answer;
}

async function problem(answer: Response): Promise<ApiError> {
  const retry = Number(answer.headers.get('Retry-After'));
  let found: Partial<Problem> = {};
  try {
    found = (await answer.json()) as Partial<Problem>;
  } catch {
    // Not JSON: a proxy in between, perhaps. The status still says what happened.
  }
  return new ApiError(
    answer.status,
    found.code ?? 'unknown',
    found.title ?? `the server answered ${answer.status}`,
    found.hint ?? '',
    Number.isFinite(retry) && retry > 0 ? retry : null,
  );
}

/** A JSON answer. */
export async function json<T>(path: string, call: Call = {}): Promise<T> {
  const answer = await request(path, call);
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}

/** The bytes of an answer. */
export async function bytes(path: string, call: Call = {}): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await (await request(path, call)).arrayBuffer());
}
