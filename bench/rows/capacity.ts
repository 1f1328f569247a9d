/** More and more watchers of a zone, until one core shows no more. */
import type { Contender, Line, Row, Run } from '../row.ts';
import { type Crowd, lineOf, perMillion, withStand } from '../steady.ts';
import { rawTick } from '../systems/bare.ts';
import { ridecast } from '../systems/ridecast.ts';
import type { System } from '../systems/system.ts';

const OURS = 'Ridecast';
const LATE_MS = 1000;
const HZ = 1;
/** A crowd that comes at once is an overload of its own, and takes some seconds to be over. */
const WARM_MS = 10_000;

async function play(system: System, run: Run): Promise<Line[]> {
  const [riders, steps, seconds] = run.quick
    ? [100, [50, 100], 1]
    : [2000, [1000, 2500, 5000, 10_000, 15_000], 5];
  const crowd: Crowd = { channel: 'zone', riders, watchers: steps[0]!, perOrder: 1 };
  return withStand(system, { ...crowd, hz: HZ }, run, async ({ target, pids }) => {
    const { loader } = run;
    const lines: Line[] = [];
    for (const watchers of steps) {
      await loader.open(target, { ...crowd, watchers });
      await loader.ride(riders, HZ);
      await new Promise((resolve) => setTimeout(resolve, run.quick ? 1000 : WARM_MS));
      const window = await loader.measure(seconds, pids);
      await loader.rest();
      await loader.close();
      if (system.name === OURS) run.memo.set('recordBytes', window.bytes / window.shown);
      const figures = {
        perSecond: window.shown / window.seconds,
        shownPercent: (window.shown / (window.sent * watchers)) * 100,
        delayP99: window.delayP99,
        core: (window.cpu.server ?? Number.NaN) / window.seconds,
        cpu: perMillion(window.cpu.server, window.shown),
        loadCpu: window.load.cpu,
      };
      lines.push(lineOf({ window }, figures, `${watchers.toLocaleString('en-US')} watchers`));
      if ((window.delayP99 ?? Number.POSITIVE_INFINITY) > LATE_MS) break;
    }
    return lines;
  });
}

const contender = (system: System): Contender => ({ ...system, run: (run) => play(system, run) });

export const capacity: Row = {
  name: 'capacity',
  title: 'Most positions shown a second from one core',
  how: `2,000 riders of a zone at 1 Hz, and more and more watchers, until 1 % is shown later than ${LATE_MS / 1000} s after its ping. A position that a newer one overtook within a tick is not shown.`,
  key: 'perSecond',
  columns: [
    { figure: 'perSecond', title: 'shown/s', digits: 0 },
    { figure: 'shownPercent', title: 'shown %', digits: 1 },
    { figure: 'delayP99', title: 'ping to watcher p99 ms', digits: 0 },
    { figure: 'core', title: 'cores', digits: 2 },
    { figure: 'cpu', title: 'CPU-s per million', digits: 3 },
    { figure: 'loadCpu', title: 'load: cores', digits: 2 },
  ],
  goals: [
    {
      words: 'at least 20 million a second',
      figure: 'perSecond',
      of: OURS,
      at: '10,000 watchers',
      least: 2e7 * 0.98,
    },
  ],
  contenders: [
    contender(ridecast(OURS, 'our gateway; watchers read packed positions and send credit, as the SDK does')),
    contender(rawTick),
  ],
};
