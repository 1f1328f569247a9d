/** Plays traces: riders ping as recorded, one customer watches each, operators watch all. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Codec } from '../src/protocol/codec.ts';
import { Backend, eachOf } from './backend.ts';
import { Lane } from './lane.ts';
import { Meter } from './meter.ts';
import { laneReport, type Report } from './report.ts';
import { RiderClient } from './rider-client.ts';
import { schedule, type Trace } from './traces.ts';
import { WatcherClient } from './watcher-client.ts';

export interface Play {
  readonly traces: readonly Trace[];
  /** Gateway the riders connect to, and the one watchers and backend use: http://host:port. */
  readonly riderUrl: string;
  readonly watcherUrl: string;
  /** Their AUTH_SECRET. */
  readonly secret: string;
  readonly codec: Codec;
  /** Zones the operators watch; none: there is no zone lane. */
  readonly zones: readonly string[];
  readonly operators: number;
  readonly align?: boolean;
  /** Times faster than recorded. */
  readonly speed?: number;
  /** How much is played, seconds of the replay. */
  readonly seconds?: number;
  /** Seconds over which the starts of the traces are spread. */
  readonly spread?: number;
  /** Processes whose CPU is reported, by name. */
  readonly pids?: Readonly<Record<string, number>>;
  /** Called once a second while it plays. */
  readonly progress?: (line: string) => void;
}

/** Sockets and calls being set up at once. */
const WIDTH = 50;
/** A last position may wait for a tick of the node that takes it and one of the node that shows it. */
const SETTLE_MS = 1500;
const ANSWER_MS = 10_000;

/** Plays all of it and reports. Rejects if a client cannot connect, or the backend is refused. */
export async function play(options: Play): Promise<Report> {
  const cast = await makeCast(options);
  const { riders, watchers, operators, orders, backend } = cast;
  try {
    await eachOf(orders, WIDTH, (order, i) => {
      return backend.giveOrder(order, { customer: order, partner: cast.run, rider: riders[i]!.id });
    });
    await eachOf([...watchers, ...operators], WIDTH, (watcher) => watcher.start());
    await eachOf(riders, WIDTH, (rider) => rider.connection.start());
    const meter = new Meter(options.pids ?? {});
    await sendAll(cast, options, meter);
    await settle(cast);
    const measured = meter.stop();
    await eachOf(orders, WIDTH, (order) => backend.advance(order, 'delivered'));
    await within(ANSWER_MS, Promise.all(watchers.map((watcher) => watcher.ended())));
    return { ...findings(cast), ...measured };
  } finally {
    const clients = [...riders, ...watchers, ...operators];
    await Promise.all(clients.map(({ connection }) => connection.close()));
  }
}

/** Everybody who takes part. Order number i is rider number i's, and watcher number i is its customer. */
interface Cast {
  readonly run: string;
  readonly backend: Backend;
  readonly riders: readonly RiderClient[];
  readonly orders: readonly string[];
  readonly watchers: readonly WatcherClient[];
  readonly operators: readonly WatcherClient[];
  readonly order: Lane;
  readonly zone: Lane;
}

async function makeCast(options: Play): Promise<Cast> {
  const { traces, riderUrl, watcherUrl: url, secret, codec, zones } = options;
  const backend = new Backend(url, secret);
  const run = `replay-${Date.now().toString(36)}`; // ids of its own: other runs, and others, are not ours
  const [order, zone] = [new Lane(), new Lane()];
  const riders = await Promise.all(
    traces.map(async (_, i) => {
      const id = `${run}-${i}`;
      return new RiderClient(id, riderUrl, await backend.mint('rider', id), codec);
    }),
  );
  const byId = new Map(riders.map((rider) => [rider.id, rider]));
  const orders = riders.map((rider) => `${rider.id}-order`);
  const watchers = await Promise.all(
    orders.map(async (id, i) => {
      const watch = [{ channel: `order:${id}`, rider: riders[i]! }];
      const token = await backend.mint('customer', id);
      return new WatcherClient({ url, token, codec, watch, riders: byId, lane: order });
    }),
  );
  const token = await backend.mint('operator', run);
  const watch = zones.map((id) => ({ channel: `zone:${id}` }));
  const operators = Array.from(
    { length: zones.length === 0 ? 0 : options.operators },
    () => new WatcherClient({ url, token, codec, watch, riders: byId, lane: zone }),
  );
  return { run, backend, riders, orders, watchers, operators, order, zone };
}

/** Sends every ping when it is due. */
async function sendAll({ riders, order, zone }: Cast, options: Play, meter: Meter): Promise<void> {
  const dues = schedule(options.traces, options);
  const total = (dues[dues.length - 1]?.at ?? 0) / 1000;
  let sent = 0;
  const progress = setInterval(() => {
    const shown = `shown ${order.shown} by order, ${zone.shown} by zone`;
    const clock = `${meter.seconds.toFixed(0)} of ${total.toFixed(0)} s`;
    options.progress?.(`${clock}: ${sent} pings, ${shown}, p99 ${order.percentile(99) ?? '–'} ms`);
  }, 1000);
  try {
    for (const { at, trace, fix } of dues) {
      const early = at - meter.seconds * 1000;
      if (early >= 1) await pause(early);
      riders[trace]!.ping(fix);
      sent++;
    }
  } finally {
    clearInterval(progress);
  }
}

/** Until every ping is dealt with, and whatever it leads to has been shown. */
async function settle({ riders, watchers, operators }: Cast): Promise<void> {
  await within(ANSWER_MS, Promise.all(riders.map((rider) => rider.allDealtWith())));
  await pause(SETTLE_MS);
  await within(ANSWER_MS, Promise.all([...watchers, ...operators].map((watcher) => watcher.settle())));
}

/** Waits, but not for ever: the report then shows what did not come. */
async function within(ms: number, done: Promise<unknown>): Promise<void> {
  const timer = new AbortController();
  await Promise.race([done, pause(ms, undefined, { signal: timer.signal }).catch(() => {})]);
  timer.abort();
}

function findings(cast: Cast): Omit<Report, 'cpuSeconds' | 'wallSeconds' | 'generator'> {
  const { riders, watchers, operators } = cast;
  const visible = riders.filter((rider) => rider.visible);
  const blind = watchers.filter((watcher, i) => riders[i]!.visible && !watcher.seen.has(riders[i]!)).length;
  const unseen = operators.flatMap((operator) => visible.filter((rider) => !operator.seen.has(rider))).length;
  const sum = (of: (rider: RiderClient) => number) => riders.reduce((total, rider) => total + of(rider), 0);
  const refused: Record<string, number> = {};
  for (const rider of riders) {
    for (const [reason, count] of rider.refused) refused[reason] = (refused[reason] ?? 0) + count;
  }
  return {
    riders: riders.length,
    pings: {
      sent: sum((rider) => rider.sent),
      acknowledged: sum((rider) => rider.acknowledged),
      refused,
      skipped: sum((rider) => rider.skipped),
    },
    order: laneReport(cast.order, blind),
    zone: operators.length === 0 ? null : laneReport(cast.zone, unseen),
    ended: watchers.filter((watcher) => watcher.closed > 0).length,
    lostSockets: [...riders, ...watchers, ...operators].reduce((n, { connection }) => n + connection.lost, 0),
  };
}
