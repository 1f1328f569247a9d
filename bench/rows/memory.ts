/** What a watcher costs that sees nothing happen: memory of the server's process. */
import type { Contender, Line, Row, Run } from '../row.ts';
import { withStand } from '../steady.ts';
import { rawUws, wsRedis } from '../systems/bare.ts';
import { residentBytes } from '../systems/memory.ts';
import { ridecast } from '../systems/ridecast.ts';
import { socketio } from '../systems/socketio.ts';
import type { System } from '../systems/system.ts';

const OURS = 'Ridecast';
/** For the garbage of so many handshakes to go. */
const REST_MS = 5000;

async function play(system: System, run: Run): Promise<Line[]> {
  const [first, more] = run.quick ? [20, 200] : [1000, 10_000];
  const crowd = { channel: 'zone' as const, riders: 1, watchers: first, perOrder: 1 };
  return withStand(system, { ...crowd, hz: 1 }, run, async ({ target, pids }) => {
    const pause = () => new Promise((resolve) => setTimeout(resolve, run.quick ? 200 : REST_MS));
    // What the first of them bring with them, code and buffers, is no one's.
    await run.loader.open(target, crowd);
    await pause();
    const before = residentBytes(pids.server!);
    await run.loader.open(target, { ...crowd, watchers: more });
    await pause();
    const after = residentBytes(pids.server!);
    const bytes = before === null || after === null ? null : (after - before) / more;
    return [{ at: '', figures: { bytes, before: before && before / 1e6 }, doubts: [] }];
  });
}

const contender = (system: System): Contender => ({ ...system, run: (run) => play(system, run) });

export const memory: Row = {
  name: 'memory',
  title: 'Memory of 10,000 idle watchers',
  how: 'Growth of the resident set of the server’s process from 1,000 watchers of a zone to 11,000, five seconds after the last came.',
  key: 'bytes',
  columns: [
    { figure: 'bytes', title: 'bytes a watcher', digits: 0 },
    { figure: 'before', title: 'before them, MB', digits: 0 },
  ],
  goals: [
    { words: 'at most 1.2 × raw uWebSockets.js', figure: 'bytes', of: OURS, beside: rawUws.name, most: 1.2 },
  ],
  contenders: [
    contender(ridecast(OURS, 'our gateway; tokens, limits and deadlines of each session included')),
    contender(rawUws),
    contender(wsRedis),
    contender(socketio),
  ],
};
