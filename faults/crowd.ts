/** A process full of apps: real SDK clients that tell their parent what they see. */
import { type Client, connect, type OrderWatch, watchOrder } from '@ridecast/client';
import { WebSocket } from 'ws';
import { codecWithout } from './naive.ts';
import { type AppSpec, numberOfFix, type Order, type Report, type Sight, type SightKind } from './sights.ts';

const TELL_MS = 50;

interface App {
  readonly client: Client;
  socket: WebSocket | undefined;
}

const apps = new Map<number, App>();
let sights: Sight[] = [];

function see(app: number, what: SightKind, order: string, n: number): void {
  sights.push([app, Date.now(), what, order, n]);
}

function say(report: Report): void {
  process.send?.(report);
}

function tell(): void {
  if (sights.length === 0) return;
  say({ sights });
  sights = [];
}

function open(spec: AppSpec): void {
  const { id, urls, token } = spec;
  let dial = spec.first;
  const app: { client?: Client; socket: WebSocket | undefined } = { socket: undefined };
  class Tapped extends WebSocket {
    constructor(url: string, protocols?: string | string[]) {
      super(url, protocols, { perMessageDeflate: false, skipUTF8Validation: true });
      app.socket = this;
    }
  }
  const client = connect(() => `${urls[dial++ % urls.length]!.replace(/^http/, 'ws')}/v1/ws`, {
    token,
    WebSocket: Tapped,
    codec: codecWithout(spec.without ?? []),
    background: true,
  });
  app.client = client;
  apps.set(id, app as App);
  let live = false;
  client.on('state', ({ state }) => {
    if ((state === 'live') === live) return;
    live = !live;
    see(id, 'link', '', live ? 1 : 0);
  });
  client.on('error', ({ code }) => {
    if (code === 'degraded' || code === 'recovered') see(id, 'degraded', '', code === 'degraded' ? 1 : 0);
  });
  for (const order of spec.orders) watch(id, client, order, spec.maxHz);
}

function watch(id: number, client: Client, order: string, maxHz: number | undefined): void {
  const watched: OrderWatch = watchOrder(client, order, { maxHz });
  let known: number | undefined;
  const learn = (what: 'snapshot' | 'reset' | 'event' | 'jump', n: number) => {
    known = n;
    see(id, what, order, n);
  };
  watched.on('gap', () => learn('reset', numberOf(watched.snapshot)));
  watched.on('event', ({ type, order: state }) => {
    // These two carry no number of their own.
    if (type !== 'created' && type !== 'assigned') learn('event', numberOf(state));
  });
  watched.on('change', (state) => {
    const n = numberOf(state);
    if (n !== known) learn(known === undefined ? 'snapshot' : 'jump', n);
  });
  watched.on('freshness', (fresh) => see(id, 'fresh', order, fresh === 'live' ? 1 : 0));
  watched.on('position', ({ lat }) => see(id, 'position', order, numberOfFix(lat)));
  watched.on('end', () => see(id, 'ended', order, 0));
  watched.on('error', () => see(id, 'refused', order, 0));
}

/** The number the backend gave the event that made this state. */
function numberOf(state: { readonly data?: Readonly<Record<string, unknown>> } | undefined): number {
  return Number(state?.data?.n ?? 0);
}

process.on('message', (order: Order) => {
  switch (order.do) {
    case 'open':
      for (const spec of order.apps) open(spec);
      return;
    case 'pause':
    case 'resume':
      for (const id of order.ids) apps.get(id)?.socket?.[order.do]();
      return;
    case 'close':
      for (const id of order.ids) apps.get(id)?.client.close();
      return;
    case 'tell':
      tell();
      say({ told: order.call });
  }
});
process.on('disconnect', () => process.exit(0));
setInterval(tell, TELL_MS);
