/** Random schedules against the SDK. `SCHEDULES=100000 SEED=7 npx vitest run client-sdk/test/properties.test.ts` plays more. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import * as sdk from '../src/index.ts';
import { MUTANTS, withMutant } from './model/mutants.ts';
import { rideSchedules, rides } from './model/rides.ts';
import { orderSchedules, watchesOrders } from './model/watches-orders.ts';
import { watchesZone, zoneSchedules } from './model/watches-zone.ts';
import type { Sdk, Step } from './model/world.ts';

const SCHEDULES = Number(process.env.SCHEDULES ?? 3000);
/** A mutant may live that long. */
const MOST = Math.max(SCHEDULES, 20_000);
const SEED = Number(process.env.SEED ?? 42);

const properties = {
  orders: { schedules: orderSchedules, holds: watchesOrders },
  zone: { schedules: zoneSchedules, holds: watchesZone },
  rides: { schedules: rideSchedules, holds: rides },
};

/** Plays schedules until one breaks a rule. */
const play = (of: keyof typeof properties, subject: Sdk, numRuns: number, endOnFailure = false) =>
  fc.check(
    fc.asyncProperty<[Step[]]>(properties[of].schedules, (steps) => properties[of].holds(subject, steps)),
    { numRuns, seed: SEED, endOnFailure },
  );

beforeAll(() => void vi.spyOn(console, 'error').mockImplementation(() => {}));
afterAll(() => void vi.restoreAllMocks());

it.each([
  [
    'tells every event of an order once and in order, or of a gap, and is where the gateway is in the end',
    'orders',
  ],
  ['shows the riders of a zone where they are, none ever further back, and no one who has gone', 'zone'],
  ['sends every ping under one number until it is acknowledged, or says that it was dropped', 'rides'],
] as const)(
  '%s',
  async (_, of) => {
    const result = await play(of, sdk, SCHEDULES);
    if (result.failed) throw new Error(fc.defaultReportMessage(result), { cause: result.errorInstance });
  },
  600_000,
);

describe('is noticed when it is broken:', () => {
  it.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))(
    '%s',
    async (_, mutant) => {
      const result = await play(mutant.dies, await withMutant(mutant), MOST, true);
      if (process.env.SAY)
        process.stdout.write(`${mutant.name}: run ${result.failed ? result.numRuns : '-'}\n`);
      expect(result.failed, 'no schedule notices').toBe(true);
    },
    600_000,
  );
});
