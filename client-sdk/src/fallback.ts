import { timer } from './timer.ts';
import type { Link, Transport } from './types.ts';

export interface FallbackOptions {
  /** What is used wherever it works; default the WebSocket. */
  first?: Transport;
  /** How long it may take until something arrives, ms, default 4,000. */
  afterMs?: number;
  /** While on the second: how often the first is tried again, ms, default 60,000. */
  retryMs?: number;
}

/**
 * Moves to `second` when the first is refused, ends, or stays silent before the gateway has said a word over it. Tries the
 * first again from time to time, beside the link that works, and moves back without being anything but live. Guarantees
 * are those of one link. For one client; another client gets a transport of its own.
 */
export function withFallback(second: Transport, o: FallbackOptions = {}): Transport {
  const { first, afterMs = 4000, retryMs = 60_000 } = o;
  /** The first is not tried before, ms since epoch. */
  let notBefore = 0;

  return (url, events, options) => {
    const next = timer();
    /** In use; and the one tried last, which is the same unless it is not open. */
    let link: Link | undefined;
    let tried: Link | undefined;

    const attempt = (by: Transport): void => {
      let heard = by === second;
      const mine = by(
        url,
        {
          open() {
            if (mine !== tried && mine !== link) return;
            if (mine !== link) link?.drop();
            link = mine;
            events.open();
          },
          data(data) {
            if (mine !== link) return;
            heard = true;
            if (by === second) notBefore = Date.now() + retryMs;
            else next(); // it is proven
            events.data(data);
          },
          close(code) {
            if (mine !== tried && mine !== link) return;
            // A code is the gateway's word.
            if (heard || code >= 4000) events.close(code);
            else move();
          },
        },
        options,
      );
      tried = mine;
    };

    const tryFirst = (): void => {
      next(move, afterMs);
      try {
        attempt(first ?? options.webSocket);
      } catch {
        move(); // there is none here
      }
    };

    /** On to the second; back to it, if it is still open. */
    const move = (): void => {
      next(tryFirst, retryMs);
      const stay = link && link !== tried;
      tried?.drop();
      if (stay) tried = link;
      else {
        options.onDebug?.({ t: Date.now(), ev: 'fallback' });
        attempt(second);
      }
    };

    if (Date.now() < notBefore) move();
    else tryFirst();
    return {
      send: (data, message) => link!.send(data, message),
      buffered: () => link!.buffered(),
      drop(code) {
        next();
        tried?.drop(code);
        link?.drop(code);
        tried = link = undefined;
      },
    };
  };
}
