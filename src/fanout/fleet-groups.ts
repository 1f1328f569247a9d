/** The riders and orders of one zone or partner, as a group for each error its watchers allow. */
import type { Order, OutReason } from '../protocol/messages.ts';
import type { Ages, Position } from '../protocol/positions.ts';
import type { Group } from './groups.ts';
import type { Subscription } from './subscription.ts';

export class FleetGroups {
  /** Every position; the others are made from it. */
  private readonly exact: Group;
  private readonly all: Map<number, Group>;

  constructor(exact: Group) {
    this.exact = exact;
    this.all = new Map([[0, exact]]);
  }

  /** The group of those who allow an error of so many metres. */
  of(bound: number): Group {
    let group = this.all.get(bound);
    if (group === undefined) {
      group = this.exact.bounded(bound);
      this.all.set(bound, group);
    }
    return group;
  }

  newest(rider: string): Position | undefined {
    return this.exact.newest(rider);
  }

  riders(): string[] {
    return [...this.exact.riders()];
  }

  take(position: Position, orders: readonly string[]): boolean {
    return this.some((group) => group.take(position, orders));
  }

  leave(rider: string, reason: OutReason, by?: { session: number; seq: number }): boolean {
    return this.some((group) => group.leave(rider, reason, by));
  }

  putOrder(view: Order): boolean {
    return this.some((group) => group.putOrder(view));
  }

  loseOrder(id: string): void {
    for (const group of this.all.values()) group.loseOrder(id);
  }

  sweep(now: number, ages: Ages): boolean {
    return this.some((group) => group.sweep(now, ages));
  }

  /** Forgets what everybody was told, and the groups nobody watches. */
  tidy(subscriptions: Iterable<Subscription>): void {
    const slowest = new Map<Group, number>();
    for (const { group, standing } of subscriptions) {
      slowest.set(group, Math.min(slowest.get(group) ?? Infinity, standing.since));
    }
    for (const [bound, group] of this.all) {
      const since = slowest.get(group);
      if (since === undefined && group !== this.exact) this.all.delete(bound);
      else group.forgetEnded(since ?? group.clock);
    }
  }

  private some(change: (group: Group) => boolean): boolean {
    let changed = false;
    for (const group of this.all.values()) changed = change(group) || changed;
    return changed;
  }
}
