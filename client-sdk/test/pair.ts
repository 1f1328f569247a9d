/** The gateway's end of the wire, in memory: every link the SDK opens, what it sent, and what to answer. */
import { afterEach, beforeEach, vi } from 'vitest';
import { CloseCodes } from '../../src/protocol/close-codes.ts';
import { connect } from '../src/connect.ts';
import type { Client, LinkEvents, Options, Transport } from '../src/types.ts';
import type { Block, ClientMessage, GatewayMessage, Message, PositionTuple, WireOrder } from '../src/wire.ts';
import { type Happening, Surroundings } from './surroundings.ts';

export type Sent = ClientMessage;
export type SentOf<T extends Sent['t']> = Extract<Sent, { t: T }>;

export interface FakeLink {
  readonly url: string;
  readonly sent: Sent[];
  /** The code it was dropped with; 0: without one; undefined: it was not. */
  readonly dropped: number | undefined;
  buffered: number;
  open(): void;
  give(...messages: GatewayMessage[]): void;
  raw(text: string): void;
  close(code: number): void;
  /** Messages of one type, in the order sent. */
  of<T extends Sent['t']>(type: T): SentOf<T>[];
}

export interface FakeGateway {
  readonly links: FakeLink[];
  readonly link: FakeLink;
  readonly transport: Transport;
  readonly env: NonNullable<Options['env']>;
  happens(what: Happening): void;
}

export function fakeGateway(): FakeGateway {
  const links: FakeLink[] = [];
  const surroundings = new Surroundings();
  return {
    links,
    get link() {
      const link = links.at(-1);
      if (!link) throw new Error('nothing has dialled');
      return link;
    },
    transport(url, events) {
      const link = fakeLink(url, events);
      links.push(link);
      return {
        send: (data) => link.sent.push(JSON.parse(data as string)),
        buffered: () => link.buffered,
        drop(code) {
          link.dropped ??= code ?? 0;
        },
      };
    },
    env: surroundings.env,
    happens: (what) => surroundings.happens(what),
  };
}

function fakeLink(url: string, events: LinkEvents): FakeLink & { dropped: number | undefined } {
  return {
    url,
    sent: [],
    dropped: undefined,
    buffered: 0,
    open: events.open,
    give(...messages) {
      for (const message of messages) events.data(JSON.stringify(message));
    },
    raw: events.data,
    close: (code) => events.close(code, Object.values(CloseCodes).find((c) => c.code === code)?.reason ?? ''),
    of(type) {
      return this.sent.filter((m) => m.t === type) as never[];
    },
  };
}

export function welcome(over: Partial<Message<'welcome'>> = {}): Message<'welcome'> {
  return {
    t: 'welcome',
    session: 'n1-1',
    node: 'n1',
    now: Date.now(),
    role: 'customer',
    sub: 'ann',
    heartbeat: 15_000,
    tokenTtl: 3_600_000,
    limits: { frameBytes: 65_536, framesPerSecond: 20, watches: 200, pingsPerFrame: 100 },
    reconnect: { after: 1000, spread: 4000 },
    packed: false,
    ...over,
  };
}

/** For every test of the file: time stands still until `settle`, and chance always says `random()`, one half by default. */
export function stillTime(random: () => number = () => 0.5): void {
  beforeEach(() => {
    vi.useFakeTimers({ now: 1_763_999_999_999 });
    // No page runs code at 0 of performance.now().
    vi.advanceTimersByTime(1);
    vi.spyOn(Math, 'random').mockImplementation(random);
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });
}

/** Loses the link and gets to the next welcome. */
export async function again(r: Rig, over?: Partial<Message<'welcome'>>): Promise<FakeLink> {
  r.link.close(1006);
  await settle(5000);
  return r.welcome(over);
}

/** Lets promises settle and due timers fire. */
export const settle = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

export interface Rig {
  readonly gateway: FakeGateway;
  readonly client: Client;
  /** The newest link. */
  readonly link: FakeLink;
  /** Takes the newest dial to live. */
  welcome(over?: Partial<Message<'welcome'>>): Promise<FakeLink>;
}

export function rig(o: Partial<Options> = {}): Rig {
  const gateway = fakeGateway();
  const client = connect('wss://gateway.test/v1/ws', {
    token: 'tok',
    transport: gateway.transport,
    env: gateway.env,
    ...o,
  });
  return {
    gateway,
    client,
    get link() {
      return gateway.link;
    },
    async welcome(over) {
      await settle();
      gateway.link.open();
      gateway.link.give(welcome(over));
      return gateway.link;
    },
  };
}

export function order(over: Partial<WireOrder> = {}): WireOrder {
  return { id: '42', status: 'picked_up', at: 1000, version: 4, assignment: 1, ended: false, ...over };
}

export function tuple(
  ref: number,
  session: number,
  seq: number,
  over: Partial<Record<number, number>> = {},
): PositionTuple {
  const t = [ref, session, seq, 5_251_630 + seq, 1_340_497, 400, 0, 85, 62, 5];
  for (const [i, value] of Object.entries(over)) t[Number(i)] = value!;
  return t as PositionTuple;
}

export function watching(over: Partial<Message<'watching'>> = {}): Message<'watching'> {
  const c = over.c ?? 3;
  return { t: 'watching', w: 1, channel: 'order:42', c, at: Date.now(), block: [c, 1, []], ...over };
}

export function positions(...b: Block[]): Message<'positions'> {
  return { t: 'positions', at: Date.now(), b };
}

/** Entry `offset` of an order's log; ids are `e<offset>`. */
export function event(offset: number, over: Partial<Message<'event'>> = {}): Message<'event'> {
  const status = over.order?.status ?? `s${offset}`;
  return {
    t: 'event',
    c: 3,
    offset,
    id: `e${offset}`,
    prev: `e${offset - 1}`,
    at: 1000 + offset,
    type: status,
    order: order({ status, at: 1000 + offset, version: offset }),
    ...over,
  };
}

export const cursor = (offset: number, epoch = 'k1') => ({ epoch, offset, id: `e${offset}` });
