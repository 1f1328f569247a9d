/** What a watcher costs that sees nothing happen: memory of the server's process. */
import type { Contender, Line, Row, Run } from '../row.ts';
import { withStand } from '../steady.ts';
import { rawUws, wsRedis } from '../systems/bare.ts';
import { collectGarbage, kernelBytes, residentBytes } from '../systems/memory.ts';
import { ridecast } from '../systems/ridecast.ts';
import { socketio } from '../systems/socketio.ts';
import type { System } from '../systems/system.ts';

const OURS = 'Ridecast';
/** For what a handshake leaves behind in timers and in flight, and then for each collection of garbage, ms. */
const REST_MS = 2000;
/** V8 gives its young generation back only after some in a row. */
const COLLECTIONS = 4;

interface Held {
  readonly process: number;
  readonly kernel: number;
}

async function held(pid: number, restMs: number): Promise<Held> {
  const rest = () => new Promise((resolve) => setTimeout(resolve, restMs));
  await rest();
  for (let i = 0; i < COLLECTIONS; i++) {
    collectGarbage(pid);
    await rest();
  }
  return { process: residentBytes(pid) ?? Number.NaN, kernel: kernelBytes() ?? Number.NaN };
}

async function play(system: System, run: Run): Promise<Line[]> {
  const [first, more, restMs] = run.quick ? [20, 200, 200] : [1000, 10_000, REST_MS];
  const crowd = { channel: 'zone' as const, riders: 1, watchers: first, perOrder: 1 };
  return withStand(system, { ...crowd, hz: 1 }, run, async ({ target, pids }) => {
    // What the first of them bring with them, code and buffers, is no one's.
    await run.loader.open(target, crowd);
    const before = await held(pids.server!, restMs);
    await run.loader.open(target, { ...crowd, watchers: more });
    const after = await held(pids.server!, restMs);
    const bytes = (after.process - before.process) / more;
    const kernel = (after.kernel - before.kernel) / 2 / more;
    return [
      { at: '', figures: { bytes, kernel, all: bytes + kernel, before: before.process / 1e6 }, doubts: [] },
    ];
  });
}

const contender = (system: System): Contender => ({ ...system, run: (run) => play(system, run) });

export const memory: Row = {
  name: 'memory',
  title: 'Memory of 10,000 idle watchers',
  how: 'Growth from 1,000 watchers of a zone to 11,000: of the resident set of the server’s process, with all garbage collected, and of the kernel’s own structures, of which each end of a connection is given half.',
  key: 'all',
  columns: [
    { figure: 'all', title: 'bytes a watcher', digits: 0 },
    { figure: 'bytes', title: 'in the process', digits: 0 },
    { figure: 'kernel', title: 'in the kernel', digits: 0 },
    { figure: 'before', title: 'before them, MB', digits: 0 },
  ],
  goals: [
    { words: 'at most 1.2 × raw uWebSockets.js', figure: 'all', of: OURS, beside: rawUws.name, most: 1.2 },
  ],
  contenders: [
    contender(
      ridecast(OURS, 'our gateway; tokens, limits and deadlines of each session included', { packed: false }),
    ),
    contender(rawUws),
    contender(wsRedis),
    contender(socketio),
  ],
};
