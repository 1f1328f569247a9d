/** Pings: checked, ordered, stored, published and shown to one watcher each, at higher and higher rates. */
import type { Contender, Line, Row, Run } from '../row.ts';
import { type Crowd, lineOf, perMillion, withStand } from '../steady.ts';
import { rawUws, wsRedis } from '../systems/bare.ts';
import { ridecast } from '../systems/ridecast.ts';
import type { System } from '../systems/system.ts';

const OURS = 'Ridecast + Redis';
const RATES = [5000, 10_000, 15_000, 20_000, 30_000, 40_000];
/** A system that shows less than this share has reached its end: higher rates say nothing more of it. */
const CARRIED = 0.7;

async function play(system: System, run: Run): Promise<Line[]> {
  const [riders, rates, warmS, measureS] = run.quick ? [200, [200, 400], 1, 1.5] : [5000, RATES, 3, 4];
  const crowd: Crowd = { channel: 'order', riders, watchers: riders, perOrder: 1 };
  const hz = Math.max(...rates) / riders;
  return withStand(system, { ...crowd, hz }, run, async ({ target, pids }) => {
    const { loader } = run;
    await loader.open(target, crowd);
    const lines: Line[] = [];
    for (const rate of rates) {
      await loader.ride(riders, rate / riders);
      await new Promise((resolve) => setTimeout(resolve, warmS * 1000));
      const window = await loader.measure(measureS, pids);
      await loader.rest();
      const figures = {
        cpu: perMillion(window.cpu.server, window.sent),
        core: (window.cpu.server ?? Number.NaN) / window.seconds,
        redisCore: window.cpu.redis === undefined ? null : (window.cpu.redis ?? Number.NaN) / window.seconds,
        shownPercent: (window.shown / window.sent) * 100,
        perSecond: window.shown / window.seconds,
        delayP50: window.delayP50,
        delayP99: window.delayP99,
        ageP99: window.ageP99,
        loadCpu: window.load.cpu,
        loadLate: window.load.lateP99Ms,
      };
      lines.push(lineOf({ window }, figures, `${rate.toLocaleString('en-US')}/s`));
      await loader.settle();
      if (window.shown < CARRIED * window.sent) break;
    }
    return lines;
  });
}

const contender = (system: System): Contender => ({ ...system, run: (run) => play(system, run) });

export const pings: Row = {
  name: 'pings',
  title: 'Pings through Redis, each shown to one watcher',
  how: '5,000 riders and 5,000 watchers, one order each; the riders ping faster and faster. A position that was overtaken by a newer one before it was sent is not shown, and is no loss.',
  key: 'cpu',
  columns: [
    { figure: 'cpu', title: 'CPU-s per million pings', digits: 1 },
    { figure: 'core', title: 'server cores', digits: 2 },
    { figure: 'redisCore', title: 'Redis cores', digits: 2 },
    { figure: 'shownPercent', title: 'shown %', digits: 1 },
    { figure: 'delayP50', title: 'ping to watcher p50 ms', digits: 2 },
    { figure: 'delayP99', title: 'p99 ms', digits: 1 },
    { figure: 'ageP99', title: 'age shown p99 ms', digits: 0 },
    { figure: 'loadCpu', title: 'load: cores', digits: 2 },
    { figure: 'loadLate', title: 'load: late p99 ms', digits: 1 },
  ],
  goals: [
    { words: '20,000/s: all but 2 % shown', figure: 'shownPercent', of: OURS, at: '20,000/s', least: 98 },
    {
      words: '15,000/s: p99 ping to watcher at most 15 ms',
      figure: 'delayP99',
      of: OURS,
      at: '15,000/s',
      most: 15,
    },
  ],
  contenders: [
    contender(ridecast(OURS, 'our gateway over Redis; customers watch with credit', { redis: true })),
    contender(rawUws),
    contender(wsRedis),
  ],
};
