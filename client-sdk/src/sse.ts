/** @ridecast/client/sse: the same session where only plain HTTP gets through, and the way there and back. */
import { BEGINNING_MS, GATHER_MS } from './limits.ts';
import { timer } from './timer.ts';
import type { Transport } from './types.ts';
import type { ClientMessage, Message } from './wire.ts';

export { type FallbackOptions, withFallback } from './fallback.ts';

export interface SseOptions {
  /** Where the stream is, relative to the url of the WebSocket. Default `stream`: `/v1/ws` becomes `/v1/stream`. */
  path?: string;
  /** One whose responses can be read while they arrive; default the global one. */
  fetch?: typeof fetch;
  /** A stream that brings nothing for so long, or nothing but its beginning, is held up on the way, ms, 500 or more, default 3,000. */
  silentMs?: number;
  /** The length of a piece where streams are held up, 1,000..2,500 ms (a probe of the link waits for its end), default 2,000. */
  pieceMs?: number;
}

/**
 * Server-sent events down, requests up: the messages of a socket, with the same guarantees. To watch something else, or
 * with a new token, it opens another stream, which goes on at the cursors. Where a proxy keeps the stream for itself, it
 * asks for pieces, each complete: what they bring is then up to `pieceMs` late. JSON, whatever the codec.
 */
export function sse(s: SseOptions = {}): Transport {
  const { path = 'stream', fetch: ask = fetch, silentMs = 3000, pieceMs = 2000 } = s;
  let pieces = false;

  return (url, events) => {
    const soon = timer();
    const silence = timer();
    let stream = new AbortController();
    /** Infinity while pings are on their way: the rider keeps its further ones until these are answered. */
    let waiting = 0;
    let token: string | undefined;
    /** Of the last welcome. */
    let rider: Message<'welcome'>['rider'];

    const drop = (): void => {
      soon();
      silence();
      stream.abort();
    };

    const lose = (code: number, reason?: string): void => {
      drop();
      events.close(code, reason);
    };

    const post = (at: string, body: object, signal?: AbortSignal): Promise<Response> =>
      ask(new URL(at, url.replace(/^ws/, 'http')), { method: 'POST', body: JSON.stringify(body), signal });

    const open = async (hello: object): Promise<void> => {
      stream.abort();
      stream = new AbortController();
      const { signal } = stream;
      /** When the first message came; 0: none did. */
      let began = 0;
      let flows = false;
      waiting = 0;
      if (!pieces) silence(heldUp, silentMs);
      try {
        const { body } = await post(pieces ? `${path}?for=${pieceMs}` : path, hello, signal);
        let rest = '';
        const write = (text: string): void => {
          const lines = (rest + text).split('\n');
          rest = lines.pop()!;
          for (const line of lines) {
            if (signal.aborted || !line.startsWith('data: ')) continue;
            began ||= Date.now();
            const age = Date.now() - began;
            // A beat follows the beginning; where streams are held up it comes with the end of a piece, or never.
            flows ||= age > BEGINNING_MS && !(pieces && age > pieceMs / 2);
            silence(pieces || flows ? undefined : heldUp, silentMs);
            take(line.slice(6));
          }
        };
        await body!.pipeThrough(new TextDecoderStream()).pipeTo(new WritableStream({ write }));
        if (pieces && began && !signal.aborted) {
          pieces = !flows;
          return events.open();
        }
      } catch {}
      if (!signal.aborted) lose(1006);
    };

    const take = (data: string): void => {
      const m = JSON.parse(data);
      // The end of a stream, or a refusal: the next stream says why.
      if (!m.t) return lose(m.code ?? 1006, m.reason);
      rider = m.rider ?? rider;
      events.data(data);
    };

    const ping = async (m: object): Promise<void> => {
      const { signal } = stream;
      waiting = Infinity;
      try {
        const answer = await post('pings', { ...m, ...rider, token });
        const pinged = await answer.text();
        if (signal.aborted) return;
        waiting = 0;
        take(pinged);
      } catch {
        if (!signal.aborted) lose(1006);
      }
    };

    const heldUp = (): void => {
      pieces = true;
      events.open();
    };

    soon(events.open);
    return {
      send(_, message) {
        const m = message as ClientMessage;
        if (m.t === 'ping') void ping(m);
        else if (m.t === 'hello') {
          token ??= m.token;
          void open({ ...m, token });
        } else if (m.t !== 'ack' && m.t !== 'credit') {
          if (m.t === 'refresh') token = m.token;
          soon(events.open, GATHER_MS);
        }
      },
      buffered: () => waiting,
      drop,
    };
  };
}
