import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundOf } from '../src/fanout/channel.ts';
import { advanced, Group, NOWHERE } from '../src/fanout/groups.ts';
import type { PositionTuple } from '../src/protocol/messages.ts';
import type { Position } from '../src/protocol/positions.ts';
import { type Moving, motion, predictionError } from '../src/protocol/predict.ts';

const START = 1_764_000_000_000;

function position(seq: number, at: number, more: Partial<Position> = {}): Position {
  return {
    rider: 'r',
    session: 1,
    seq,
    lat: 5_250_000,
    lng: 1_340_000,
    fixAt: at,
    heardAt: at,
    heading: null,
    speed: null,
    accuracy: null,
    verdict: 0,
    ...more,
  };
}

/** A rider that turns and changes its speed at random, one fix a second. */
const ride = fc.array(fc.tuple(fc.integer({ min: -60, max: 60 }), fc.integer({ min: 0, max: 150 })), {
  minLength: 5,
  maxLength: 60,
});

function drive(steps: readonly (readonly [turn: number, speed: number])[], told: boolean): Position[] {
  let [heading, lat, lng] = [0, 5_250_000, 1_340_000];
  return steps.map(([turn, speed], i) => {
    heading = (heading + turn + 360) % 360;
    const units = speed / 10 / 1.11195;
    lat += Math.round(units * Math.cos((heading * Math.PI) / 180));
    lng += Math.round((units * Math.sin((heading * Math.PI) / 180)) / Math.cos((52.5 * Math.PI) / 180));
    const moves = told ? { heading, speed } : {};
    return position(i + 1, START + i * 1000, { lat, lng, ...moves });
  });
}

/** What a watcher of the group was sent last. */
function follower(group: Group) {
  let standing = NOWHERE;
  let frames = 0;
  let shown: Moving | undefined;
  return {
    get shown() {
      return shown!;
    },
    get frames() {
      return frames;
    },
    look(at: number) {
      if (standing.since >= group.clock) return;
      const { block, ...sent } = group.changes(standing, at);
      standing = advanced(standing, sent, group.clock);
      frames++;
      for (const tuple of block[2]) shown = fromTuple(tuple, at);
    },
  };
}

const fromTuple = (
  [, , , lat, lng, age, , heading = null, speed = null]: PositionTuple,
  at: number,
): Moving => ({
  lat,
  lng,
  fixAt: at - age,
  heading,
  speed,
});

describe('a watch that allows an error', () => {
  it.each([true, false])('never shows a dot that is further off than that (motion told: %s)', (told) => {
    fc.assert(
      fc.property(ride, fc.constantFrom(1, 5, 20), (steps, bound) => {
        const group = new Group(1, true, 10, bound);
        const watcher = follower(group);
        for (const actual of drive(steps, told)) {
          group.take(actual, []);
          watcher.look(actual.fixAt);
          expect(predictionError(watcher.shown, actual)).toBeLessThanOrEqual(bound);
        }
      }),
    );
  });

  it('is sent next to nothing while a rider goes straight on, and told at the latest every ten seconds', () => {
    const group = new Group(1, true, 10, 5);
    const watcher = follower(group);
    const straight = drive(Array(60).fill([0, 80]), true);
    for (const actual of straight) {
      group.take(actual, []);
      watcher.look(actual.fixAt);
    }
    expect(watcher.frames).toBe(6);
  });

  it('is shown where the rider was last heard when it falls silent', () => {
    const group = new Group(1, true, 10, 50);
    const watcher = follower(group);
    const [first, second] = drive([[0, 80], [5, 80]], true); // biome-ignore format: two steps
    group.take(first!, []);
    watcher.look(START);
    group.take(second!, []);
    watcher.look(START + 1000);
    expect(watcher.frames).toBe(1);
    group.sweep(START + 40_000, { staleAfterMs: 30_000, lostAfterMs: 60_000, positionTtlMs: 90_000 });
    watcher.look(START + 40_000);
    expect([watcher.shown.lat, watcher.shown.lng]).toEqual([second!.lat, second!.lng]);
  });

  it('knows the newest ping all the same: none that is older comes back', () => {
    const group = new Group(1, true, 10, 50);
    const [first, second] = drive([[0, 80], [0, 80]], true); // biome-ignore format: two steps
    group.take(first!, []);
    expect(group.take(second!, [])).toBe(false);
    expect(group.newest('r')).toBe(second);
    group.leave('r', 'left');
    expect(group.take(second!, [])).toBe(true);
  });

  it('starts from what the others of its channel know', () => {
    const exact = new Group(1, true, 10);
    for (const [i, at] of drive(Array(5).fill([0, 80]), true).entries())
      exact.take({ ...at, rider: `r${i}` }, ['o']);
    const { block } = exact.bounded(5).changes(NOWHERE, START + 5000);
    expect(block[2]).toHaveLength(5);
    expect(block[3]!.map(([, rider, orders]) => [rider, orders])).toContainEqual(['r3', ['o']]);
  });

  it('shares its bound with others: the next one below what was asked for', () => {
    expect([undefined, 0, 0.5, 1, 3, 5, 49, 1e5].map(boundOf)).toEqual([0, 0, 0, 1, 2, 5, 20, 100]);
  });
});

describe('the motion between two fixes', () => {
  it('predicts the second from the first', () => {
    const step = fc.record({
      lat: fc.integer({ min: -8_000_000, max: 8_000_000 }),
      lng: fc.integer({ min: -18_000_000, max: 18_000_000 }),
      dLat: fc.integer({ min: -30, max: 30 }),
      dLng: fc.integer({ min: -30, max: 30 }),
    });
    fc.assert(
      fc.property(step, ({ lat, lng, dLat, dLng }) => {
        const from = { lat, lng, fixAt: START, heading: null, speed: null };
        const to = {
          ...from,
          lat: lat + dLat,
          lng: ((lng + dLng + 54_000_000) % 36_000_000) - 18_000_000,
          fixAt: START + 1000,
        };
        const moved = { ...from, ...motion(from, to) };
        // Heading is known to half a degree and speed to 5 cm/s; below a metre it stands.
        expect(predictionError(moved, to)).toBeLessThan(1.1);
      }),
    );
  });
});
