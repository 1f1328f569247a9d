/** A process of light watchers: raw sockets, one order each, that follow the protocol and no more. */
import { WebSocket } from 'ws';
import type { Cursor, GatewayMessage, PositionTuple, Order as WireOrder } from '../src/protocol/messages.ts';
import { type AppSpec, numberOfFix, type Order, type Report, type Sight, type SightKind } from './sights.ts';

const TELL_MS = 100;
/** Sockets being opened at once at the start. */
const WIDTH = 100;
const UNITS = 1e5;

let sights: Sight[] = [];
let opening = 0;
const waiting: (() => void)[] = [];
/** Positions newer than this count as shown after the fault. ms since epoch */
let markedAt = Number.POSITIVE_INFINITY;

const say = (report: Report) => process.send?.(report);

function tell(): void {
  if (sights.length > 0) say({ sights });
  sights = [];
}

class Watcher {
  private readonly spec: AppSpec;
  private readonly order: string;
  private cursor: Cursor | undefined;
  private known: number | undefined;
  private fix = -1;
  private dials: number;
  private losses = 0;
  private spread = { after: 0, spread: 0 };
  private channel: number | undefined;
  private shownNew = false;

  constructor(spec: AppSpec) {
    this.spec = spec;
    this.order = spec.orders[0]!;
    this.dials = spec.first;
  }

  /** Calls back when it is live for the first time. */
  dial(done?: () => void): void {
    const { urls, token } = this.spec;
    const url = urls[this.dials++ % urls.length]!;
    this.see('dial', 0);
    const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/v1/ws`, ['ridecast.v1.json'], {
      perMessageDeflate: false,
      skipUTF8Validation: true,
    });
    let live = false;
    socket.on('error', () => {});
    socket.on('open', () => {
      const watch = { w: 1, channel: `order:${this.order}`, since: this.cursor };
      socket.send(JSON.stringify({ t: 'hello', token, watch: [watch] }));
    });
    socket.on('message', (data: Buffer) => {
      const message = JSON.parse(String(data)) as GatewayMessage;
      if (message.t === 'watching' && !live) {
        live = true;
        this.losses = 0;
        this.see('link', 1);
        this.see('fresh', 1);
        done?.();
      }
      this.take(message);
    });
    socket.on('close', () => {
      this.channel = undefined;
      if (live) this.see('link', 0);
      const { after, spread } = this.spread;
      const wait = live
        ? after + Math.random() * spread
        : Math.random() * 1000 * 2 ** Math.min(5, ++this.losses);
      setTimeout(() => this.dial(live ? undefined : done), wait);
    });
  }

  /** The newest position, for whoever judges. */
  last(): void {
    if (this.fix >= 0) this.see('position', this.fix);
  }

  private take(message: GatewayMessage): void {
    if (message.t === 'welcome') this.spread = message.reconnect;
    else if (message.t === 'event' && message.c === this.channel) {
      this.cursor = { epoch: this.cursor!.epoch, offset: message.offset, id: message.id };
      this.learn('event', message.order);
    } else if (message.t === 'watching') {
      this.channel = message.c;
      for (const { order, type } of message.events ?? []) if (type !== 'assigned') this.learn('event', order);
      this.cursor = message.cursor;
      const n = Number(message.order!.data?.n ?? 0);
      if (message.reset !== undefined) this.learn('reset', message.order!);
      else if (n !== this.known) this.learn(this.known === undefined ? 'snapshot' : 'jump', message.order!);
      this.place(message.at, message.block[2]);
    } else if (message.t === 'positions') {
      for (const [c, , tuples] of message.b) if (c === this.channel) this.place(message.at, tuples);
    }
  }

  private place(at: number, tuples: readonly PositionTuple[]): void {
    for (const [, , , lat, , age] of tuples) {
      const n = numberOfFix(lat / UNITS);
      if (n < this.fix) this.see('position', n); // a step back: it is judged
      this.fix = Math.max(this.fix, n);
      if (this.shownNew || at - age <= markedAt) continue;
      this.shownNew = true;
      this.see('position', n);
    }
  }

  private learn(what: 'snapshot' | 'reset' | 'event' | 'jump', { data }: WireOrder): void {
    this.known = Number(data?.n ?? 0);
    this.see(what, this.known);
  }

  private see(what: SightKind, n: number): void {
    const order = what === 'link' || what === 'dial' ? '' : this.order;
    sights.push([this.spec.id, Date.now(), what, order, n]);
  }
}

const watchers: Watcher[] = [];

function openNext(): void {
  while (opening < WIDTH && waiting.length > 0) {
    opening++;
    waiting.shift()!();
  }
}

process.on('message', (order: Order) => {
  if (order.do === 'open') {
    for (const spec of order.apps) {
      const watcher = new Watcher(spec);
      watchers.push(watcher);
      waiting.push(() =>
        watcher.dial(() => {
          opening--;
          openNext();
        }),
      );
    }
    openNext();
  } else if (order.do === 'mark') markedAt = order.at;
  else if (order.do === 'tell') {
    for (const watcher of watchers) watcher.last();
    tell();
    say({ told: order.call });
  }
});
process.on('disconnect', () => process.exit(0));
setInterval(tell, TELL_MS);
