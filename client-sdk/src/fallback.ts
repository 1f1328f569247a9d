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
    /** While there is the second it is the one in use: it is let go of when the first opens. */
    let firstLink: Link | undefined;
    let secondLink: Link | undefined;
    /** The one that opened last: until another does, what is said goes there. */
    let opened: Link | undefined;

    const tryFirst = (): void => {
      next(move, afterMs);
      let proven = false;
      try {
        const mine = (first ?? options.webSocket)(
          url,
          {
            open() {
              if (firstLink !== mine) return;
              opened = mine;
              secondLink?.drop();
              secondLink = undefined;
              events.open();
            },
            data(data) {
              if (firstLink !== mine) return;
              next();
              proven = true;
              events.data(data);
            },
            close(code, reason) {
              if (firstLink !== mine) return;
              // A code is the gateway's word.
              if (proven || code >= 4000) events.close(code, reason);
              else move();
            },
          },
          options,
        );
        firstLink = mine;
      } catch {
        move(); // there is none here
      }
    };

    /** On with the second: the one that is open, or another. */
    const move = (): void => {
      next(tryFirst, retryMs);
      firstLink?.drop();
      firstLink = undefined;
      if (secondLink) return;
      const mine = second(
        url,
        {
          open() {
            if (secondLink !== mine) return;
            opened = mine;
            events.open();
          },
          data(data) {
            if (secondLink !== mine) return;
            notBefore = Date.now() + retryMs;
            events.data(data);
          },
          close: (code, reason) => secondLink === mine && events.close(code, reason),
        },
        options,
      );
      secondLink = mine;
    };

    if (Date.now() < notBefore) move();
    else tryFirst();
    return {
      send: (data, message) => opened!.send(data, message),
      buffered: () => opened!.buffered(),
      drop(code) {
        next();
        firstLink?.drop(code);
        secondLink?.drop(code);
        firstLink = secondLink = undefined;
      },
    };
  };
}
