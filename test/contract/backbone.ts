/** What every backbone does. Its files are split by port; an implementation's test calls `describeBackbone`. */
import { afterAll, beforeAll, describe } from 'vitest';
import { describeBus } from './bus.ts';
import type { Fleet, MakeFleet } from './fleet.ts';
import { describeOrders } from './orders.ts';
import { describePositions } from './positions.ts';
import { describeRevocations } from './revocations.ts';

/** Runs the contract. `make` gives two started nodes over one backbone. */
export function describeBackbone(name: string, make: MakeFleet): void {
  describe(`${name} backbone`, () => {
    let fleet: Fleet;
    const running: Fleet[] = [];
    const makeAnother: MakeFleet = async (options) => {
      const another = await make(options);
      running.push(another);
      return another;
    };
    beforeAll(async () => {
      fleet = await makeAnother({});
    });
    afterAll(async () => {
      for (const each of running) await each.stop();
    });
    describeBus(() => fleet);
    describePositions(() => fleet, makeAnother);
    describeOrders(() => fleet);
    describeRevocations(() => fleet);
  });
}
