import { jitter } from './backoff.ts';
import { ANSWER_MS, PATIENCE } from './limits.ts';
import { timer } from './timer.ts';
import type { ClientError, Cursor } from './types.ts';
import { type Block, type Core, fault, type Message, type Part } from './wire.ts';

/** What a watch makes of its channel's messages. */
export interface Sink {
  /** Where to go on. */
  stand?(): Cursor | undefined;
  begin(message: Message<'watching'>): void;
  /** `more`: it is a part of a large channel, and the rest follows. */
  place(at: number, block: Block, more: boolean | undefined): void;
  /** False: it does not follow from what came before. */
  follow(message: Message<'event'>): boolean;
  /**
   * Over, and the subscription has gone: by the gateway's word, with the last state or an error, or without either because
   * the client closed. With a retryable error it is not over: what was shown before is not known to the gateway any more,
   * and is asked for again, since the backend may put it back.
   */
  over(error?: ClientError, order?: Message<'closed'>['order']): void;
  /** The gateway was heard after a silence, or cannot be heard any more. */
  alive(): void;
}

export type Subscription = Part & {
  /** The number that names it on the wire. */
  readonly w: number;
  /** The channel's state is whole and what follows belongs to it. Undefined: it was not asked for on this link. */
  synced?: boolean | undefined;
  /** The client's `now()` when the gateway was last heard while this was synced, if it is not any more. */
  heardAt: number;
  /** Watched no longer. */
  quit(): void;
};

/** One channel, watched over whatever links come and go: in every hello, and on this link at once. */
export function subscribe(core: Core, channel: string, maxHz: number | undefined, sink: Sink): Subscription {
  const w = ++core.lastWatch;
  const retry = timer();
  let c: number | undefined;
  /** The gateway has shown it, or the app knows it from before. */
  let known = !!sink.stand?.();
  /** Questions since something fitted. */
  let tries = 0;
  /** Times in a row that it was not known any more. */
  let missed = 0;

  /** Its state is not whole, or not known to be. Asked for after so many ms, or not at all. */
  const wait = (ms?: number, asked?: false): void => {
    if (sub.synced) sub.heardAt = core.heardAt;
    sub.synced = asked;
    retry(ms === undefined ? undefined : ask, ms);
  };
  const request = () => {
    // From here on events are ignored until the answer.
    wait(ANSWER_MS, false);
    return { w, channel, since: sink.stand?.(), maxHz };
  };

  const ask = () => core.say({ t: 'watch', ...request() });

  /** Asks for everything missed, on the same link; sooner or later, so that nothing wrong goes round in circles. */
  const again = (): void => {
    if (tries++) wait(jitter(tries - 2), false);
    else ask();
  };

  const leave = (): void => {
    wait();
    core.parts.delete(sub);
  };

  const over = (error?: ClientError, order?: Message<'closed'>['order']): void => {
    leave();
    sink.over(error, order);
  };

  const refused = ({ code, message, retryable }: Message<'error'>): void => {
    const gone = code === 'not_found' && known && ++missed < PATIENCE;
    const error = fault(code, 'denied', message, gone);
    if (!gone && !retryable) return over(error);
    tries ||= 1;
    again();
    if (gone && missed < 2) sink.over(error);
  };

  const sub: Subscription = {
    w,
    heardAt: 0,
    quit() {
      if (core.parts.has(sub)) core.say({ t: 'unwatch', w });
      leave();
    },
    hello(m) {
      c = undefined; // numbers are the session's
      m.watch!.push(request());
    },
    welcome() {
      if (sub.synced === undefined) ask();
    },
    watching(m) {
      retry();
      c = m.c;
      sub.synced = known = true;
      missed = 0;
      sink.begin(m);
    },
    positions(m) {
      for (const block of m.b) if (block[0] === c) sink.place(m.at, block, m.more?.includes(c));
    },
    event(m) {
      if (m.c !== c || !sub.synced) return;
      if (sink.follow(m)) tries = 0;
      else if (core.parts.has(sub)) again();
    },
    beat: sink.alive,
    error(m) {
      if (m.w) refused(m);
    },
    closed(m) {
      over(m.order ? undefined : fault(m.reason, 'denied'), m.order);
    },
    lost() {
      wait();
      sink.alive();
    },
    bye: () => over(),
  };

  core.parts.add(sub);
  if (core.greeting) ask();
  return sub;
}
