import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { advanced, Group, NOWHERE, type Standing } from '../src/fanout/groups.ts';
import { Round } from '../src/fanout/round.ts';
import { jsonCodec, msgpackCodec } from '../src/protocol/codec.ts';
import type { Block, Order } from '../src/protocol/messages.ts';
import { LIVE, LOST, type Position, STALE } from '../src/protocol/positions.ts';

const AGES = { staleAfterMs: 30_000, lostAfterMs: 120_000, positionTtlMs: 300_000 };

function position(rider: string, session: number, seq: number, heardAt = 0): Position {
  const where = { lat: session * 1000 + seq, lng: seq, fixAt: heardAt, heardAt };
  return {
    rider,
    session,
    seq,
    ...where,
    heading: null,
    speed: null,
    accuracy: null,
    verdict: 0,
  };
}

const order = (id: string, version: number, ended: boolean): Order => ({
  id,
  status: 's',
  at: 0,
  version,
  assignment: 1,
  ended,
});

/** A client as PROTOCOL.md wants it: applies blocks, and checks what a block may never do. */
class Watcher {
  standing: Standing = NOWHERE;
  readonly riders = new Map<string, { seq: number; session: number; freshness: number; orders: string[] }>();
  readonly orders = new Map<string, number>();
  private refs = new Map<number, string>();
  entered = 0;
  left = 0;

  read(group: Group): Block {
    const { block, ...sent } = group.changes(this.standing, 0);
    this.standing = advanced(this.standing, sent, group.clock);
    this.apply(block);
    return block;
  }

  private apply(block: Block): void {
    const [, full, tuples, named = [], out = [], orders = []] = block;
    if (full === 1) {
      this.riders.clear();
      this.orders.clear();
      this.refs = new Map();
    }
    for (const [ref, id, ids] of named) {
      if (!this.refs.has(ref)) this.entered++;
      this.refs.set(ref, id);
      const known = this.riders.get(id);
      if (known !== undefined) known.orders = ids;
      else this.riders.set(id, { seq: 0, session: 0, freshness: -1, orders: ids });
    }
    for (const [ref, session, seq, , , , freshness] of tuples) {
      const id = this.refs.get(ref);
      expect(id, `ref ${ref} is introduced before it is used`).toBeDefined();
      const row = this.riders.get(id!)!;
      expect(
        session > row.session || (session === row.session && seq >= row.seq),
        'no position goes back',
      ).toBe(true);
      Object.assign(row, { session, seq, freshness });
    }
    for (const [ref] of out) {
      const id = this.refs.get(ref);
      if (id === undefined) continue;
      this.left++;
      this.refs.delete(ref);
      if (![...this.refs.values()].includes(id)) this.riders.delete(id);
    }
    for (const { id, version, ended } of orders) {
      if (ended) this.orders.delete(id);
      else this.orders.set(id, version);
    }
  }
}

type Step =
  | { do: 'take'; rider: number; session: number; seq: number }
  | { do: 'leave'; rider: number }
  | { do: 'order'; id: number; version: number; ended: boolean }
  | { do: 'sweep'; now: number }
  | { do: 'flush'; watcher: number };

// biome-ignore format: a table
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('take' as const), rider: fc.nat(5), session: fc.integer({ min: 1, max: 3 }), seq: fc.integer({ min: 1, max: 20 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('leave' as const), rider: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('order' as const), id: fc.nat(3), version: fc.integer({ min: 1, max: 6 }), ended: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('sweep' as const), now: fc.nat(400_000) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('flush' as const), watcher: fc.nat(2) }) },
);

