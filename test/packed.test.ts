/** Packed positions, from a group over a session's outbox to the SDK's codec: what is read is what was shown, quantised. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { msgpack } from '../client-sdk/src/msgpack.ts';
import { Outbox } from '../src/edge/outbox.ts';
import { PackedSession } from '../src/edge/packed-session.ts';
import { Group } from '../src/fanout/groups.ts';
import { pack } from '../src/protocol/codec.ts';
import type { Block } from '../src/protocol/messages.ts';
import { PackedFrames } from '../src/protocol/packed-frames.ts';
import { type Ping, type Step, World } from './support/packed-world.ts';

const rider = fc.nat(5);
const of = fc.nat(1);
const who = fc.nat(2);
const w = fc.integer({ min: 1, max: 3 });
const maybe = (max: number) => fc.option(fc.nat(max), { freq: 3 });
const mostly = <T>(usual: fc.Arbitrary<T>, weight: number, ...others: fc.Arbitrary<T>[]) =>
  fc.oneof({ weight, arbitrary: usual }, ...others);
const one = <T extends Step['do']>(name: T) => fc.constant(name);
const way = (most: number) =>
  mostly(fc.integer({ min: -80, max: 80 }), 4, fc.integer({ min: -most, max: most }));

const ping = fc.record({
  north: way(9e6),
  east: way(36e6),
  late: mostly(fc.nat(300), 2, fc.integer({ min: -1e5, max: 1e5 })),
  skip: mostly(fc.constant(0), 5, fc.nat(40), fc.nat(2 ** 40)),
  anew: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  heading: maybe(359),
  speed: maybe(10_000),
  accuracy: maybe(1e6),
  verdict: mostly(fc.constant(0), 4, fc.nat(15)),
});
const pinged = fc
  .tuple(of, rider, ping)
  .map(([of, rider, ping]) => ({ do: 'ping' as const, of, rider, ...ping }));
const takes = fc.constantFrom('sent' as const, 'buffered' as const, 'dropped' as const);
const every = mostly(fc.constant(undefined), 3, fc.constant(500));
const ms = mostly(fc.nat(2000), 8, fc.integer({ min: -5000, max: 1e7 }));

// biome-ignore format: a table
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: pinged },
  { weight: 1, arbitrary: fc.record({ do: one('leave'), of, rider }) },
  { weight: 1, arbitrary: fc.record({ do: one('sweep'), of, ms: fc.nat(400_000) }) },
  { weight: 4, arbitrary: fc.record({ do: one('pass'), ms }) },
  { weight: 8, arbitrary: fc.record({ do: one('flush'), who, every }) },
  { weight: 2, arbitrary: fc.record({ do: one('stall'), who, takes }) },
  { weight: 3, arbitrary: fc.record({ do: one('read'), who }) },
  { weight: 3, arbitrary: fc.record({ do: one('watch'), who, of, w, minIntervalMs: fc.constantFrom(0, 0, 700) }) },
  { weight: 1, arbitrary: fc.record({ do: one('unwatch'), who, w }) },
  { weight: 1, arbitrary: fc.record({ do: one('restart'), who }) },
  { weight: 1, arbitrary: fc.record({ do: one('redial'), who }) },
);

const groupsOf = (named: boolean, limit: number, bound: number) =>
  [7, 300].map((number) => new Group(number, named, limit, bound));

type Kind = readonly [named: boolean, bound: number];

/** Whatever is skipped, stalled, resumed: what is read is what was shown. */
const property = ([named, bound]: Kind) =>
  fc.property(
    fc.array(step, { maxLength: 150, size: 'max' }),
    fc.integer({ min: 1, max: 8 }),
    (steps, limit) => {
      const world = new World(groupsOf(named, limit, bound), 3, named);
      for (const step of steps) world.take(step);
      world.settle();
    },
  );

describe('packed positions', () => {
  it.each([
    ['a zone', true, 0],
    ['a zone with an error', true, 10],
    ['an order', false, 0],
  ] as const)('of %s are what was shown, whatever is skipped, stalled, resumed', (_, named, bound) => {
    fc.assert(property([named, bound]), { numRuns: 500 });
  });
});

