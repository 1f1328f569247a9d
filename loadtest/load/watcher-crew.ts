/** The watchers one process plays: customers, dashboards of partners, or operators. */
import { clientCodecs } from '../connection.ts';
import { at, now } from './clock.ts';
import { comeAndGo, type Link } from './link.ts';
import type { Judged, Part } from './messages.ts';
import {
  departures,
  dueMs,
  headcount,
  joinMs,
  LANE_OF,
  type Lane,
  mannerOf,
  orderId,
  outages,
  type Plan,
  partnerOf,
  periodMs,
} from './plan.ts';
import { recalling } from './recall.ts';
import { type LaneSample, LaneTally, SocketTally } from './tally.ts';
import type { Wallet } from './wallet.ts';
import { type Watched, Watcher } from './watcher.ts';

type WatchingRole = keyof typeof LANE_OF;

const LOOK_MS = 50;
/** Positions looked at in one go; a look at more of them would itself make them late. */
const LOOKED = 20_000;

export class WatcherCrew {
  readonly sockets = new SocketTally();
  private readonly plan: Plan;
  private readonly role: WatchingRole;
  private readonly lane = new LaneTally();
  private readonly slow = new LaneTally();
  private readonly members: { readonly index: number; readonly watcher: Watcher }[] = [];
  private started = 0;
  private nextLook = 0;

  /** Rejects if the tokens cannot be read. */
  static async make(plan: Plan, part: Part, wallet: Wallet): Promise<WatcherCrew> {
    const role = part.role as WatchingRole;
    const crew = new WatcherCrew(plan, role);
    const codec = recalling(clientCodecs[plan.codec]);
    const numbers = new Map<string, number>();
    for (let i = 0; i < plan.riders; i++) numbers.set(wallet.name('rider', i), i);
    const from = (rider: number) => crew.started + dueMs(plan, rider, 0);
    const riders = { numbers, periodMs: periodMs(plan), from };
    for (let index = part.index; index < headcount(plan, role); index += part.of) {
      const manner = mannerOf(plan, role, index);
      const watcher = new Watcher({
        url: plan.urls[(index + 1) % plan.urls.length]!, // not where the rider of the same number is
        token: await tokenOf(plan, role, index, wallet),
        codec,
        manner,
        watch: watchedBy(plan, role, index, wallet),
        riders,
        lane: manner === 'slow' ? crew.slow : crew.lane,
        sockets: crew.sockets,
        // The rider's node has a tick, and the watcher's.
        overtakingMs: role === 'customers' ? 0 : 2 * plan.tickMs,
      });
      crew.members.push({ index, watcher });
    }
    return crew;
  }

  private constructor(plan: Plan, role: WatchingRole) {
    this.plan = plan;
    this.role = role;
  }

  get links(): Link[] {
    return this.members.map(({ watcher }) => watcher.link);
  }

  start(start: number): void {
    this.started = start;
    for (const { index, watcher } of this.members) {
      const { link } = watcher;
      const joined = joinMs(this.plan, this.role, index);
      at(start + joined, () => link.dial(start + joined));
      comeAndGo(link, departures(this.plan, this.role, index), start, joined, false);
      if (this.role === 'customers')
        comeAndGo(link, outages(this.plan, this.role, index), start, joined, true);
    }
  }

  /** Looks at the ages of what is shown: of every watcher in turn, so many positions at a time. */
  look(): void {
    const { members } = this;
    const when = now();
    let looked = 0;
    for (let turn = 0; turn < members.length && looked < LOOKED; turn++) {
      looked += members[this.nextLook % members.length]!.watcher.look(when);
      this.nextLook++;
    }
  }

  sample(): Partial<Record<Lane, LaneSample>> {
    const samples: Partial<Record<Lane, LaneSample>> = { [LANE_OF[this.role]]: this.lane.take() };
    if (this.plan.slow > 0) samples.slow = this.slow.take();
    return samples;
  }

  judge(newest: Uint32Array): Judged {
    let [blind, denied, missing] = [0, 0, 0];
    for (const { watcher } of this.members) {
      if (watcher.link.isMissing) missing++;
      blind += watcher.judge(newest);
      denied += watcher.denied;
    }
    return { blind, denied, missing };
  }

  /** How many watchers had a watch ended, once it is all that read, or after `within` ms. */
  async ended(within: number): Promise<number> {
    const until = now() + within;
    const open = this.members.filter(({ watcher }) => watcher.link.isOpen);
    const told = () => open.filter(({ watcher }) => watcher.ended > 0).length;
    while (now() < until && told() < open.length)
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    return told();
  }
}

function tokenOf(plan: Plan, role: WatchingRole, index: number, wallet: Wallet): Promise<string> {
  if (role === 'partners') return wallet.token('partner', index);
  if (role === 'operators') return wallet.token('operator', index);
  return wallet.token('customer', Math.floor(index / plan.customersPerOrder));
}

function watchedBy(plan: Plan, role: WatchingRole, index: number, wallet: Wallet): Watched[] {
  const all = Array.from({ length: plan.riders }, (_, i) => i);
  if (role === 'customers') {
    const rider = Math.floor(index / plan.customersPerOrder);
    return [{ channel: `order:${orderId(plan, rider)}`, rider, expected: [rider] }];
  }
  if (role === 'partners') {
    const expected = all.filter((rider) => partnerOf(plan, rider) === index);
    return [{ channel: `partner:${wallet.name('partner', index)}`, expected }];
  }
  const watch = (zone: string, expected: readonly number[]) => ({ channel: `zone:${zone}`, expected });
  if (index < plan.operators)
    return plan.zones.map((zone, i) => watch(zone, i === 0 && plan.coversCity ? all : []));
  return [watch(plan.zones[index % plan.zones.length]!, [])];
}
