/** Every message a client may send: one that is valid, and for each field values that do not belong there. */
import fc from 'fast-check';
import type { clientMessages } from '../../src/protocol/messages.ts';

export type Type = keyof typeof clientMessages;

const no = fc.oneof(fc.constant(null), fc.constant([]), fc.constant({}), fc.constant([[[[1]]]]));
const notText = fc.oneof(no, fc.double(), fc.boolean());
const notFlag = fc.oneof(no, fc.double(), fc.string());
const notNumber = fc.oneof(no, fc.string(), fc.boolean(), fc.constantFrom(Number.NaN, Infinity, -Infinity));
const notList = fc.oneof(fc.constantFrom<unknown>(null, {}, 'a', 1), fc.boolean());
const notObject = fc.oneof(fc.constantFrom<unknown>(null, [], 'a', 1), fc.boolean());
const outside = (min: number, max: number) =>
  fc.oneof(notNumber, fc.constantFrom(min - 1, max + 1, max * 1e6, -1e300, 1e300, -Number.MAX_VALUE));
const notWhole = (min: number, max: number) =>
  fc.oneof(
    notNumber,
    fc.constantFrom(min - 1, max * 2 + 2, min + 0.5, 1e300, -1e300, 2 ** 64, Number.MIN_VALUE),
  );
const notToken = fc.oneof(notText, fc.constantFrom('', 'x'.repeat(8193), 'x'.repeat(60_000)));
const MOST = Number.MAX_SAFE_INTEGER;

/** From row 12 of the usual list: patterns, empty names, control characters, look-alikes, other rooms' names. */
// biome-ignore format: a list
export const BAD_CHANNELS = [
  '', '*', 'order', 'order:', ':', 'order:*', 'order:[a]', 'order:a*', 'order:?', 'order:a:b', 'order:{a}', 'zone:',
  'rider:r1', '__proto__', 'order:__proto__', 'zone:_', 'order:.', 'ORDER:1', ' order:1', 'order:1 ', 'order:1\n',
  'order:1\0', '\0order:1', 'order:1\r\nPING', 'оrder:1', 'order:１', 'order:\u{1f6f5}', 'order:\ud800', 'constructor',
  `order:${'a'.repeat(65)}`, `order:${'a'.repeat(60_000)}`, 'ridecast:order:1', '{o:1}:m', '../order:1', 'order:%31',
];
const notChannel = fc.oneof(notText, fc.constantFrom(...BAD_CHANNELS));

const watchFields: Record<string, fc.Arbitrary<unknown>> = {
  w: notWhole(1, 2147483647),
  channel: notChannel,
  since: notObject,
  'since.epoch': fc.oneof(notText, fc.constantFrom('', 'e'.repeat(33))),
  'since.offset': notWhole(0, MOST),
  'since.id': fc.oneof(notText, fc.constantFrom('', 'i'.repeat(33))),
  maxHz: outside(0.01, 60),
  maxError: outside(0, 100_000),
};
const under = (prefix: string, fields: Record<string, fc.Arbitrary<unknown>>) =>
  Object.fromEntries(Object.entries(fields).map(([path, value]) => [`${prefix}${path}`, value]));

export interface Shape {
  readonly valid: Record<string, unknown>;
  readonly required: readonly string[];
  readonly wrong: Record<string, fc.Arbitrary<unknown>>;
}

const since = { epoch: 'e', offset: 1, id: 'i' };
export const fix = {
  seq: 1,
  lat: 1,
  lng: 2,
  at: 1,
  heading: 1,
  speed: 1,
  accuracy: 1,
  mocked: false,
  battery: 1,
};

// biome-ignore format: a table
export const SHAPES: Record<Type, Shape> = {
  hello: {
    valid: { token: 'x', watch: [{ w: 1, channel: 'zone:a', since }], rider: { session: 1 }, credit: true },
    required: ['watch[0].w', 'watch[0].channel', 'watch[0].since.id'],
    wrong: {
      token: notToken,
      watch: fc.oneof(notList, fc.constant(Array(1001).fill({ w: 1, channel: 'zone:a' }))),
      'watch[0]': notObject,
      ...under('watch[0].', watchFields),
      rider: notObject,
      'rider.session': notWhole(0, MOST),
      credit: notFlag,
      packed: notFlag,
      client: fc.oneof(notText, fc.constant('c'.repeat(65))),
    },
  },
  refresh: { valid: { token: 'x' }, required: ['token'], wrong: { token: notToken } },
  watch: { valid: { w: 9, channel: 'zone:a', since }, required: ['w', 'channel', 'since.offset'], wrong: watchFields },
  unwatch: { valid: { w: 9 }, required: ['w'], wrong: { w: notWhole(1, 2147483647) } },
  credit: { valid: { n: 0 }, required: ['n'], wrong: { n: notWhole(0, MOST) } },
  ack: {
    valid: { w: 9, offset: 0 },
    required: ['w', 'offset'],
    wrong: { w: notWhole(1, 2147483647), offset: notWhole(0, MOST) },
  },
  ping: {
    valid: { pings: [{ seq: 1, lat: 1, lng: 1 }, fix] },
    required: ['pings', 'pings[0].seq', 'pings[1].lat', 'pings[1].lng'],
    wrong: {
      pings: fc.oneof(notList, fc.constant([]), fc.constant(Array(501).fill({ seq: 1, lat: 1, lng: 1 }))),
      'pings[0]': notObject,
      'pings[1].seq': notWhole(1, 2 ** 48),
      'pings[1].lat': outside(-90, 90),
      'pings[1].lng': outside(-180, 180),
      'pings[1].at': outside(0, 8.64e15),
      'pings[1].heading': outside(0, 360),
      'pings[1].speed': outside(0, 1000),
      'pings[1].accuracy': outside(0, 1e6),
      'pings[1].mocked': notFlag,
      'pings[1].battery': outside(0, 1),
    },
  },
  beat: { valid: {}, required: [], wrong: {} },
};

/** A copy of `valid` with one value put at a path such as pings[1].lat; `undefined` takes it away. */
export function changed(
  valid: Record<string, unknown>,
  path: string,
  value: unknown,
): Record<string, unknown> {
  const copy = structuredClone(valid);
  const steps = path.split(/[.[\]]+/).filter(Boolean);
  const last = steps.pop()!;
  let at = copy as Record<string, unknown>;
  for (const step of steps) at = at[step] as Record<string, unknown>;
  if (value === undefined) delete at[last];
  else at[last] = value;
  return copy;
}