describe('without it they would not be', () => {
  const undo: (() => void)[] = [];
  afterEach(() => {
    for (const step of undo.splice(0)) step();
  });
  /** Puts another method in the place of one. */
  function replace<T extends object, K extends keyof T>(of: T, name: K, by: (before: T[K]) => T[K]): void {
    const before = of[name];
    of[name] = by(before);
    undo.push(() => {
      of[name] = before;
    });
  }

  it.each([
    [
      'rows go whole while a channel comes in parts',
      () =>
        replace(Group.prototype, 'changes', (changes) => function (this: Group, standing, at, packed) {
          return changes.call(this, { ...standing, filling: false }, at, packed);
        }),
    ],
    [
      'watches of one channel stand where the last of them was brought to',
      () => replace(PackedSession.prototype, 'advanced', () => () => {}),
    ],
    [
      'one of them is sent what changed',
      () => replace(PackedSession.prototype, 'isTwin', () => () => false),
    ],
    [
      'a frame is told against the last one that was taken',
      () =>
        replace(PackedFrames.prototype, 'frame', (frame) => function (this: PackedFrames, at, blocks, more, every) {
          const made = frame.call(this, at, blocks, more, every);
          this.sent(at, blocks.at(-1)!.channel);
          return made;
        }),
    ],
    [
      'a watch that begins moves the time and the channel',
      () =>
        replace(Outbox.prototype, 'send', () => function (this: Outbox, message) {
          this.sendBytes(this.codec.encode(message));
        }),
    ],
    [
      'the client forgets whom the gateway forgot',
      () =>
        replace(Group.prototype, 'changes', (changes) => function (this: Group, standing, at, packed) {
          const all = changes.call(this, standing, at, packed);
          if (packed) all.block.splice(4, 1, []);
          return all;
        }),
    ],
  ] as const)('%s', (_, sabotage) => {
    sabotage();
    expect(fc.check(property([true, 0]), { numRuns: 5000, endOnFailure: true }).failed).toBe(true);
  }); // biome-ignore format: methods in a table
});

const PING: Ping = {
  north: 40, east: -25, late: 100, skip: 0, anew: false, heading: 85, speed: 62, accuracy: 5, verdict: 0,
}; // biome-ignore format: one ping

it.each([undefined, 500])('sends the same bytes to sessions that stand alike, every %s', (every) => {
  const world = new World([new Group(7, true, 100)], 2);
  for (const who of [0, 1]) world.take({ do: 'watch', who, of: 0, w: 1, minIntervalMs: 0 });
  for (let i = 0; i < 3; i++) {
    world.take({ do: 'ping', of: 0, rider: 1, ...PING });
    for (const who of [0, 1]) world.take({ do: 'flush', who, every });
    for (const who of [0, 1]) world.take({ do: 'read', who });
    world.take({ do: 'pass', ms: 1000 });
  }
  const [a, b] = world.clients.map((client) => client.frames.at(-1));
  expect(b).toBe(a);
  if (every === undefined) expect(a).toHaveLength(5); // they say no more than that
});

it('tells the first position of an order that had none in a packed frame, too', () => {
  const world = new World([new Group(7, false, 1)], 1, false);
  world.take({ do: 'watch', who: 0, of: 0, w: 1, minIntervalMs: 0 });
  world.take({ do: 'ping', of: 0, rider: 1, ...PING });
  world.take({ do: 'flush', who: 0, every: undefined });
  expect(world.clients[0]!.frames.at(-1)).toHaveLength(19);
});

describe('a reader of packed positions', () => {
  const protocol = readFileSync(new URL('../PROTOCOL.md', import.meta.url), 'utf8');
  const read = (codec: ReturnType<typeof msgpack>, bytes: Uint8Array) =>
    codec.decode(new Uint8Array(bytes).buffer) as { at: number; b: Block[]; block: Block };

  it('reads the frames in PROTOCOL.md', () => {
    const codec = msgpack();
    const [, key, first] = /`p` =\n`([0-9a-f]+)`: one key, `(.+?)`/.exec(protocol)!;
    const watching = {
      t: 'watching',
      w: 1,
      c: 3,
      at: 1764000000010,
      block: [3, 1, Buffer.from(key!, 'hex')],
    };
    expect(read(codec, pack(watching)).block[2][0]!.slice(0, 11)).toEqual(JSON.parse(first!));
    const frames = [...protocol.matchAll(/^\| `([0-9a-f]+)` \| (\d+) \| `(.+?)` \|$/gm)];
    expect(frames).toHaveLength(2);
    for (const [, frame, at, position] of frames) {
      const message = read(codec, Buffer.from(frame!, 'hex'));
      expect([message.at, message.b[0]![2][0]!.slice(0, 11)]).toEqual([Number(at), JSON.parse(position!)]);
    }
  });
});
