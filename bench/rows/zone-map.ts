/** A zone map: many people look at the same few hundred riders. */
import type { Contender, Line, Row, Run } from '../row.ts';
import { lineOf, lostPercent, perMillion, type Shown, type Steady, steady } from '../steady.ts';
import { rawTick, rawUws } from '../systems/bare.ts';
import { mosquitto, nats, nchan } from '../systems/daemons.ts';
import { ridecast } from '../systems/ridecast.ts';
import type { System } from '../systems/system.ts';

const CREDIT = 'Ridecast';

function loadOf(quick: boolean): Steady {
  const size = quick
    ? { riders: 100, watchers: 100, warmS: 1, measureS: 2 }
    : { riders: 500, watchers: 1000, warmS: 8, measureS: 6 };
  return { ...size, hz: 1, channel: 'zone', perOrder: 1 };
}

async function play(system: System, run: Run): Promise<Line[]> {
  const load = loadOf(run.quick);
  const shown = await steady(system, load, run);
  const { window } = shown;
  if (system.name === CREDIT) run.memo.set('recordBytes', window.bytes / window.shown);
  return [lineOf(shown, figuresOf(shown, load))];
}

function figuresOf({ window, all }: Shown, { watchers }: Steady): Line['figures'] {
  return {
    cpu: perMillion(window.cpu.server, window.shown),
    perSecond: window.shown / window.seconds,
    lost: lostPercent(all, watchers),
    bytes: window.bytes / window.shown,
    ageP50: window.ageP50,
    delayP99: window.delayP99,
    core: (window.cpu.server ?? 0) / window.seconds,
    loadCpu: window.load.cpu,
    loadLag: window.load.lagP99Ms,
  };
}

const contender = (system: System): Contender => ({ ...system, run: (run) => play(system, run) });

export const zoneMap: Row = {
  name: 'zone-map',
  title: 'Zone map: 500 riders at 1 Hz, 1,000 watchers',
  how: '500,000 positions a second are to be shown. Riders ping over a socket each; reading those pings is part of the cost.',
  key: 'cpu',
  columns: [
    { figure: 'cpu', title: 'CPU-s per million shown', digits: 3 },
    { figure: 'core', title: 'cores', digits: 2 },
    { figure: 'perSecond', title: 'shown/s', digits: 0 },
    { figure: 'lost', title: 'lost %', digits: 2 },
    { figure: 'bytes', title: 'bytes each', digits: 1 },
    { figure: 'delayP99', title: 'ping to watcher p99 ms', digits: 0 },
    { figure: 'loadCpu', title: 'load: cores', digits: 2 },
    { figure: 'loadLag', title: 'load: lag p99 ms', digits: 0 },
  ],
  goals: [
    {
      words: 'at most 1.3 × a raw frame per tick of the same bytes',
      figure: 'cpu',
      of: CREDIT,
      beside: rawTick.name,
      most: 1.3,
    },
    {
      words: 'at least 15 × below raw uWebSockets.js publishing each',
      figure: 'cpu',
      of: CREDIT,
      beside: rawUws.name,
      most: 1 / 15,
    },
  ],
  contenders: [
    contender(
      ridecast(CREDIT, 'our gateway; watchers read packed positions and send credit, as the SDK does'),
    ),
    contender(ridecast('Ridecast, no credit', 'the same with watchers that send nothing', { credit: false })),
    contender(
      ridecast('Ridecast, not packed', 'the same with watchers that read plain MessagePack', {
        packed: false,
      }),
    ),
    contender(rawTick),
    contender(rawUws),
    contender(nchan),
    contender(nats),
    contender(mosquitto),
  ],
};
