/** Watchers that stop reading: what they cost the server, and what the others notice. */
import type { Contender, Line, Row, Run } from '../row.ts';
import { withStand } from '../steady.ts';
import { rawUws, wsRedis } from '../systems/bare.ts';
import { residentBytes } from '../systems/memory.ts';
import { ridecast } from '../systems/ridecast.ts';
import { socketio } from '../systems/socketio.ts';
import type { System } from '../systems/system.ts';

const OURS = 'Ridecast';

async function play(system: System, run: Run): Promise<Line[]> {
  const [riders, watchers, stalled, seconds] = run.quick ? [50, 40, 10, 2] : [200, 400, 100, 15];
  const crowd = { channel: 'zone' as const, riders, watchers, perOrder: 1 };
  return withStand(system, { ...crowd, hz: 1 }, run, async ({ target, pids }) => {
    const { loader } = run;
    await loader.open(target, crowd);
    await loader.ride(riders, 1);
    const before = await loader.measure(seconds, pids);
    const bytesBefore = residentBytes(pids.server!);
    await loader.stall(stalled);
    const after = await loader.measure(seconds, pids);
    const bytesAfter = residentBytes(pids.server!);
    await loader.rest();
    const grown = bytesBefore === null || bytesAfter === null ? null : bytesAfter - bytesBefore;
    const figures = {
      kB: grown === null ? null : Math.max(0, grown) / stalled / 1024,
      before: before.delayP99,
      meanwhile: after.delayP99,
      closed: Object.values(after.lost).reduce((a, b) => a + b, 0),
    };
    return [{ at: '', figures, doubts: [] }];
  });
}

const contender = (system: System): Contender => ({ ...system, run: (run) => play(system, run) });

export const stalled: Row = {
  name: 'stalled',
  title: '100 of 400 watchers of a zone stop reading',
  how: '200 riders at 1 Hz; 15 s before and 15 s after. Growth of the resident set of the server’s process, over the stalled: noise of some MB is shared among them. What a socket of ours holds exactly is a test (test/stalled.test.ts).',
  key: 'kB',
  columns: [
    { figure: 'kB', title: 'kB grown a stalled watcher', digits: 1 },
    { figure: 'before', title: "others' delay p99 before, ms", digits: 0 },
    { figure: 'meanwhile', title: 'and meanwhile, ms', digits: 0 },
    { figure: 'closed', title: 'sockets closed', digits: 0 },
  ],
  goals: [],
  contenders: [
    contender(ridecast(OURS, 'our gateway; watchers send credit, as the SDK does')),
    contender(rawUws),
    contender(wsRedis),
    contender(socketio),
  ],
};
