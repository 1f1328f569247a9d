import fc from 'fast-check';
import { afterEach, expect, it, vi } from 'vitest';
import { watchFleet } from '../src/fleet.ts';
import { watchOrder } from '../src/order.ts';
import type { GatewayMessage, OrderEvent } from '../src/wire.ts';
import { cursor, event, order, positions, type Rig, rig, settle, tuple, watching } from './pair.ts';

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const LENGTH = 12;
const plain = (offset: number): OrderEvent => {
  const { t: _t, c: _c, ...e } = event(offset);
  return e;
};

/** What the gateway answers to a watch: what was missed since, or the snapshot. */
function answer(w: number, since: number | undefined, top: number, shown: number, full: boolean) {
  const events =
    since === undefined ? undefined : Array.from({ length: top - since }, (_, i) => plain(since + 1 + i));
  const state = order({ status: `s${top}`, at: 1000 + top, version: top });
  const block = [3, 1, full ? [tuple(1, 7, shown)] : []] as never;
  return watching({ w, cursor: cursor(top), order: state, block, ...(events ? { events } : {}) });
}

async function relink(r: Rig) {
  r.link.close(1006);
  r.gateway.happens('online');
  await settle(300);
  await r.welcome();
}

// Each step: what is on the wire, in any order, any number of times, and over any number of links.
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('event' as const), offset: fc.integer({ min: 1, max: LENGTH }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('position' as const),
      session: fc.integer({ min: 6, max: 8 }),
      seq: fc.integer({ min: 1, max: 20 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('answer' as const),
      ahead: fc.integer({ min: 0, max: 3 }),
      shown: fc.integer({ min: 1, max: 20 }),
      full: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('relink' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('hide' as const) }) },
);

it('applies every event once and in order and never shows an older position, however frames are shuffled', async () => {
  vi.useFakeTimers({ now: 1_764_000_000_000 });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const r = rig();
      const watch = watchOrder(r.client, '42');
      const applied: number[] = [];
      const shown: number[] = [];
      watch.on('event', (e) => {
        expect(watch.cursor!.offset).toBe(e.offset);
        expect(watch.snapshot!.status).toBe(`s${e.offset}`);
        applied.push(e.offset);
      });
      watch.on('position', (p) => shown.push(p.accuracy!));
      watch.on('gap', () => expect.unreachable('nothing was missed for good'));
      await r.welcome();
      r.link.give(answer(1, undefined, 0, 1, true));
      const give = (m: GatewayMessage) => r.link.give(m);
      for (const s of steps) {
        if (s.do === 'event') give(event(s.offset));
        else if (s.do === 'position') {
          // The accuracy carries the order of the position, to be read back from what is shown.
          give(positions([3, 0, [tuple(1, s.session, s.seq, { 9: s.session * 100 + s.seq })]]));
        } else if (s.do === 'hide') give(positions([3, 0, [], undefined, [[1, 'hidden']]]));
        else if (s.do === 'answer') {
          const here = watch.cursor!.offset;
          give(answer(1, here, Math.min(LENGTH, here + s.ahead), s.shown, s.full));
        } else {
          await relink(r);
        }
      }
      expect(applied).toEqual(applied.map((_, i) => i + 1));
      // When the shuffling stops, one answer makes it whole.
      give(answer(1, watch.cursor!.offset, LENGTH, 1, true));
      expect(applied).toEqual(Array.from({ length: LENGTH }, (_, i) => i + 1));
      const ranked = shown.filter((n) => n > 100);
      expect(ranked).toEqual([...ranked].sort((a, b) => a - b));
      r.client.close();
    }),
    { numRuns: 300 },
  );
});

it('never moves a rider of a fleet back, however frames, refs and links are shuffled', async () => {
  vi.useFakeTimers({ now: 1_764_000_000_000 });
  const rider = fc.integer({ min: 1, max: 3 });
  const seq = fc.integer({ min: 1, max: 15 });
  const frame = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('move' as const), rider, seq }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('out' as const), rider }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('full' as const), rider, seq }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('relink' as const), shift: fc.integer({ min: 0, max: 2 }) }),
    },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(frame, { maxLength: 60 }), async (frames) => {
      const r = rig();
      const fleet = watchFleet(r.client, { zone: '7' });
      const highest = new Map<string, number>();
      fleet.on('change', (items) => {
        for (const { id, position } of items.values()) {
          expect(position.accuracy!).toBeGreaterThanOrEqual(highest.get(id) ?? 0);
          highest.set(id, position.accuracy!);
        }
      });
      // Refs mean something else on every link.
      let shift = 0;
      const ref = (n: number) => ((n + shift) % 3) + 1;
      const names = () => [1, 2, 3].map((n) => [ref(n), `r${n}`, []] as [number, string, string[]]);
      const at = (n: number, s: number) => tuple(ref(n), 7, s, { 9: s });
      const introduce = () => r.link.give(watching({ channel: 'zone:7', block: [3, 1, [], names()] }));
      await r.welcome();
      introduce();
      for (const f of frames) {
        if (f.do === 'move') r.link.give(positions([3, 0, [at(f.rider, f.seq)]]));
        else if (f.do === 'out') r.link.give(positions([3, 0, [], undefined, [[ref(f.rider), 'left']]]));
        else if (f.do === 'full') r.link.give(positions([3, 1, [at(f.rider, f.seq)], names()]));
        else {
          shift = f.shift;
          await relink(r);
          introduce();
        }
        await settle(16);
      }
      r.client.close();
    }),
    { numRuns: 200 },
  );
});
