/** Orders: two people watch each, their rider pings once a second. */
import type { Contender, Line, Row, Run } from '../row.ts';
import { lineOf, lostPercent, perMillion, type Steady, steady } from '../steady.ts';
import { rawUws, wsRedis } from '../systems/bare.ts';
import { mosquitto, nats, nchan } from '../systems/daemons.ts';
import { ridecast } from '../systems/ridecast.ts';
import { socketio, socketioRedis, socketioStreams } from '../systems/socketio.ts';
import type { System } from '../systems/system.ts';

const PER_ORDER = 2;
const OURS = 'Ridecast + Redis';

function loadOf(quick: boolean): Steady {
  const size = quick ? { riders: 200, warmS: 1, measureS: 2 } : { riders: 5000, warmS: 5, measureS: 5 };
  return { ...size, watchers: PER_ORDER * size.riders, hz: 1, channel: 'order', perOrder: PER_ORDER };
}

async function play(system: System, run: Run): Promise<Line[]> {
  const load = loadOf(run.quick);
  const shown = await steady(system, load, run);
  const { window, all } = shown;
  const { server, redis } = window.cpu;
  const figures = {
    cpu: perMillion((server ?? Number.NaN) + (redis ?? 0), window.shown),
    server: perMillion(server, window.shown),
    redis: perMillion(redis, window.shown),
    perSecond: window.shown / window.seconds,
    lost: lostPercent(all, PER_ORDER),
    bytes: window.bytes / window.frames,
    delayP50: window.delayP50,
    delayP99: window.delayP99,
    loadCpu: window.load.cpu,
  };
  return [lineOf(shown, figures)];
}

const contender = (system: System): Contender => ({ ...system, run: (run) => play(system, run) });

export const orders: Row = {
  name: 'orders',
  title: 'Orders: 10,000 sockets, 2 watch each order, 1 Hz',
  how: '5,000 riders ping over a socket each, every ping is shown to two watchers. CPU is of the server and, where there is one, Redis.',
  key: 'cpu',
  columns: [
    { figure: 'cpu', title: 'CPU-s per million shown', digits: 1 },
    { figure: 'server', title: 'server', digits: 1 },
    { figure: 'redis', title: 'Redis', digits: 1 },
    { figure: 'perSecond', title: 'shown/s', digits: 0 },
    { figure: 'lost', title: 'lost %', digits: 2 },
    { figure: 'bytes', title: 'bytes a frame', digits: 1 },
    { figure: 'delayP50', title: 'ping to watcher p50 ms', digits: 2 },
    { figure: 'delayP99', title: 'p99 ms', digits: 1 },
    { figure: 'loadCpu', title: 'load: cores', digits: 2 },
  ],
  goals: [
    {
      words: 'at most 1.15 × raw uWebSockets.js without Redis',
      figure: 'cpu',
      of: OURS,
      beside: rawUws.name,
      most: 1.15,
    },
  ],
  contenders: [
    contender(ridecast(OURS, 'our gateway over Redis; customers watch with credit', { redis: true })),
    contender(ridecast('Ridecast, in memory', 'our gateway without Redis')),
    contender(rawUws),
    contender(wsRedis),
    contender(socketio),
    contender(socketioRedis),
    contender(socketioStreams),
    contender(nchan),
    contender(nats),
    contender(mosquitto),
  ],
};
