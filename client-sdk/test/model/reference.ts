/**
 * A gateway in memory, as small as can be, with everything that goes wrong between it and a client. Frames wait on their
 * link until they are carried; orders have a log each, with epoch, offset and id; nothing here is clever: whatever is
 * appended is sent to whoever watches, and the client has to notice what does not fit.
 */
import type { Codec, LinkEvents, Transport } from '../../src/types.ts';
import type { Block, ClientMessage, GatewayMessage, Message } from '../../src/wire.ts';
import { Surroundings } from '../surroundings.ts';
import { gatewayNow } from './virtual.ts';

/** Messages travel as they are: no schedule is about JSON. */
export const asIs: Codec = {
  protocol: 'as-is',
  encode: (m) => m as string,
  decode: (m) => m,
};

/** A way between the client and the gateway. */
export interface Way {
  readonly events: LinkEvents;
  readonly up: ClientMessage[];
  readonly down: GatewayMessage[];
  /** Watch number to the channel. */
  readonly watches: Map<number, string>;
  opened: boolean;
  /** Let go by the client. */
  dropped: boolean;
  /** Neither side hears the other, and nobody is told. */
  mute: boolean;
  /** Nothing is carried until it is false. */
  slow: boolean;
  /** What happens to the next frames down; afterwards they arrive. */
  readonly fate: Fate[];
  /** A frame was lost on it without a word. */
  holed: boolean;
}

export type Fate = 'lost' | 'twice' | 'arrives';

/** What makes answers of requests: the orders, a zone, a rider. */
export interface Behaviour {
  hello?(way: Way, hello: Extract<ClientMessage, { t: 'hello' }>): Partial<Message<'welcome'>>;
  take(way: Way, m: ClientMessage): void;
}

export class Reference {
  readonly ways: Way[] = [];
  readonly surroundings = new Surroundings();
  behaviour: Behaviour = { take() {} };
  /** Sees what the client sends, as it sends it. */
  sees: (m: ClientMessage) => void = () => {};

  /** A frame was lost on some way. */
  holed = false;
  /** How the next way begins: it is not good at first, or never. */
  begins: Partial<Pick<Way, 'mute' | 'slow'>> = {};

  readonly transport: Transport = (_url, events) => {
    const way: Way = {
      events,
      up: [],
      down: [],
      watches: new Map(),
      opened: false,
      dropped: false,
      mute: false,
      slow: false,
      fate: [],
      holed: false,
      ...this.begins,
    };
    this.begins = {};
    this.ways.push(way);
    return {
      send: (m) => {
        this.sees(m as never);
        way.up.push(m as never);
      },
      buffered: () => 0,
      drop: () => {
        way.dropped = true;
      },
    };
  };

  /** The way the client uses now, if it is any good. */
  get way(): Way | undefined {
    const way = this.ways.at(-1);
    return way && !way.dropped && !way.mute ? way : undefined;
  }

  /** Every watch of a channel that can be told anything. */
  each(channel: string, run: (way: Way, w: number, c: number) => void): void {
    for (const way of this.ways)
      for (const [w, watched] of way.dropped || way.mute ? [] : way.watches)
        if (watched === channel) run(way, w, numberOf(channel));
  }

  /** Carries what waits, on every way that is not slow; the ways the client has let go come last. */
  carry(): void {
    for (const way of [...this.ways].reverse()) if (!way.slow && !way.mute) this.carryOn(way);
    while (this.ways.length > 8) this.ways.shift();
  }

  /** Carries what waits on every way there ever was, however many. */
  carryAll(): void {
    for (const way of this.ways) if (!way.mute) this.carryOn(way);
  }

  private carryOn(way: Way): void {
    if (!way.opened) {
      way.opened = true;
      way.events.open();
    }
    for (let budget = 50; (way.up.length || way.down.length) && budget > 0; budget--) {
      const up = way.up.shift();
      if (up) this.hear(way, up);
      const down = way.down.shift();
      if (down) this.bring(way, down);
    }
  }

  private bring(way: Way, m: GatewayMessage): void {
    const fate = m.t === 'beat' ? 'arrives' : way.fate.shift();
    if (fate === 'lost') this.holed = way.holed = true;
    else way.events.data(m as never);
    if (fate === 'twice' && m.t !== 'welcome') way.events.data(m as never);
  }

  private hear(way: Way, m: ClientMessage): void {
    if (m.t === 'hello') {
      way.down.push({ ...WELCOME, now: gatewayNow(), ...this.behaviour.hello?.(way, m) });
      for (const watch of m.watch ?? []) this.behaviour.take(way, { t: 'watch', ...watch });
    } else if (m.t === 'beat') way.down.push({ t: 'beat', now: gatewayNow() });
    else this.behaviour.take(way, m);
  }

  /** Every way says that it lives. */
  beat(): void {
    for (const way of this.ways)
      if (!way.dropped && way.opened) way.down.push({ t: 'beat', now: gatewayNow() });
  }

  /** Ends a way, and the client is told. */
  close(way: Way, code = 1006): void {
    way.mute = true;
    way.events.close(code);
  }
}

/** The short number of a channel: the same on every way, so that an old one's frames look like those of the new one. */
export const numberOf = (channel: string) => channel.charCodeAt(channel.length - 1);

export const WELCOME: Message<'welcome'> = {
  t: 'welcome',
  session: 'n1-1',
  node: 'n1',
  now: 0,
  role: 'customer',
  sub: 'ann',
  heartbeat: 15_000,
  tokenTtl: 3_600_000,
  limits: { frameBytes: 65_536, framesPerSecond: 20, watches: 200, pingsPerFrame: 3 },
  reconnect: { after: 100, spread: 400 },
  packed: false,
};

export const positionsOf = (block: Block, more: number[] = []): Message<'positions'> => ({
  t: 'positions',
  at: gatewayNow(),
  b: [block],
  ...(more.length ? { more } : {}),
});
