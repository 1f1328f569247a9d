import { describe, expect, it } from 'vitest';
import { CreditWindow } from '../src/edge/credit-window.ts';
import { Outbox, type Socket } from '../src/edge/outbox.ts';
import { Group, NOWHERE } from '../src/fanout/groups.ts';
import { Round } from '../src/fanout/round.ts';
import type { Subscription } from '../src/fanout/subscription.ts';
import { Counts } from '../src/observe/metrics.ts';
import { jsonCodec } from '../src/protocol/codec.ts';
import type { GatewayMessages } from '../src/protocol/messages.ts';
import { fromRecord } from '../src/protocol/positions.ts';

const BLOCK = 2;

/** A socket of which the test says how it takes what is sent, and the outbox on it. */
function outbox(creditFrames?: number, creditBytes = 1e6) {
  const frames: GatewayMessages['positions'][] = [];
  const bytesSent: Uint8Array[] = [];
  const told = { later: 0, behind: 0 };
  const clock = { at: 1000 };
  const wire = { takes: 'sent' as ReturnType<Socket['send']> };
  const out = new Outbox({
    socket: {
      codec: jsonCodec,
      send(bytes) {
        bytesSent.push(bytes);
        if (wire.takes !== 'dropped') frames.push(jsonCodec.decode(bytes) as GatewayMessages['positions']);
        return wire.takes;
      },
      close() {},
      buffered: () => 0,
    },
    codec: jsonCodec,
    audience: 'operator',
    node: { counts: new Counts(), now: () => clock.at },
    window: creditFrames === undefined ? undefined : new CreditWindow(creditFrames, creditBytes),
    host: {
      // As the hub does it: a flush soon, and whoever has more to send by then waits for the tick.
      later() {
        if (out.flush(new Round(clock.at))) told.later++;
      },
      answerable() {},
      behind: () => told.behind++,
      forget() {},
      started() {},
    },
  });
  return { out, frames, bytesSent, told, clock, wire };
}

/** A zone with so many riders, and its watch that was sent nothing yet. */
function zone(out: Outbox, riders: number, minIntervalMs = 0): Subscription {
  const group = new Group(7, true, BLOCK);
  for (let i = 0; i < riders; i++) arrive(group, i);
  const start = { standing: NOWHERE, marked: false, dueAt: 0, offset: 0 };
  const watch = { subscriber: out, w: 1, group, minIntervalMs, ...start };
  out.mark(watch);
  return watch;
}

function arrive(group: Group, i: number): void {
  group.take(fromRecord([`r${i}`, 1, 1, 0, 0, 1000, 1000, null, null, null, 0]), []);
}

describe('outboxes of one group', () => {
  it('share the bytes of a frame, as long as they stand alike and have nothing else to say', () => {
    const [one, other, third] = [outbox(), outbox(), outbox()];
    const group = new Group(7, true, 10);
    arrive(group, 0);
    const round = new Round(1000);
    for (const { out } of [one, other, third]) {
      const same = { minIntervalMs: 0, standing: NOWHERE, marked: false, dueAt: 0, offset: 0 };
      out.mark({ subscriber: out, w: 1, group, ...same });
      if (out === third.out) zone(out, 1);
      out.flush(round);
    }
    expect(other.bytesSent[0]).toBe(one.bytesSent[0]);
    expect(third.bytesSent[0]).not.toBe(one.bytesSent[0]);
    expect(third.frames[0]!.b).toHaveLength(2);
  });

  it('share it where the node is overloaded and blocks are cut, too: there it counts most', () => {
    const [one, other] = [outbox(), outbox()];
    const group = new Group(7, true, BLOCK);
    for (let i = 0; i < BLOCK + 1; i++) arrive(group, i);
    const round = new Round(1000, 500);
    for (const { out } of [one, other]) {
      const start = { minIntervalMs: 0, standing: NOWHERE, marked: false, dueAt: 0, offset: 0 };
      out.mark({ subscriber: out, w: 1, group, ...start });
      out.flush(round);
    }
    expect(one.frames).toMatchObject([{ every: 500, more: [7] }]);
    expect(other.bytesSent[0]).toBe(one.bytesSent[0]);
  });
});

/** Riders in each frame, by their refs. */
const refs = (frames: readonly GatewayMessages['positions'][]) =>
  frames.map(({ b }) => b.flatMap((block) => block[2].map(([ref]) => ref)));

