import { jitter } from './backoff.ts';
import { timer } from './timer.ts';
import type { ClientError, Cursor } from './types.ts';
import { type Block, type Core, fault, type Message, type Part } from './wire.ts';

/** What a watch makes of its channel's messages. */
export interface Sink {
  /** Where to go on. */
  since?(): Cursor | undefined;
  watching(message: Message<'watching'>): void;
  /** `more`: it is a part of a large channel, and the rest follows. */
  block(at: number, block: Block, more: boolean | undefined): void;
  /** False: it does not follow from what came before. */
  event(message: Message<'event'>): boolean;
  /** What was shown before is not known to the gateway any more. It is asked again: the backend may put it back. */
  missing(error: ClientError): void;
  /** Over, by the gateway's word; the subscription has gone. */
  over(order: Message<'closed'>['order'], error?: ClientError): void;
  /** The link came, went, or was heard after a silence. */
  state(): void;
  /** The client closed. */
  close(): void;
}

export interface Subscription {
  /** The number that names it on the wire. */
  readonly w: number;
  /** The channel's state is whole and what follows belongs to it. */
  synced: boolean;
  /** The client's `now()` when the gateway was last heard while this was synced. */
  heardAt(): number;
  close(): void;
}

/** An answer that takes longer was lost, ms. */
const ANSWER_MS = 10_000;
/** What was in sync for so long is healthy: the next question is asked at once, ms. */
const HEALTHY_MS = 10_000;
/** How long the backend has to put back what the gateway no longer knows, ms. */
const MISSING_MS = 600_000;

/** One channel, watched over whatever links come and go: in every hello, and on this link at once. */
export function subscribe(core: Core, channel: string, maxHz: number | undefined, sink: Sink): Subscription {
  const w = core.nextWatch();
  const retry = timer();
  let c: number | undefined;
  /** On this link. */
  let asked = false;
  /** The gateway has shown it. */
  let known = false;
  let missingSince = 0;
  let heardAt = 0;
  let syncedAt = 0;
  /** Questions since it was healthy. */
  let tries = 0;

  function request() {
    lapse();
    asked = true;
    retry(again, ANSWER_MS);
    return { w, channel, since: sink.since?.(), maxHz };
  }

  const ask = () => core.send({ t: 'watch', ...request() });

  /** Asks for everything missed, on the same link; sooner or later, so that nothing wrong goes round in circles. */
  function again(): void {
    if (!core.parts.has(part)) return;
    if (sub.synced && performance.now() - syncedAt > HEALTHY_MS) tries = 0;
    lapse();
    if (tries++) retry(ask, jitter(tries - 2));
    else ask();
  }

  /** From here on events are ignored until the answer. */
  function lapse(): void {
    heardAt = sub.heardAt();
    sub.synced = false;
  }

  function leave(): void {
    lapse();
    retry();
    core.parts.delete(part);
    c = undefined;
  }

  function over(order?: Message<'closed'>['order'], error?: ClientError): void {
    leave();
    sink.over(order, error);
  }

  function refused({ code, message }: Message<'error'>): void {
    let wait = code === 'unavailable' || code === 'watch_exists';
    if (code === 'not_found' && (known || sink.since?.())) {
      const now = performance.now();
      wait = !missingSince || now - missingSince < MISSING_MS;
      if (!missingSince) {
        missingSince = now;
        sink.missing(fault(code, 'denied', message, true));
      }
    }
    if (!wait) return over(undefined, fault(code, 'denied', message));
    tries ||= 1;
    again();
  }

  const part: Part = {
    hello(hello) {
      c = undefined; // numbers are the session's
      hello.watch ??= [];
      hello.watch.push(request());
    },
    state() {
      if (!core.welcome) {
        lapse();
        retry();
        c = undefined;
        asked = false;
      }
      sink.state();
    },
    take(m) {
      if (m.t === 'positions') {
        for (const block of m.b) if (block[0] === c) sink.block(m.at, block, m.more?.includes(c));
      } else if (m.t === 'event') {
        if (m.c === c && sub.synced && !sink.event(m)) again();
      } else if (m.t === 'beat') sink.state();
      else if (m.t === 'welcome') {
        if (!asked) ask();
      } else if ('w' in m && m.w === w) {
        if (m.t === 'watching') {
          retry();
          c = m.c;
          sub.synced = known = true;
          missingSince = 0;
          syncedAt = performance.now();
          sink.watching(m);
        } else if (m.t === 'error') {
          if (m.of !== 'ack') refused(m);
        } else over(m.order, m.reason === 'denied' ? fault(m.reason, 'denied') : undefined);
      }
    },
    close() {
      leave();
      sink.close();
    },
  };

  const sub: Subscription = {
    w,
    synced: false,
    heardAt: () => (sub.synced ? core.heardAt : heardAt),
    close() {
      if (core.parts.has(part)) core.send({ t: 'unwatch', w });
      leave();
    },
  };
  core.parts.add(part);
  if (core.welcome) ask();
  return sub;
}
