/** @ridecast/client/trace: for whoever looks for a fault, what goes over a link. */
import type { Transport } from './types.ts';
import type { ClientMessage } from './wire.ts';

/** Something that happened on a link. Never a token, never a place. */
export interface Trace {
  /** ms since epoch on this device's clock. */
  readonly t: number;
  readonly what: 'dial' | 'open' | 'send' | 'hear' | 'close' | 'drop';
  /** Where a dial goes, the type of a message (of a binary one its bytes), the code of a close. */
  readonly data?: string | number;
}

/**
 * The transport `by` (default the WebSocket), seen by `log`, which must not throw: `connect(url, { token, transport: traced(console.log) })`.
 * Where there are two: `withFallback(traced(log, sse()), { first: traced(log) })`.
 */
export function traced(log: (trace: Trace) => void, by?: Transport): Transport {
  return (url, events, o) => {
    const say = (what: Trace['what'], data?: string | number) => log({ t: Date.now(), what, data });
    say('dial', url);
    const link = (by ?? o.webSocket)(
      url,
      {
        open() {
          say('open');
          events.open();
        },
        data(data) {
          say('hear', typeof data === 'string' ? /"t":"(\w+)"/.exec(data)?.[1] : data.byteLength);
          events.data(data);
        },
        close(code, reason) {
          say('close', code);
          events.close(code, reason);
        },
      },
      o,
    );
    return {
      ...link,
      send(data, message) {
        say('send', (message as ClientMessage).t);
        link.send(data, message);
      },
      drop(code) {
        say('drop', code);
        link.drop(code);
      },
    };
  };
}
