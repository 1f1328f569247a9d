import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Rider, type RiderRules } from '../src/ingest/rider.ts';
import { isNewer, type Position } from '../src/protocol/positions.ts';

const RULES: RiderRules = { zones: undefined, pingsPerSecond: 1000, keepAliveMs: 0, minMoveM: 1 };
const at = (seq: number, lat = seq / 1000, lng = 0) => ({ seq, lat, lng });

describe('a rider', () => {
  it('never goes back, whatever is shuffled, repeated or split over two nodes', () => {
    const frame = fc.record({
      node: fc.nat(1),
      session: fc.integer({ min: 1, max: 3 }),
      seqs: fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 5 }),
    });
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 60 }), (frames) => {
        const nodes = [new Rider('r', RULES), new Rider('r', RULES)];
        let shown: Position | undefined; // a watcher hears both nodes and keeps the newer
        const best = new Map<number, number>();
        frames.forEach(({ node, session, seqs }, i) => {
          const taken = nodes[node]!.take(
            session,
            seqs.map((seq) => at(seq)),
            i * 1000,
          );
          for (const [, verdict] of taken.verdicts)
            expect(['taken', 'overtaken', 'duplicate']).toContain(verdict);
          best.set(session, Math.max(best.get(session) ?? 0, ...seqs));
          if (taken.shown !== undefined && isNewer(taken.shown, shown)) shown = { ...taken.shown };
        });
        if (frames.length === 0) return;
        const newest = Math.max(...best.keys());
        expect([shown!.session, shown!.seq]).toEqual([newest, best.get(newest)]);
      }),
    );
  });

  it('shows of a batch only the newest, in whatever order it comes', () => {
    const rider = new Rider('r', RULES);
    const { shown, verdicts } = rider.take(1, [at(3), at(1), at(2)], 0);
    expect(shown).toMatchObject({ seq: 3, lat: 300 });
    expect(verdicts).toEqual([
      [1, 'overtaken'],
      [2, 'overtaken'],
      [3, 'taken'],
    ]);
    // biome-ignore format: one line
    expect(rider.take(1, [at(2), at(3)], 1000)).toMatchObject({ shown: undefined, verdicts: [[2, 'duplicate'], [3, 'duplicate']] });
  });

  it('takes a fix from the future as one of now, and keeps an old one old', () => {
    const rider = new Rider('r', RULES);
    expect(rider.take(1, [{ ...at(1), at: 99_000 }], 5000).shown!.fixAt).toBe(5000);
    expect(rider.take(1, [{ ...at(2), at: 2000 }], 6000).shown!.fixAt).toBe(2000);
    expect(rider.take(1, [at(3)], 7000).shown!.fixAt).toBe(7000);
  });

  it('suppresses what has not moved until the keep-alive is due', () => {
    const rider = new Rider('r', { ...RULES, keepAliveMs: 10_000 });
    const verdict = (seq: number, lat: number, now: number) =>
      rider.take(1, [at(seq, lat)], now).verdicts[0]![1];
    expect(verdict(1, 1, 0)).toBe('taken');
    expect(verdict(2, 1.000004, 1000)).toBe('still'); // 0.4 m
    expect(verdict(3, 1.00002, 2000)).toBe('taken'); // 2 m
    expect(verdict(4, 1.00002, 11_999)).toBe('still');
    expect(verdict(5, 1.00002, 12_000)).toBe('taken');
    expect(rider.take(2, [at(1, 1.00002)], 12_500).verdicts[0]![1]).toBe('taken'); // a new session always shows
  });

  it('refuses frames beyond its rate, and goes on when the bucket has filled', () => {
    const rider = new Rider('r', { ...RULES, pingsPerSecond: 5 });
    const verdicts = Array.from({ length: 25 }, (_, i) => rider.take(1, [at(i + 1)], 0).verdicts[0]![1]);
    expect(verdicts.filter((v) => v === 'taken')).toHaveLength(20);
    expect(verdicts.slice(20)).toEqual(Array(5).fill('rate'));
    expect(rider.take(1, [at(26)], 1000)).toMatchObject({ shown: { seq: 26 } });
  });

  it('takes a long batch after a tunnel as few frames', () => {
    const rider = new Rider('r', { ...RULES, pingsPerSecond: 5 });
    const batch = Array.from({ length: 500 }, (_, i) => at(i + 1));
    expect(rider.take(1, batch, 0).shown?.seq).toBe(500);
    expect(rider.take(1, [at(501)], 0).shown?.seq).toBe(501);
  });

  it('says which zone it left, once', () => {
    const zones = { find: (lat: number) => (lat < 1 ? 'south' : lat < 2 ? 'north' : null) };
    const rider = new Rider('r', { ...RULES, zones });
    const step = (seq: number, lat: number) => {
      const { shown, left } = rider.take(1, [at(seq, lat)], seq * 1000);
      return [shown!.zone, left];
    };
    expect(step(1, 0.5)).toEqual(['south', undefined]);
    expect(step(2, 1.5)).toEqual(['north', 'south']);
    expect(step(3, 1.6)).toEqual(['north', undefined]);
    expect(step(4, 2.5)).toEqual([null, 'north']);
    expect(step(5, 0.5)).toEqual(['south', undefined]);
  });

  it('keeps one object, and writes every position over the one before', () => {
    const rider = new Rider('r', RULES);
    rider.take(1, [at(1)], 0);
    const { newest } = rider;
    rider.take(1, [at(2)], 1000);
    expect(rider.newest).toBe(newest);
    expect(newest?.seq).toBe(2);
    const stored = { ...newest!, seq: 3 };
    rider.learn(stored);
    rider.take(1, [at(4)], 2000);
    expect([newest?.seq, stored.seq]).toEqual([4, 3]);
  });

  it('goes on from what the store knows', () => {
    const first = new Rider('r', RULES);
    const { shown } = first.take(5, [at(9)], 0);
    const second = new Rider('r', RULES);
    second.learn(shown!);
    expect(second.seqOf(5)).toBe(9);
    expect(second.take(5, [at(9)], 1000).verdicts).toEqual([[9, 'duplicate']]);
    expect(second.take(4, [at(50)], 1000).verdicts).toEqual([[50, 'duplicate']]);
    expect(second.take(5, [at(10)], 1000).shown?.seq).toBe(10);
  });
});
