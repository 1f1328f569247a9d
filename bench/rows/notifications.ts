/** A million notifications: order events to ten thousand sockets, as fast as they go. */
import { cpuSeconds } from '../../loadtest/processes.ts';
import type { Contender, Line, Row, Run } from '../row.ts';
import { perMillion, withStand } from '../steady.ts';
import { rawUws, wsRedis } from '../systems/bare.ts';
import { ridecast } from '../systems/ridecast.ts';
import { socketio } from '../systems/socketio.ts';
import type { System } from '../systems/system.ts';

const OURS = 'Ridecast + Redis';

async function play(system: System, run: Run): Promise<Line[]> {
  const [orders, perOrder, events] = run.quick ? [10, 20, 5] : [100, 100, 100];
  const crowd = { channel: 'order' as const, riders: orders, watchers: orders * perOrder, perOrder };
  const all = Array.from({ length: orders }, (_, i) => i);
  return withStand(system, { ...crowd, hz: 1 }, run, async ({ target, pids, company }) => {
    const { loader } = run;
    await loader.open(target, crowd);
    await loader.settle();
    const cpu = () => (cpuSeconds(pids.server!) ?? Number.NaN) + (pids.redis ? cpuSeconds(pids.redis)! : 0);
    const [cpuBefore, startedAt] = [cpu(), Date.now()];
    for (let n = 0; n < events; n++) await (company?.tell(all, 'arriving') ?? loader.tell(all));
    const found = await loader.settle();
    const due = events * crowd.watchers;
    const seconds = (found.lastEventAt - startedAt) / 1000;
    const figures = {
      seconds,
      perSecond: found.events / seconds,
      cpu: perMillion(cpu() - cpuBefore, found.events),
      lost: due - found.events,
      gaps: found.gaps,
      bytes: found.events === 0 ? null : found.bytes / found.events,
    };
    return [{ at: '', figures, doubts: [] }];
  });
}

const contender = (system: System): Contender => ({ ...system, run: (run) => play(system, run) });

export const notifications: Row = {
  name: 'notifications',
  title: '1,000,000 notifications to 10,000 sockets',
  how: '100 events of each of 100 orders with 100 watchers. Ours come as calls of a backend over HTTP, are stored, and are numbered; the others are said by a socket and passed on.',
  key: 'seconds',
  columns: [
    { figure: 'seconds', title: 's until the last', digits: 1 },
    { figure: 'perSecond', title: 'received/s', digits: 0 },
    { figure: 'cpu', title: 'CPU-s per million (server and Redis)', digits: 1 },
    { figure: 'lost', title: 'lost', digits: 0 },
    { figure: 'gaps', title: 'gaps', digits: 0 },
    { figure: 'bytes', title: 'bytes each', digits: 0 },
  ],
  goals: [
    { words: 'at most 10 s', figure: 'seconds', of: OURS, most: 10 },
    { words: 'none lost', figure: 'lost', of: OURS, most: 0 },
  ],
  contenders: [
    contender(ridecast(OURS, 'our gateway over Redis', { redis: true })),
    contender(ridecast('Ridecast, in memory', 'our gateway without Redis')),
    contender(rawUws),
    contender(wsRedis),
    contender(socketio),
  ],
};
