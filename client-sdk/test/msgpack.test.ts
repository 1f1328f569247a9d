/** The binary entry: MessagePack of its own, and what becomes of a client whose frames are cut off. Packed rows: test/packed.test.ts. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { pack } from '../../src/protocol/codec.ts';
import { Packer } from '../../src/protocol/packed.ts';
import { show } from '../../src/protocol/packed-history.ts';
import { msgpack } from '../src/msgpack.ts';
import type { ClientError } from '../src/types.ts';
import type { ClientMessage, Message } from '../src/wire.ts';
import { rig, settle, stillTime, welcome } from './pair.ts';

const buffer = (bytes: Uint8Array) => new Uint8Array(bytes).buffer as ArrayBuffer;

// msgpackr renames the key __proto__.
const text = fc.string({ unit: 'grapheme', maxLength: 400, size: 'max' }).filter((s) => s !== '__proto__');
const number = fc.oneof(
  fc.integer({ min: -40, max: 300 }),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true }).filter((n) => !Object.is(n, -0)),
);
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    number,
    text,
    fc.boolean(),
    fc.constant(null),
    tie('list'),
    tie('map'),
  ),
  list: fc.array(tie('value'), { maxLength: 20 }),
  map: fc.dictionary(text, tie('value'), { maxKeys: 20 }),
}));

it('reads what a gateway writes', () => {
  fc.assert(
    fc.property(value, (data) => {
      expect(msgpack().decode(buffer(pack({ t: 'event', data })))).toEqual({ t: 'event', data });
    }),
  );
});

it('reads what is long', () => {
  for (const data of ['é'.repeat(40_000), Array.from({ length: 70_000 }, (_, i) => i), 'x'.repeat(70_000)])
    expect(msgpack().decode(buffer(pack({ t: 'x', data })))).toEqual({ t: 'x', data });
});

it('asks for packed positions, and for nothing else that an app did not say', () => {
  const hello: ClientMessage = { t: 'hello', token: 'tok', watch: [{ w: 1, channel: 'zone:7' }] };
  expect(JSON.parse(msgpack().encode(hello) as string)).toEqual({ ...hello, packed: true });
  expect(msgpack().encode({ t: 'beat' })).toBe('{"t":"beat"}');
});

/** The frames of a session: three riders of a zone and two orders, some moves, some that leave. */
function frames(): Uint8Array[] {
  const packer = new Packer();
  const at = 1_764_000_000_000;
  const row = (ref: number, seq: number, before?: ReturnType<typeof show>) => {
    const where = {
      lat: 5_251_630 + 7 * seq * ref,
      lng: 1_340_497 - 5 * seq,
      fixAt: at + 900 * seq,
      heardAt: at,
    };
    const rest = { heading: 85 + seq, speed: 62, accuracy: null, verdict: seq % 4, zone: null };
    return {
      ref,
      shown: show({ rider: `r${ref}`, session: 59_700_000, seq, ...where, ...rest }, 0, seq, before),
    };
  };
  const first = [1, 2, 3].map((ref) => row(ref, 1));
  const second = first.map(({ ref, shown }) => row(ref, 2, shown));
  const block = [7, 0, packer.changes(second.slice(1), 1, at + 2000), [], [[1, 'left']]];
  const third = second.slice(1).map(({ ref, shown }) => row(ref, 4, shown));
  const rows = packer.changes(third, 2, at + 4000);
  const order = packer.whole([row(1, 9)], at + 4000);
  const fourth = third.map(({ ref, shown }) => row(ref, 5, shown));
  const last = packer.changes(fourth, 4, at + 5000);
  return [
    pack(welcome({ packed: true })),
    pack({ t: 'watching', w: 1, c: 7, at, block: [7, 1, packer.whole(first, at), [[1, 'r1', []]]] }),
    pack({ t: 'watching', w: 2, c: 9, at, block: [9, 1, []] }),
    pack({ t: 'positions', at: at + 2000, b: [block] }),
    packer.frame(16, 7, [{ channel: 7, rows }]),
    packer.frame(8, 7, [{ channel: 9, rows: order }, { channel: 7, rows: last }]),
  ]; // biome-ignore format: a list
}

it('reads them as they are, and throws at each of them cut off anywhere, and says so', () => {
  const all = frames();
  const whole = msgpack();
  for (const frame of all) whole.decode(buffer(frame));
  for (const [i, frame] of all.entries()) {
    for (let length = 0; length < frame.length; length++) {
      const codec = msgpack();
      for (const before of all.slice(0, i)) codec.decode(buffer(before));
      expect(() => codec.decode(buffer(frame.subarray(0, length)))).toThrow(/cut off/);
    }
  }
});

it.each([
  [
    1,
    [
      [9, [9]],
      [7, []],
    ],
  ],
  [
    2,
    [
      [9, []],
      [7, [5, 5]],
    ],
  ],
])('skips what is told of the channel of watch %i once it was left, and reads the other', (w, expected) => {
  const all = frames();
  const codec = msgpack();
  for (const frame of all.slice(0, 3)) codec.decode(buffer(frame));
  codec.encode({ t: 'unwatch', w });
  for (const frame of all.slice(3, -1)) codec.decode(buffer(frame));
  const { b } = codec.decode(buffer(all.at(-1)!)) as Message<'positions'>;
  expect(b.map(([c, , rows]) => [c, rows.map(([, , seq]) => seq)])).toEqual(expected);
});

it('refuses the types that no gateway writes', () => {
  for (const type of [0xc7, 0xc8, 0xc9, 0xca, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8])
    expect(() => msgpack().decode(buffer(new Uint8Array([0x92, type, ...Array(99).fill(1)])))).toThrow(
      /cut off/,
    );
});

it('reads or refuses whatever else comes, and ends', () => {
  const all = frames();
  const changed = fc.tuple(fc.nat(all.length - 1), fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 4 }));
  const anything = fc.uint8Array({ maxLength: 60, size: 'max' });
  fc.assert(
    fc.property(changed, fc.array(anything, { maxLength: 3 }), ([i, place, bytes], others) => {
      const odd = Buffer.from(all[i]!);
      odd.set(bytes.subarray(0, odd.length - (place % odd.length)), place % odd.length);
      const codec = msgpack();
      for (const frame of [...all.slice(0, i), odd, ...others]) {
        try {
          codec.decode(buffer(frame));
        } catch (error) {
          expect((error as Error).message).not.toBe('');
        }
      }
    }),
    { numRuns: 3000 },
  );
});

stillTime();

it('comes back when a frame cannot be read, since what follows is told against it', async () => {
  const r = rig();
  const errors: ClientError[] = [];
  r.client.on('error', (e) => errors.push(e));
  const link = await r.welcome();
  (link.raw as (data: unknown) => void)(buffer(frames()[1]!.subarray(0, 20)));
  expect(errors).toMatchObject([{ reason: 'protocol', retryable: true }]);
  expect(r.client.info).toMatchObject({ state: 'waiting', reason: 'protocol' });
  expect(link.dropped).toBe(0);
  await settle(5000);
  expect(r.gateway.links).toHaveLength(2);
});