describe('a group', () => {
  it('brings every watcher to the same state, however slow it is and however small the blocks', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), fc.integer({ min: 1, max: 4 }), (steps, limit) => {
        const group = new Group(7, true, limit);
        const watchers = [new Watcher(), new Watcher(), new Watcher()];
        const flush = (watcher: Watcher) => watcher.read(group);
        for (const s of steps) {
          if (s.do === 'take') group.take(position(`r${s.rider}`, s.session, s.seq), [`o${s.seq}`]);
          else if (s.do === 'leave') group.leave(`r${s.rider}`, 'left');
          else if (s.do === 'order') group.putOrder(order(`o${s.id}`, s.version, s.ended));
          else if (s.do === 'sweep') group.sweep(s.now, AGES);
          else flush(watchers[s.watcher]!);
        }
        for (const watcher of watchers)
          for (let i = 0; i < 50 && watcher.standing.since < group.clock; i++) flush(watcher);
        const fresh = new Watcher();
        do flush(fresh);
        while (fresh.standing.since < group.clock);
        for (const watcher of watchers) {
          if (group.clock === 0) continue;
          expect(watcher.standing.since).toBe(group.clock);
          expect(Object.fromEntries(watcher.riders)).toEqual(Object.fromEntries(fresh.riders));
          expect(Object.fromEntries(watcher.orders)).toEqual(Object.fromEntries(fresh.orders));
        }
        expect([...fresh.riders.keys()].sort()).toEqual([...group.riders()].sort());
      }),
      { numRuns: 2000 },
    );
  });

  it('pairs every enter with exactly one leave for a watcher that sees each change', () => {
    const group = new Group(1, true, 100);
    const watcher = new Watcher();
    for (let i = 1; i <= 50; i++) {
      if (i % 3 === 0) group.leave('a', 'left');
      else group.take(position('a', 1, i), []);
      watcher.read(group);
    }
    expect(watcher.entered - watcher.left).toBe(group.size);
    expect(watcher.left).toBeGreaterThan(10);
  });

  it('gives everything anew to a watcher so far behind that departures are forgotten', () => {
    const group = new Group(1, true, 100);
    group.take(position('stays', 1, 1), []);
    group.take(position('goes', 1, 1), []);
    const watcher = new Watcher();
    watcher.read(group);
    group.leave('goes', 'left');
    for (let i = 0; i < 1200; i++) {
      group.take(position(`passes-${i}`, 1, 1), []);
      group.leave(`passes-${i}`, 'left');
    }
    expect(watcher.read(group)[1]).toBe(1);
    expect([...watcher.riders.keys()]).toEqual(['stays']);
  });

  it('encodes once for all who stand at the same clock, per codec', () => {
    const group = new Group(1, true, 100);
    group.take(position('a', 1, 1), []);
    group.take(position('b', 1, 1), []);
    const standing = { since: 1, known: 1, filling: false };
    const round = new Round(5);
    const block = (from: Standing, codec = jsonCodec) => round.block(group, from, codec);
    const first = block(standing);
    expect(block({ ...standing, known: 2 })).toBe(first);
    expect(block(standing, msgpackCodec)).not.toBe(first);
    expect(block({ ...standing, filling: true })).not.toBe(first);
    expect(block(NOWHERE)).not.toBe(first);
    // What comes while a round is sent is for the next one, but for those who leave.
    group.take(position('a', 1, 2), []);
    expect(block(standing)).toBe(first);
    expect(new Round(6).block(group, standing, jsonCodec)).not.toBe(first);
    group.leave('b', 'hidden');
    expect(block(standing)).not.toBe(first);
  });

  it('gives who stood alike before a round the same place after it, whatever came meanwhile', () => {
    const group = new Group(1, true, 100);
    group.take(position('a', 1, 1), []);
    const round = new Round(5);
    const places = [2, 3].map((seq) => {
      const block = round.block(group, NOWHERE, jsonCodec);
      group.take(position('a', 1, seq), []);
      return advanced(NOWHERE, block, block.clock);
    });
    expect(places[1]).toEqual(places[0]);
    expect(group.changes(places[1]!, 6).block[2].map(([, , seq]) => seq)).toEqual([3]);
  });

  it('cuts packed changes later than positions that go whole', () => {
    const group = new Group(1, true, 2);
    const riders = ['a', 'b', 'c', 'd', 'e'];
    for (const rider of riders) group.take(position(rider, 1, 1), []);
    const { clock } = group;
    const standing = { since: clock, known: clock, filling: false };
    expect(group.changes(NOWHERE, 0, true).more).toBe(true);
    for (const rider of riders) group.take(position(rider, 1, 2), []);
    expect(group.changes(standing, 0).more).toBe(true);
    expect(group.changes(standing, 0, true).more).toBe(false);
  });

  it('says live, stale, lost, and then lets the rider go', () => {
    const group = new Group(1, true, 100);
    group.take(position('a', 1, 1, 1000), []);
    const freshness = () => group.changes(NOWHERE, 0).block[2][0]?.[6];
    expect(freshness()).toBe(LIVE);
    expect(group.sweep(1000 + 30_000, AGES)).toBe(false);
    expect(group.sweep(1001 + 30_000, AGES)).toBe(true);
    expect(freshness()).toBe(STALE);
    group.sweep(1001 + 120_000, AGES);
    expect(freshness()).toBe(LOST);
    expect(group.take(position('a', 1, 2, 130_000), [])).toBe(true);
    expect(freshness()).toBe(LIVE);
    const before = group.clock;
    group.sweep(130_001 + 300_000, AGES);
    expect(group.changes({ since: before, known: before, filling: false }, 0).block[4]).toEqual([
      [1, 'expired'],
    ]);
    expect(group.size).toBe(0);
  });
});