describe('an outbox that may go on', () => {
  it('waits for credit, not for the tick, when all of it is used up', () => {
    const { out, frames, told } = outbox(1);
    zone(out, 5);
    expect(out.flush(new Round(1000))).toBe(false);
    expect([refs(frames), told.later]).toEqual([[[1, 2]], 0]);
    out.credit(1);
    // The one frame of credit is used up again: the next credit goes on, not the tick.
    expect([refs(frames), told.later]).toEqual([
      [
        [1, 2],
        [3, 4],
      ],
      0,
    ]);
    out.credit(2);
    expect([refs(frames), told.later]).toEqual([[[1, 2], [3, 4], [5]], 0]);
  });

  it('stops at so many bytes, too, however few frames they are', () => {
    const { out, frames } = outbox(100, 150);
    zone(out, 7);
    for (let at = 1000; at < 1010; at++) out.flush(new Round(at));
    expect(refs(frames)).toEqual([
      [1, 2],
      [3, 4],
    ]);
    out.credit(1);
    expect(frames).toHaveLength(3);
    out.credit(99); // more than were sent
    expect(refs(frames).at(-1)).toEqual([7]);
  });

  it('asks for the next tick for the rest of a large zone, by credit', () => {
    const { out, frames, told } = outbox(2);
    zone(out, 7);
    expect(out.flush(new Round(1000))).toBe(true);
    expect(out.flush(new Round(1001))).toBe(false);
    out.credit(2);
    expect([refs(frames), told.later]).toEqual([
      [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
      1,
    ]);
    expect(out.flush(new Round(1002))).toBe(false);
    expect([refs(frames), told.later]).toEqual([[[1, 2], [3, 4], [5, 6], [7]], 1]);
  });

  it('asks for the next tick for the rest of a large zone, when the socket drained', () => {
    const { out, frames, told, wire } = outbox();
    zone(out, 5);
    wire.takes = 'buffered';
    expect(out.flush(new Round(1000))).toBe(false);
    wire.takes = 'sent';
    out.drained();
    expect([refs(frames), told.later]).toEqual([
      [
        [1, 2],
        [3, 4],
      ],
      1,
    ]);
    expect(out.flush(new Round(1001))).toBe(false);
    expect([refs(frames), told.later]).toEqual([[[1, 2], [3, 4], [5]], 1]);
  });

  it('keeps a watch to its rate, and does not skip a tick because the one before was late', () => {
    const { out, frames } = outbox();
    const watch = zone(out, 1, 250);
    const sent = [1000, 1251, 1300, 1500, 1750, 1751, 100, 200, 350].map((at, seq) => {
      watch.group.take(fromRecord(['r0', 1, 2 + seq, 0, 0, at, at, null, null, null, 0]), []);
      out.mark(watch);
      out.flush(new Round(at));
      return frames.length;
    });
    // From the seventh on the clock was set back.
    expect(sent).toEqual([1, 2, 2, 3, 4, 4, 5, 5, 6]);
  });

  it('asks for the next tick for a watch whose rate holds it back', () => {
    const { out, frames, told, clock, wire } = outbox();
    const watch = zone(out, 1, 500);
    wire.takes = 'buffered';
    expect(out.flush(new Round(1000))).toBe(false);
    arrive(watch.group, 1);
    out.mark(watch);
    wire.takes = 'sent';
    clock.at = 1200;
    out.drained();
    expect([refs(frames), told.later]).toEqual([[[1]], 1]);
    expect(out.flush(new Round(1399))).toBe(true);
    expect(out.flush(new Round(1400))).toBe(false);
    expect(refs(frames)).toEqual([[1], [2]]);
  });

  it('is not held back by a clock that was set back', () => {
    const { out, frames } = outbox();
    const watch = zone(out, 1, 500);
    out.flush(new Round(3_600_000));
    arrive(watch.group, 1);
    out.mark(watch);
    expect(out.flush(new Round(1000))).toBe(false);
    expect(refs(frames)).toEqual([[1], [2]]);
  });

  it('asks for nothing when nothing is left', () => {
    const { out, frames, told, wire } = outbox(8);
    zone(out, 2);
    wire.takes = 'dropped';
    out.flush(new Round(1000));
    wire.takes = 'sent';
    out.drained();
    out.credit(1);
    out.drained();
    expect([refs(frames), told]).toEqual([[[1, 2]], { later: 0, behind: 0 }]);
  });
});
