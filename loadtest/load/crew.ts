/** A process of the generator: plays a part of a role, and says once a second how it went. */
import { at, now } from './clock.ts';
import { giveCredit } from './link.ts';
import type { FromCrew, Part, ToCrew } from './messages.ts';
import { type Plan, ROLES } from './plan.ts';
import { RiderCrew } from './rider-crew.ts';
import { SelfMeter } from './self.ts';
import { openWallet } from './wallet.ts';
import { WatcherCrew } from './watcher-crew.ts';

const say = (message: FromCrew, then?: () => void) => process.send?.(message, undefined, undefined, then);

let crew: RiderCrew | WatcherCrew | undefined;
let finish = () => {};

async function obey(message: ToCrew): Promise<void> {
  if (message.t === 'play') return play(message.plan, message.part);
  if (crew === undefined) throw new Error('there is nothing to play yet');
  const riders = crew instanceof RiderCrew ? crew : undefined;
  const watchers = crew instanceof WatcherCrew ? crew : undefined;
  switch (message.t) {
    case 'start':
      crew.start(message.start, message.wall);
      return begin(crew, message.start);
    case 'stop':
      return riders?.stop(message.ms);
    case 'settle':
      if (riders !== undefined) say({ t: 'settled', ...(await riders.settled(message.within)) });
      return;
    case 'judge':
      if (watchers !== undefined) say({ t: 'judged', judged: watchers.judge(message.newest) });
      return;
    case 'ended':
      if (watchers !== undefined) say({ t: 'ended', watchers: await watchers.ended(message.within) });
      return;
    case 'end':
      return finish();
  }
}

async function play(plan: Plan, part: Part): Promise<void> {
  if (!ROLES.includes(part.role)) throw new Error(`there is no role ${part.role}`);
  const wallet = openWallet(plan);
  const Crew = part.role === 'riders' ? RiderCrew : WatcherCrew;
  crew = await Crew.make(plan, part, wallet);
  say({ t: 'ready' });
}

/** When within a second ages are looked at, 0..1: never in step with pings or ticks. */
const glance = (second: number) => (second * 0.618_033_988_749_895) % 1;

/** Samples every second of the run from its start on, until the end. */
function begin(members: RiderCrew | WatcherCrew, start: number): void {
  const meter = new SelfMeter();
  const stopCredit = giveCredit(members.links);
  const sample = (second: number): FromCrew => ({
    t: 'sample',
    sample: {
      second,
      lanes: members instanceof WatcherCrew ? members.sample() : {},
      sockets: members.sockets.take(),
      riders: members instanceof RiderCrew ? members.sample() : undefined,
      self: meter.take(),
    },
  });
  let [cancel, cancelLook] = [() => {}, () => {}];
  const next = (second: number) => {
    if (members instanceof WatcherCrew)
      cancelLook = at(start + (second - 1 + glance(second)) * 1000, () => members.look());
    cancel = at(start + second * 1000, () => {
      const over = Math.max(second, Math.floor((now() - start) / 1000));
      say(sample(over));
      next(over + 1);
    });
  };
  next(1);
  finish = () => {
    cancel();
    cancelLook();
    stopCredit();
    const last = sample(Math.ceil((now() - start) / 1000));
    meter.stop();
    for (const link of members.links) link.leave(true);
    say(last, () => process.exit(0));
  };
}

process.on('message', (message: ToCrew) => {
  obey(message).catch((error: Error) => say({ t: 'failed', message: error.message }));
});
process.on('disconnect', () => process.exit(0)); // whoever started us is gone
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {}); // the conductor's to decide
