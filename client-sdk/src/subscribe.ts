import type { ClientError, Cursor } from './types.ts';
import { type Block, type Core, fault, type Message, type Part } from './wire.ts';

/** What a watch makes of its channel's messages. */
export interface Sink {
  /** Where to go on. */
  since?(): Cursor | undefined;
  watching(message: Message<'watching'>): void;
  block(at: number, block: Block): void;
  event?(message: Message<'event'>): void;
  /** Over, by the gateway's word; the subscription has gone. */
  over(order: Message<'closed'>['order'], error?: ClientError): void;
  /** The link came or went. */
  state(): void;
  /** The client closed. */
  close(): void;
}

export interface Subscription {
  /** The number that names it on the wire. */
  readonly w: number;
  /** The channel's state is whole and what follows belongs to it. */
  readonly synced: boolean;
  /** Asks for everything missed, on the same link. Events are ignored until the answer. */
  again(): void;
  close(): void;
}

const RETRY_MS = 1000;

/** One channel, watched over whatever links come and go: in every hello, and on this link at once. */
export function subscribe(core: Core, channel: string, maxHz: number | undefined, sink: Sink): Subscription {
  const w = core.nextWatch();
  let c: number | undefined;
  let asked = false;
  let synced = false;
  let retry: ReturnType<typeof setTimeout> | undefined;

  const request = () => ({ w, channel, since: sink.since?.(), maxHz });

  function again(): void {
    asked = true;
    synced = false;
    core.send({ t: 'watch', ...request() });
  }

  function leave(): void {
    clearTimeout(retry);
    core.parts.delete(part);
    synced = false;
  }

  function refused(m: Message<'error'>): void {
    if (m.code === 'unavailable' || m.code === 'watch_exists') {
      clearTimeout(retry);
      retry = setTimeout(() => core.welcome && !synced && again(), RETRY_MS * (0.5 + Math.random()));
      return;
    }
    leave();
    sink.over(undefined, fault(m.code, 'denied', m.message));
  }

  const part: Part = {
    hello(hello) {
      asked = true;
      hello.watch ??= [];
      hello.watch.push(request());
    },
    state() {
      if (!core.welcome) {
        c = undefined;
        asked = synced = false;
      }
      sink.state();
    },
    take(m) {
      if (m.t === 'positions') {
        for (const block of m.b) if (block[0] === c) sink.block(m.at, block);
      } else if (m.t === 'event') {
        if (m.c === c && synced) sink.event?.(m);
      } else if (m.t === 'welcome') {
        if (!asked) again();
      } else if ('w' in m && m.w === w) {
        if (m.t === 'watching') {
          c = m.c;
          synced = true;
          sink.watching(m);
        } else if (m.t === 'error') {
          if (m.of !== 'ack') refused(m);
        } else {
          leave();
          sink.over(m.order, m.reason === 'denied' ? fault(m.reason, 'denied') : undefined);
        }
      }
    },
    close() {
      leave();
      sink.close();
    },
  };
  core.parts.add(part);
  if (core.welcome) again();

  return {
    w,
    get synced() {
      return synced;
    },
    again,
    close() {
      if (core.welcome && core.parts.has(part)) core.send({ t: 'unwatch', w });
      leave();
    },
  };
}
