/** Twice the load a system can carry: how old what it shows gets, and how soon it is itself again. */
import type { Window } from '../loader.ts';
import type { Contender, Line, Row, Run } from '../row.ts';
import { type Crowd, lineOf, withStand } from '../steady.ts';
import { rawUws, wsRedis } from '../systems/bare.ts';
import { ridecast } from '../systems/ridecast.ts';
import { socketioRedis } from '../systems/socketio.ts';
import type { Stand, System } from '../systems/system.ts';

const OURS = 'Ridecast + Redis';
const RATES = [5000, 7500, 10_000, 12_500, 15_000, 20_000, 25_000, 30_000];
/** What it carries shows this share, no later than that. */
const SHOWN = 0.98;
const LATE_MS = 250;
/** Orders that have an event every so many ms, at any load. */
const EVENTFUL = 20;
const EVENT_MS = 250;
/** It is itself again when ages are no more than this times what they were. */
const AGAIN = 1.5;
const RECOVERY_MS = 20_000;
const LOOK_S = 0.5;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function play(system: System, run: Run): Promise<Line[]> {
  const [riders, rates, seconds] = run.quick ? [100, [200, 400], 1] : [5000, RATES, 5];
  const crowd: Crowd = { channel: 'order', riders, watchers: riders, perOrder: 1 };
  return withStand(system, { ...crowd, hz: (2 * Math.max(...rates)) / riders }, run, async (stand) => {
    const { loader } = run;
    await loader.open(stand.target, crowd);
    await pause(run.quick ? 0 : 5000);
    const under = async (rate: number): Promise<Window> => {
      await loader.ride(riders, rate / riders);
      await pause(seconds * 500);
      return loader.measure(seconds, stand.pids);
    };
    let carried = run.memo.get('carried') ?? rates[0]!;
    if (system.name === OURS) {
      for (const rate of rates) {
        const window = await under(rate);
        if (window.shown < SHOWN * window.sent || (window.delayP99 ?? 0) > LATE_MS) break;
        carried = rate;
      }
      run.memo.set('carried', carried);
      await loader.rest();
      await loader.settle();
    }
    const events = eventful(stand, run);
    const half = await under(carried / 2);
    const twice = await under(carried * 2);
    await loader.ride(riders, carried / 2 / riders);
    const again = await recovered(run, stand, AGAIN * half.ageP99!);
    await events.stop();
    await loader.rest();
    const all = await loader.settle();
    const figures = {
      carried,
      half: half.ageP99,
      twice: twice.ageP99,
      ratio: twice.ageP99! / half.ageP99!,
      shownPercent: (twice.shown / twice.sent) * 100,
      again,
      events: events.due() - all.events,
      gaps: all.gaps,
      closed: Object.values(all.lost).reduce((a, b) => a + b, 0),
    };
    return [lineOf({ window: twice }, figures)];
  });
}

/** Some orders go on having events. */
function eventful({ company }: Stand, { loader }: Run) {
  const orders = Array.from({ length: EVENTFUL }, (_, i) => i);
  let due = 0;
  let over = false;
  const telling = (async () => {
    while (!over) {
      await (company?.tell(orders, 'arriving') ?? loader.tell(orders));
      due += EVENTFUL;
      await pause(EVENT_MS);
    }
  })();
  telling.catch(() => {}); // told by stop
  return {
    due: () => due,
    stop: async () => {
      over = true;
      await telling;
    },
  };
}

/** Seconds until ages are back below that; null: they did not come back. */
async function recovered({ loader }: Run, { pids }: Stand, ms: number): Promise<number | null> {
  const startedAt = performance.now();
  while (performance.now() - startedAt < RECOVERY_MS) {
    const window = await loader.measure(LOOK_S, pids);
    if (window.ageP99! <= ms) return (performance.now() - startedAt) / 1000;
  }
  return null;
}

const contender = (system: System): Contender => ({ ...system, run: (run) => play(system, run) });

export const overload: Row = {
  name: 'overload',
  title: 'Twice the load it can carry',
  how: `5,000 riders and a watcher each. What our gateway carries is the highest rate of which it shows ${SHOWN * 100} %, 99 % of it within ${LATE_MS} ms. Then every system is given half of that, twice, and half again; ${EVENTFUL} orders have an event every ${EVENT_MS} ms all the while.`,
  key: 'ratio',
  columns: [
    { figure: 'carried', title: 'load, pings/s', digits: 0 },
    { figure: 'half', title: 'age p99 at half, ms', digits: 0 },
    { figure: 'twice', title: 'at twice, ms', digits: 0 },
    { figure: 'ratio', title: 'times', digits: 1 },
    { figure: 'shownPercent', title: 'shown % at twice', digits: 0 },
    { figure: 'again', title: 's until as before', digits: 1 },
    { figure: 'events', title: 'events lost', digits: 0 },
    { figure: 'gaps', title: 'gaps', digits: 0 },
    { figure: 'closed', title: 'sockets closed', digits: 0 },
  ],
  goals: [
    { words: 'age at twice the load at most 3 × that at half', figure: 'ratio', of: OURS, most: 3 },
    { words: 'no event lost', figure: 'events', of: OURS, most: 0 },
    { words: 'nobody closed', figure: 'closed', of: OURS, most: 0 },
    { words: 'as before within 5 s', figure: 'again', of: OURS, most: 5 },
  ],
  contenders: [
    contender(ridecast(OURS, 'our gateway over Redis; customers watch with credit', { redis: true })),
    contender(rawUws),
    contender(wsRedis),
    contender(socketioRedis),
  ],
};
