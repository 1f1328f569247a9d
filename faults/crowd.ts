/** A process full of apps: real SDK clients that tell their parent what they see. */
import { type Client, connect, type OrderWatch, watchOrder } from '@ridecast/client';
import { WebSocket } from 'ws';
import { codecWithout } from './naive.ts';
import { mintShort } from './short-tokens.ts';
import { type AppSpec, numberOfFix, type Order, type Report, type Sight, type SightKind } from './sights.ts';

const TELL_MS = 50;

interface App {
  readonly spec: AppSpec;
  readonly client: Client;
  readonly watches: Watching[];
  socket: WebSocket | undefined;
}

interface Watching {
  readonly order: string;
  /** The number of the state the app has. */
  known: number | undefined;
  current: OrderWatch | undefined;
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
  const { id, urls, token, tokens } = spec;
  let dial = spec.first;
  let app: App | undefined;
  class Tapped extends WebSocket {
    constructor(url: string, protocols?: string | string[]) {
      super(url, protocols, { perMessageDeflate: false, skipUTF8Validation: true });
      app!.socket = this;
    }
  }
  const client = connect(() => `${urls[dial++ % urls.length]!.replace(/^http/, 'ws')}/v1/ws`, {
    token: tokens === undefined ? token : () => mintShort(tokens),
    WebSocket: Tapped,
    codec: codecWithout(spec.without ?? []),
    background: true,
  });
  const watches = spec.orders.map((order) => ({ order, known: undefined, current: undefined }));
  app = { spec, client, watches, socket: undefined };
  apps.set(id, app);
  let live = false;
  client.on('state', ({ state }) => {
    if ((state === 'live') === live) return;
    live = !live;
    see(id, 'link', '', live ? 1 : 0);
  });
  client.on('error', ({ code }) => {
    if (code === 'degraded' || code === 'recovered') see(id, 'degraded', '', code === 'degraded' ? 1 : 0);
  });
  for (const watching of watches) watch(app, watching);
}

function watch({ spec: { id, maxHz }, client }: App, watching: Watching): void {
  const { order, current: before } = watching;
  const watched: OrderWatch = watchOrder(client, order, { maxHz, since: before?.cursor });
  watching.current = watched;
  const learn = (what: 'snapshot' | 'reset' | 'event' | 'jump', n: number) => {
    watching.known = n;
    see(id, what, order, n);
  };
  watched.on('gap', () => learn('reset', numberOf(watched.snapshot)));
  watched.on('event', ({ type, order: state }) => {
    // These two carry no number of their own.
    if (type !== 'created' && type !== 'assigned') learn('event', numberOf(state));
  });
  watched.on('change', (state) => {
    const n = numberOf(state);
    if (n !== watching.known) learn(watching.known === undefined ? 'snapshot' : 'jump', n);
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
      for (const id of order.ids) {
        apps.get(id)?.socket?.[order.do]();
        see(id, 'paused', '', order.do === 'pause' ? 1 : 0);
      }
      return;
    case 'unwatch':
      for (const id of order.ids) for (const { current } of apps.get(id)!.watches) current!.close();
      return;
    case 'rewatch':
      for (const id of order.ids)
        for (const watching of apps.get(id)!.watches) watch(apps.get(id)!, watching);
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
