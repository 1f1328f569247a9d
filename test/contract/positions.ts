import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Backbone } from '../../src/backbone/backbone.ts';
import { isNewer, type ZonedPosition } from '../../src/protocol/positions.ts';
import { eventually, type Fleet, fresh, type MakeFleet } from './fleet.ts';

/** 2026-01-01, in seconds since 2025-01-01: a floor no clock of a test can be below. */
const YEAR = 365 * 86_400;

export function at(rider: string, session: number, seq: number, zone: string | null = null): ZonedPosition {
  const heardAt = Date.now();
  return {
    rider,
    session,
    seq,
    lat: -3_386_000 + seq,
    lng: 15_120_000,
    fixAt: heardAt - 700,
    heardAt,
    heading: seq % 2 ? 359 : null,
    speed: seq % 3 ? 0 : null,
    accuracy: seq % 5 ? 12 : null,
    verdict: seq % 4,
    zone,
  };
}

export function describePositions(fleet: () => Fleet, make: MakeFleet): void {
  const newest = async (node: Backbone, rider: string) => (await node.store.getPositions([rider]))[0];
  const ridersIn = async (node: Backbone, zone: string) =>
    (await node.store.zonePositions(zone)).map((p) => p.rider).sort();

  describe('positions', () => {
    test('the newest position wins, in whatever order and over whichever node it came', async () => {
      const { a, b } = fleet();
      const pings = fc.array(
        fc.record({
          session: fc.integer({ min: 1, max: 3 }),
          seq: fc.integer({ min: 1, max: 12 }),
          node: fc.constantFrom(a, b),
          alone: fc.boolean(),
        }),
        { minLength: 1, maxLength: 24 },
      );
      await fc.assert(
        fc.asyncProperty(pings, async (list) => {
          const rider = fresh('r');
          const batches = new Map([a, b].map((node) => [node, [] as ZonedPosition[]]));
          const puts: Promise<void>[] = [];
          let best: ZonedPosition | undefined;
          for (const { session, seq, node, alone } of list) {
            const position = at(rider, session, seq);
            if (isNewer(position, best)) best = position;
            if (alone) puts.push(node.store.putPositions([position]));
            else batches.get(node)!.push(position);
          }
          for (const [node, batch] of batches) puts.push(node.store.putPositions(batch));
          await Promise.all(puts);
          for (const node of [a, b]) {
            const kept = await newest(node, rider);
            expect([kept?.session, kept?.seq]).toEqual([best?.session, best?.seq]);
          }
        }),
        { numRuns: 60 },
      );
    });

    test('numbers far beyond 32 bits are still compared exactly', async () => {
      const { a, b } = fleet();
      const rider = fresh('r');
      await a.store.putPositions([at(rider, 2 ** 33, 2 ** 48)]);
      await b.store.putPositions([at(rider, 2 ** 33, 2 ** 48 - 1)]);
      expect((await newest(a, rider))?.seq).toBe(2 ** 48);
      await b.store.putPositions([at(rider, 2 ** 33 + 1, 1)]);
      expect((await newest(a, rider))?.seq).toBe(1);
    });

    test('positions are given in the order asked, whole, with gaps where there are none', async () => {
      const { a, b } = fleet();
      const riders = Array.from({ length: 1200 }, () => fresh('r'));
      const known = riders.filter((_, i) => i % 3 !== 1);
      const put = known.map((rider, i) => at(rider, 5, i + 1, i % 2 ? 'harbour' : null));
      await a.store.putPositions(put);
      const expected = riders.map((rider) => put.find((p) => p.rider === rider));
      expect(await b.store.getPositions(riders)).toEqual(expected);
      expect(await b.store.getPositions([])).toEqual([]);
    });

    test('a rider that moves is in one zone, the newest one', async () => {
      const { a, b } = fleet();
      const [rider, other] = [fresh('r'), fresh('r')];
      const [east, west] = [fresh('z'), fresh('z')];
      await a.store.putPositions([at(rider, 1, 1, east), at(other, 1, 1, east)]);
      expect(await ridersIn(b, east)).toEqual([rider, other].sort());
      await b.store.putPositions([at(rider, 1, 2, west)]);
      expect([await ridersIn(a, east), await ridersIn(a, west)]).toEqual([[other], [rider]]);
      await a.store.putPositions([at(rider, 1, 3, east)]);
      expect([await ridersIn(b, east), await ridersIn(b, west)]).toEqual([[rider, other].sort(), []]);
      await a.store.putPositions([at(rider, 1, 4, null)]);
      expect([await ridersIn(b, east), await ridersIn(b, west)]).toEqual([[other], []]);
    });

    test('an older position from another zone moves nobody', async () => {
      const { a, b } = fleet();
      const rider = fresh('r');
      const [east, west] = [fresh('z'), fresh('z')];
      await a.store.putPositions([at(rider, 2, 2, east)]);
      await b.store.putPositions([at(rider, 2, 1, west), at(rider, 1, 9, west)]);
      expect([await ridersIn(a, east), await ridersIn(a, west)]).toEqual([[rider], []]);
    });

    test('a position is as it was when it was put, whatever is written over it', async () => {
      const { a, b } = fleet();
      const rider = fresh('r');
      const [east, west] = [fresh('z'), fresh('z')];
      const put = at(rider, 1, 1, east);
      const stored = a.store.putPositions([put]);
      Object.assign(put, at(rider, 1, 2, west));
      await stored;
      expect((await newest(b, rider))?.seq).toBe(1);
      expect([await ridersIn(b, east), await ridersIn(b, west)]).toEqual([[rider], []]);
    });

    test('a position is forgotten when its time is over', async () => {
      const { a, b, stop } = await make({ positionTtlMs: 150 });
      const [rider, zone] = [fresh('r'), fresh('z')];
      await a.store.putPositions([at(rider, 1, 1, zone)]);
      expect(await ridersIn(b, zone)).toEqual([rider]);
      await eventually(async () => (await newest(b, rider)) === undefined);
      expect(await ridersIn(b, zone)).toEqual([]);
      await stop();
    });
  });

  describe('rider sessions', () => {
    test('numbers grow strictly over both nodes and start above the seconds since 2025', async () => {
      const { a, b } = fleet();
      const rider = fresh('r');
      expect(await a.store.currentSession(rider)).toBe(0);
      const numbers: number[] = [];
      for (let i = 0; i < 20; i++) numbers.push(await (i % 3 ? a : b).store.nextSession(rider));
      expect(numbers[0]).toBeGreaterThan(YEAR);
      expect(numbers).toEqual(Array.from({ length: 20 }, (_, i) => numbers[0]! + i));
      expect(await b.store.currentSession(rider)).toBe(numbers.at(-1));
    });

    test('two nodes that ask at once get different numbers', async () => {
      const { a, b } = fleet();
      const rider = fresh('r');
      const asked = Array.from({ length: 50 }, (_, i) => (i % 2 ? a : b).store.nextSession(rider));
      expect(new Set(await Promise.all(asked)).size).toBe(50);
    });
  });
}
