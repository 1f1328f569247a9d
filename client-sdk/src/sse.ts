/** @ridecast/client/sse: the same session where only plain HTTP gets through, and the way there and back. */
import { GATHER_MS } from './limits.ts';
import { timer } from './timer.ts';
import type { Transport } from './types.ts';
import type { ClientMessage, Hello, Message, WirePing } from './wire.ts';

export { type FallbackOptions, withFallback } from './fallback.ts';

export interface SseOptions {
  /** Where the stream is, relative to the url of the WebSocket. Default `stream`: `/v1/ws` becomes `/v1/stream`. */
  path?: string;
  /** One whose responses can be read while they arrive; default the global one. */
  fetch?: typeof fetch;
  /** A stream that brings nothing for so long is held up on the way, ms, default 3,000. */
  silentMs?: number;
  /** The length of a piece where streams are held up, 100..60,000 ms, default 2,000. */
  pieceMs?: number;
}

const EVENT = /(?:event: (.*)\n)?data: (.*)/;

/**
 * Server-sent events down, requests up: the messages of a socket, with the same guarantees. To watch something else, or
 * with a new token, it opens another stream, which goes on at the cursors. Where a proxy keeps the stream for itself, it
 * asks for pieces, each complete: what they bring is then up to `pieceMs` late. JSON, whatever the codec.
 */
export function sse(s: SseOptions = {}): Transport {
  const { path = 'stream', fetch: ask = fetch, silentMs = 3000, pieceMs = 2000 } = s;
  let pieces = false;

  return (url, events, { onDebug }) => {
    const to = url.replace(/^ws/, 'http');
    const soon = timer();
    const silence = timer();
    let stream = new AbortController();
    /** When the first message of the stream came; 0: none did. */
    let began = 0;
    let token: string | undefined;
    let welcome: Message<'welcome'> | undefined;
    let pings: WirePing[] = [];
    let posting = false;

    const lose = (code: number): void => {
      drop();
      events.close(code);
    };

    const drop = (): void => {
      soon();
      silence();
      stream.abort();
    };

    /** Throws at any refusal: the next stream says why it ends. */
    const post = async (at: string, body: unknown, signal?: AbortSignal): Promise<Response> => {
      const answer = await ask(new URL(at, to), { method: 'POST', body: JSON.stringify(body), signal });
      if (!answer.ok) throw answer;
      return answer;
    };

    const open = async (hello: Hello): Promise<void> => {
      stream.abort();
      stream = new AbortController();
      const mine = stream;
      began = 0;
      pings = [];
      if (!pieces) silence(heldUp, silentMs);
      try {
        const { body } = await post(pieces ? `${path}?for=${pieceMs}` : path, hello, mine.signal);
        const reader = body!.pipeThrough(new TextDecoderStream()).getReader();
        for (let text = ''; ; ) {
          const { value, done } = await reader.read();
          if (done) break;
          const all = (text + value).split('\n\n');
          text = all.pop()!;
          for (const event of all) if (stream === mine) take(event);
        }
      } catch {}
      if (stream === mine) lose(1006);
    };

    const heldUp = (): void => {
      pieces = true;
      onDebug?.({ t: Date.now(), ev: 'held up' });
      events.open();
    };

    const take = (event: string): void => {
      const [, type, data] = event.match(EVENT) ?? [];
      if (!data) return;
      silence();
      began ||= Date.now();
      if (type === 'again') {
        // It came in one go, or as it was said.
        pieces = Date.now() - began < pieceMs / 4;
        events.open();
      } else if (type) lose(JSON.parse(data).code);
      else {
        if (data.startsWith('{"t":"welcome"')) welcome = JSON.parse(data);
        events.data(data);
      }
    };

    const sendPings = async (): Promise<void> => {
      if (posting) return;
      posting = true;
      try {
        while (pings.length) {
          const { rider, limits } = welcome!;
          const batch = pings.splice(0, limits.pingsPerFrame);
          const answer = await post('pings', { token, session: rider!.session, pings: batch });
          events.data(await answer.text());
        }
      } catch {
        lose(1006);
      }
      posting = false;
    };

    soon(events.open);
    return {
      send(_, message) {
        const m = message as ClientMessage;
        if (m.t === 'ping') {
          pings.push(...m.pings);
          void sendPings();
        } else if (m.t === 'hello') {
          token ??= m.token;
          void open({ ...m, token });
        } else if (m.t !== 'ack' && m.t !== 'credit') {
          if (m.t === 'refresh') token = m.token;
          soon(events.open, GATHER_MS);
        }
      },
      // What waits here is thrown away with the stream, and still in the rider's queue.
      buffered: () => 0,
      drop,
    };
  };
}
