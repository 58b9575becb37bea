/** Server-sent events over fetch, so that a guest's ticket can travel in a header. Goes on where it stopped. */
import { ApiError, request } from './http';

export interface ServerEvent {
  id: number;
  type: string;
  data: unknown;
}

/** One parsed block of an event stream; null for a comment or an empty block. */
export function parseEvent(block: string): ServerEvent | null {
  let id = -1;
  let type = 'message';
  const data: string[] = [];
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    if (colon === 0) continue;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'id') id = Number(value);
    else if (name === 'event') type = value;
    else if (name === 'data') data.push(value);
  }
  if (data.length === 0) return null;
  return { id, type, data: JSON.parse(data.join('\n')) as unknown };
}

const ENDS = new Set(['done', 'refused', 'failed', 'cancelled']);

/**
 * Every event of a stream, once and in order, until the one that ends it. A broken connection is taken up again
 * with Last-Event-ID. Throws {@link ApiError} when the server says that the stream is not there.
 */
export async function* events(
  path: string,
  headers: Record<string, string>,
  signal: AbortSignal,
): AsyncGenerator<ServerEvent, void, undefined> {
  let last = -1;
  let wait = 250;
  while (!signal.aborted) {
    try {
      const answer = await request(path, {
        headers: { ...headers, Accept: 'text/event-stream', ...(last < 0 ? {} : { 'Last-Event-ID': String(last) }) },
        signal,
      });
      for await (const block of blocks(answer)) {
        const event = parseEvent(block);
        if (!event || (event.id >= 0 && event.id <= last)) continue;
        if (event.id >= 0) last = event.id;
        wait = 250;
        yield event;
        if (ENDS.has(event.type)) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(wait * 2, 8000);
  }
}

async function* blocks(answer: Response): AsyncGenerator<string, void, undefined> {
  if (!answer.body) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      held += value.replaceAll('\r\n', '\n');
      let end: number;
      while ((end = held.indexOf('\n\n')) >= 0) {
        yield held.slice(0, end);
        held = held.slice(end + 2);
      }
    }
  } finally {
    // A stream that was aborted refuses to be cancelled; there is nothing left to do.
    void reader.cancel().catch(() => undefined);
  }
}
