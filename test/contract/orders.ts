import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Backbone } from '../../src/backbone/backbone.ts';
import type { Append, Appended } from '../../src/backbone/store.ts';
import { decodeBus, type LogEntry } from '../../src/protocol/bus-messages.ts';
import type { Cursor } from '../../src/protocol/messages.ts';
import { eventually, type Fleet, fresh, Inbox } from './fleet.ts';

/** A change with a text that would break any separator. */
function change(order: string, expect: number, key = fresh('k'), ttl = 60_000): Append {
  const data = JSON.stringify({ type: 'näher|E|\n', n: expect + 1 });
  return { order, key, expect, data, snapshot: JSON.stringify({ n: expect + 1, s: '東京|' }), ttl };
}

export async function write(
  node: Backbone,
  order: string,
  count: number,
  from = 0,
  ttl?: number,
): Promise<Cursor[]> {
  const cursors: Cursor[] = [];
  for (let i = from; i < from + count; i++) {
    const appended = await node.store.append(change(order, i, undefined, ttl));
    if (appended.result !== 'appended') throw new Error(`not appended: ${appended.result}`);
    cursors.push(appended.cursor);
  }
  return cursors;
}

export function describeOrders(fleet: () => Fleet): void {
  describe('order log', () => {
    test('an order nobody wrote is unknown', async () => {
      const { store } = fleet().a;
      const order = fresh('o');
      expect(await store.readOrder(order)).toBeUndefined();
      expect(await store.recover(order, { epoch: 'e', offset: 1, id: 'i' }, 10)).toBeUndefined();
    });

    test('an append moves the cursor and the snapshot', async () => {
      const { a, b } = fleet();
      const order = fresh('o');
      const [first, second] = await write(a, order, 2);
      expect([first!.offset, second!.offset]).toEqual([1, 2]);
      expect(second!.epoch).toBe(first!.epoch);
      expect(second!.id).not.toBe(first!.id);
      const snapshot = change(order, 1).snapshot;
      expect(await b.store.readOrder(order)).toEqual({ cursor: second, snapshot });
    });

    test('the same key gives the same cursor and one event', async () => {
      const { a, b } = fleet();
      const inbox = new Inbox(a);
      const order = fresh('o');
      await a.bus.subscribe(`order:${order}`);
      const [first] = await write(a, order, 1);
      const once = change(order, 1);
      const tries = await Promise.all([a, b, a, b].map((node) => node.store.append(once)));
      await write(b, order, 1, 2);
      tries.push(await a.store.append(once), await b.store.append({ ...once, expect: -1 }));
      expect(tries.map((t) => t.result).sort()).toEqual(['appended', ...Array(5).fill('duplicate')]);
      const cursors = tries.map((t) => (t as { cursor: Cursor }).cursor);
      for (const cursor of cursors) expect(cursor).toEqual(cursors[0]);
      await inbox.until(() => inbox.on(`order:${order}`).length >= 3);
      expect((await a.store.recover(order, first!, 100))?.entries.map((e) => e.offset)).toEqual([2, 3]);
      expect(inbox.on(`order:${order}`)).toHaveLength(3);
    });

    test('of changes computed on the same offset exactly one is appended', async () => {
      const { a, b } = fleet();
      const order = fresh('o');
      for (let top = 0; top < 5; top++) {
        const tries = Array.from({ length: 6 }, (_, i) => (i % 2 ? a : b).store.append(change(order, top)));
        const results = await Promise.all(tries);
        expect(results.filter((r) => r.result === 'appended')).toHaveLength(1);
        for (const r of results) if (r.result === 'conflict') expect(r.offset).toBe(top + 1);
      }
    });

    test('an offset the log does not have changes nothing', async () => {
      const { store } = fleet().a;
      const order = fresh('o');
      expect(await store.append(change(order, 3))).toEqual({ result: 'conflict', offset: 0 });
      expect(await store.append(change(order, -1))).toEqual({ result: 'conflict', offset: 0 });
      expect(await store.readOrder(order)).toBeUndefined();
    });

    test('what two nodes wrote at once is one chain, and the bus says what the log says', async () => {
      const { a, b } = fleet();
      const inbox = new Inbox(b);
      const order = fresh('o');
      await b.bus.subscribe(`order:${order}`);
      const [start] = await write(a, order, 1);
      await Promise.all([a, b].map((node) => contend(node, order, 15)));
      const { entries, state, verdict } = (await a.store.recover(order, start!, 100))!;
      expect(verdict).toBe('ok');
      expect(entries.map((e) => e.offset)).toEqual(Array.from({ length: 30 }, (_, i) => i + 2));
      expect(entries.map((e) => e.prev)).toEqual([start!.id, ...entries.slice(0, -1).map((e) => e.id)]);
      const { epoch, offset, id } = entries.at(-1)!;
      expect(state.cursor).toEqual({ epoch, offset, id });
      await inbox.until(() => inbox.heard.length === 31);
      const heard = inbox.heard.map(
        ({ payload }) => (decodeBus(payload) as unknown as { entry: LogEntry }).entry,
      );
      expect(heard[0]).toMatchObject({ offset: 1, prev: '', id: start!.id, data: change(order, 0).data });
      expect(heard.slice(1)).toEqual(entries);
      expect(Math.abs(heard[0]!.at - Date.now())).toBeLessThan(600_000);
    });

    test('a log that ended begins a new epoch, and keys of the old one are free', async () => {
      const { a, b } = fleet();
      const order = fresh('o');
      const key = fresh('k');
      const long = (await a.store.append(change(order, 0, key, 60_000))) as { cursor: Cursor };
      await write(a, order, 1, 1, 30);
      await eventually(async () => (await b.store.readOrder(order)) === undefined);
      const again = await b.store.append(change(order, 0, key));
      expect(again).toMatchObject({ result: 'appended', cursor: { offset: 1 } });
      expect((again as { cursor: Cursor }).cursor.epoch).not.toBe(long.cursor.epoch);
      expect((await a.store.recover(order, long.cursor, 100))?.verdict).toBe('epoch');
    });
  });

  describe('recover', () => {
    test('from every point of a log gives exactly what was missed', async () => {
      const { a, b } = fleet();
      const order = fresh('o');
      const cursors = await write(a, order, 12);
      for (const [i, cursor] of cursors.entries()) {
        const { verdict, entries, state } = (await b.store.recover(order, cursor, 50))!;
        expect(verdict).toBe('ok');
        expect(entries.map(({ epoch, offset, id }) => ({ epoch, offset, id }))).toEqual(cursors.slice(i + 1));
        expect(state).toEqual({ cursor: cursors.at(-1), snapshot: change(order, 11).snapshot });
      }
    });

    test('a cursor that is not of this log is named, and gets the snapshot only', async () => {
      const { a, b } = fleet();
      const order = fresh('o');
      const cursors = await write(a, order, 5);
      const [second, last] = [cursors[1]!, cursors[4]!];
      const verdictOf = async (since: Cursor, limit = 50) => {
        const { verdict, entries, state } = (await b.store.recover(order, since, limit))!;
        if (verdict !== 'ok') expect(entries).toEqual([]);
        expect(state.cursor).toEqual(last);
        return verdict;
      };
      expect(await verdictOf({ ...second, epoch: 'another' })).toBe('epoch');
      expect(await verdictOf({ ...last, offset: 6 })).toBe('ahead');
      expect(await verdictOf({ ...second, id: 'phantom' })).toBe('diverged');
      expect(await verdictOf({ ...last, id: 'phantom' })).toBe('diverged');
      expect(await verdictOf({ ...second, offset: 0 })).toBe('diverged');
      expect(await verdictOf(second, 2)).toBe('limit');
      expect(await verdictOf(second, 3)).toBe('ok');
    });

    test('the log read with a tail holds its last entries, as many as asked for and kept', async () => {
      const { a, b } = fleet();
      const order = fresh('o');
      expect(await a.store.readLog(order, 10)).toBeUndefined();
      const cursors = await write(a, order, 7);
      for (const tail of [0, 1, 4, 7, 50]) {
        const { cursor, snapshot, entries } = (await b.store.readLog(order, tail))!;
        expect({ cursor, snapshot }).toEqual({ cursor: cursors[6], snapshot: change(order, 6).snapshot });
        expect(entries.map(({ epoch, offset, id }) => ({ epoch, offset, id }))).toEqual(
          tail === 0 ? [] : cursors.slice(-tail),
        );
        if (tail >= 7)
          expect(entries.map((e) => e.data)).toEqual(cursors.map((_, i) => change(order, i).data));
      }
    });

    test('the heads are where the logs stand, in the order asked', async () => {
      const { a, b } = fleet();
      const [one, none, two] = [fresh('o'), fresh('o'), fresh('o')];
      const [first] = await write(a, one, 1);
      const [, second] = await write(a, two, 2);
      expect(await b.store.heads([two, none, one])).toEqual([second, undefined, first]);
      expect(await b.store.heads([])).toEqual([]);
    });

    test('says trimmed when the log no longer reaches back', async () => {
      const { a } = fleet();
      const order = fresh('o');
      const cursors = await write(a, order, 420);
      const verdictAt = async (i: number) => (await a.store.recover(order, cursors[i]!, 1000))?.verdict;
      expect(await verdictAt(0)).toBe('trimmed');
      expect(await verdictAt(419 - 200)).toBe('ok');
    });

    test('is right for any cursor at all', async () => {
      const { a, b } = fleet();
      const order = fresh('o');
      const cursors = await write(a, order, 9);
      const since = fc.record({
        epoch: fc.constantFrom(cursors[0]!.epoch, 'other'),
        offset: fc.nat({ max: 12 }),
        id: fc.constantFrom(...cursors.map((c) => c.id), 'phantom'),
      });
      await fc.assert(
        fc.asyncProperty(since, fc.integer({ min: 1, max: 10 }), async (cursor, limit) => {
          const { verdict, entries } = (await b.store.recover(order, cursor, limit))!;
          const place = cursors.findIndex((c) => JSON.stringify(c) === JSON.stringify(cursor));
          const missed = cursors.slice(place + 1);
          expect(verdict === 'ok').toBe(place >= 0 && missed.length <= limit);
          expect(entries.map((e) => e.id)).toEqual(verdict === 'ok' ? missed.map((c) => c.id) : []);
        }),
        { numRuns: 200 },
      );
    });
  });

  describe('order index', () => {
    for (const of of ['rider', 'partner'] as const) {
      test(`of a ${of} holds what was put and not what was removed`, async () => {
        const { a, b } = fleet();
        const index = { of, id: fresh('x') };
        expect(await a.store.indexedOrders(index)).toEqual([]);
        await a.store.indexOrder(index, 'o1', 1, 'one|1');
        await b.store.indexOrder(index, 'o2', 4, 'two');
        await a.store.indexOrder(index, 'o1', 2, '{"v":"2|3"}');
        expect((await b.store.indexedOrders(index)).sort()).toEqual(['two', '{"v":"2|3"}']);
        await b.store.indexOrder(index, 'o1', 3, undefined);
        expect(await a.store.indexedOrders(index)).toEqual(['two']);
        expect(await a.store.indexedOrders({ of, id: fresh('x') })).toEqual([]);
      });
    }

    test('a rider and a partner of the same id do not share an index', async () => {
      const { store } = fleet().a;
      const id = fresh('x');
      await store.indexOrder({ of: 'rider', id }, 'o1', 1, 'r');
      expect(await store.indexedOrders({ of: 'partner', id })).toEqual([]);
    });

    test('a late lower version changes nothing, removed or not; a higher one brings the order back', async () => {
      const { a, b } = fleet();
      const index = { of: 'rider', id: fresh('x') } as const;
      await a.store.indexOrder(index, 'o', 10, 'ten');
      await b.store.indexOrder(index, 'o', 9, 'nine');
      await b.store.indexOrder(index, 'o', 9, undefined);
      expect(await a.store.indexedOrders(index)).toEqual(['ten']);
      await a.store.indexOrder(index, 'o', 11, undefined);
      await b.store.indexOrder(index, 'o', 10, 'ten');
      expect(await a.store.indexedOrders(index)).toEqual([]);
      await b.store.indexOrder(index, 'o', 12, 'twelve');
      expect(await a.store.indexedOrders(index)).toEqual(['twelve']);
    });

    test('any order of the same writes ends alike', async () => {
      const { a, b } = fleet();
      const versions = fc.uniqueArray(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 10 });
      await fc.assert(
        fc.asyncProperty(versions, fc.integer({ min: 2, max: 4 }), async (list, removal) => {
          const index = { of: 'partner', id: fresh('x') } as const;
          const recordOf = (version: number) => (version % removal === 0 ? undefined : `v${version}`);
          await Promise.all(
            list.map((version, i) =>
              (i % 2 ? a : b).store.indexOrder(index, 'o', version, recordOf(version)),
            ),
          );
          const last = recordOf(Math.max(...list));
          expect(await a.store.indexedOrders(index)).toEqual(last === undefined ? [] : [last]);
        }),
        { numRuns: 60 },
      );
    });
  });
}

/** Appends so many entries against another writer, trying again on every conflict. */
async function contend(node: Backbone, order: string, count: number): Promise<void> {
  let top = (await node.store.readOrder(order))!.cursor.offset;
  for (let done = 0; done < count; ) {
    const appended: Appended = await node.store.append(change(order, top));
    if (appended.result === 'conflict') {
      top = appended.offset;
      continue;
    }
    top = appended.cursor.offset;
    done += 1;
  }
}
