/** The riders one process plays: each ping is sent when it is due, however long the ones before took (open loop). */
import { clientCodecs } from '../connection.ts';
import { at, now } from './clock.ts';
import { comeAndGo } from './link.ts';
import type { Part, Settled } from './messages.ts';
import { makeMotion } from './motion.ts';
import { dueMs, endMs, firstSeq, joinMs, outages, type Plan, periodMs } from './plan.ts';
import { Rider } from './rider.ts';
import { type RiderSample, RiderTally, SocketTally } from './tally.ts';
import type { Wallet } from './wallet.ts';

interface Member {
  readonly index: number;
  readonly rider: Rider;
  readonly first: number;
}

const LOOK_MS = 50;

export class RiderCrew {
  readonly sockets = new SocketTally();
  private readonly tally = new RiderTally();
  private readonly plan: Plan;
  /** In the order in which their pings are due within a period. */
  private readonly members: Member[] = [];
  private epoch = { start: 0, wall: 0 };
  private end: number;

  /** Rejects if the traces or the tokens cannot be read. */
  static async make(plan: Plan, { index, of }: Part, wallet: Wallet): Promise<RiderCrew> {
    const motion = await makeMotion(plan);
    const crew = new RiderCrew(plan);
    for (let i = index; i < plan.riders; i += of) {
      const rider = new Rider({
        plan,
        index: i,
        url: plan.urls[i % plan.urls.length]!,
        token: await wallet.token('rider', i),
        codec: clientCodecs[plan.codec],
        motion,
        sockets: crew.sockets,
        tally: crew.tally,
        epoch: () => crew.epoch,
      });
      crew.members.push({ index: i, rider, first: firstSeq(plan, i, joinMs(plan, 'riders', i)) });
    }
    crew.members.sort((a, b) => dueMs(plan, a.index, 1) - dueMs(plan, b.index, 1));
    return crew;
  }

  private constructor(plan: Plan) {
    this.plan = plan;
    this.end = endMs(plan);
  }

  get links() {
    return this.members.map(({ rider }) => rider.link);
  }

  start(start: number, wall: number): void {
    this.epoch = { start, wall };
    for (const { index, rider } of this.members) {
      const joined = joinMs(this.plan, 'riders', index);
      at(start + joined, () => rider.link.dial(start + joined));
      comeAndGo(rider.link, outages(this.plan, 'riders', index), start, joined, true);
    }
    if (this.members.length > 0) this.send(0);
  }

  /** No more pings are due from `ms` after the start. */
  stop(ms: number): void {
    this.end = Math.min(this.end, ms);
  }

  sample(): RiderSample {
    return this.tally.take();
  }

  /** What became of it, once all pings are acknowledged or after `within` ms. */
  async settled(within: number): Promise<Settled> {
    const until = now() + within;
    while (now() < until && !this.members.every(({ rider }) => rider.settled))
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    const newest = new Uint32Array(this.plan.riders);
    let [unsent, missing] = [0, 0];
    for (const { index, rider } of this.members) {
      newest[index] = rider.newest;
      unsent += rider.unsent;
      if (rider.link.isMissing) missing++;
    }
    return { newest, unsent, missing };
  }

  /** Sends all that is due, beginning with turn `turn`: one turn is one rider's ping, and they are in order of time. */
  private send(turn: number): void {
    const { plan, members, epoch } = this;
    const count = members.length;
    for (let i = turn; ; i++) {
      const { index, rider, first } = members[i % count]!;
      const seq = Math.floor(i / count) + 1;
      const due = dueMs(plan, index, seq);
      if (due >= this.end) return;
      if (epoch.start + due > now()) {
        at(epoch.start + due, () => this.send(i));
        return;
      }
      if (seq >= first) rider.ping(seq);
    }
  }
}

/** Pings a second that all riders together send. */
export const pingRate = (plan: Plan): number => (plan.riders * 1000) / periodMs(plan);
