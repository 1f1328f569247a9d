/** Pings in words of 32 bits: what the SDK's binary entry writes is what the gateway reads. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { msgpack } from '../client-sdk/src/msgpack.ts';
import { isPing } from '../src/edge/backlog.ts';
import type { Gateway } from '../src/gateway.ts';
import { msgpackCodec } from '../src/protocol/codec.ts';
import type { Ping } from '../src/protocol/messages.ts';
import { checkClientMessage } from '../src/protocol/validate.ts';
import { RawClient } from './support/client.ts';
import { givenOrder, testGateway, token } from './support/gateway.ts';

const packed = (...pings: Ping[]) => msgpack().encode({ t: 'ping', pings }) as Uint8Array;
const FULL: Ping = {
  seq: 12,
  at: 1_764_000_000_750,
  mocked: true,
  lat: 52.516308,
  lng: -13.377703,
  heading: 123.45,
  speed: 5.23,
  accuracy: 8,
  battery: 0,
};
const BARE: Ping = { seq: 2 ** 32 - 1, at: 1, lat: -90, lng: 180 };

const within = (max: number) => fc.option(fc.double({ min: 0, max, noNaN: true }), { nil: undefined });
const ping = fc.record({
  seq: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
  at: fc.integer({ min: 0, max: 2 ** 32 * 1000 - 1 }),
  mocked: fc.constantFrom(true, undefined),
  lat: fc.double({ min: -90, max: 90, noNaN: true }),
  lng: fc.double({ min: -180, max: 180, noNaN: true }),
  heading: within(360),
  speed: within(1000),
  accuracy: within(1e6),
  battery: within(1),
});

it('are read as they were said, to a millionth of a degree and a hundredth of the rest', () => {
  fc.assert(
    fc.property(fc.array(ping, { minLength: 1, maxLength: 5 }), (pings) => {
      const checked = checkClientMessage(msgpackCodec.decode(packed(...pings)));
      if (!checked.ok) throw new Error(JSON.stringify(checked.problem));
      const read = (checked.value as { pings: Ping[] }).pings;
      expect(read).toHaveLength(pings.length);
      for (const [i, { lat, lng, heading, speed, accuracy, battery, ...exact }] of pings.entries()) {
        const got = read[i]!;
        expect(got).toMatchObject(JSON.parse(JSON.stringify(exact)));
        expect(got.mocked).toBe(exact.mocked);
        expect(Math.abs(got.lat - lat)).toBeLessThan(1.01e-6);
        expect(Math.abs(got.lng - lng)).toBeLessThan(1.01e-6);
        for (const [key, value] of Object.entries({ heading, speed, accuracy, battery }))
          if (value === undefined) expect(got[key as 'speed']).toBeUndefined();
          else expect(Math.abs(got[key as 'speed']! - value)).toBeLessThan(0.00501);
      }
    }),
  );
});

it('take 4 bytes and 36 for each', () => {
  expect(packed(FULL).length).toBe(40);
  expect(packed(FULL, BARE, BARE).length).toBe(112);
});

it('look like the frame of PROTOCOL.md', () => {
  const protocol = readFileSync(resolve(import.meta.dirname, '../PROTOCOL.md'), 'utf8');
  const [, hex, json] = /packed ping\s+`([0-9a-f ]+)`\s+is\s+`(.*)`/.exec(protocol)!;
  const frame = Buffer.from(hex!.replaceAll(' ', ''), 'hex');
  const { pings } = msgpackCodec.decode(frame) as { pings: Ping[] };
  expect(JSON.parse(JSON.stringify(pings))).toEqual([JSON.parse(json!)]);
  expect(Buffer.from(packed(...pings)).toString('hex')).toBe(frame.toString('hex'));
});

it('throw when one is cut off', () => {
  const whole = packed(FULL, BARE);
  // A single zero is MessagePack, if no message.
  const lengths = Array.from(whole, (_, i) => i).filter((length) => ![1, 4, 40].includes(length));
  for (const length of lengths) expect(() => msgpackCodec.decode(whole.subarray(0, length))).toThrow();
});

it('are known for pings by a node that is stretched', () => {
  expect(isPing(packed(FULL), true)).toBe(true);
  expect(isPing(packed(FULL), false)).toBe(false);
});

describe('at a gateway', () => {
  let gateway: Gateway;
  beforeAll(async () => {
    gateway = await testGateway();
  });
  afterAll(() => gateway.stop());

  it('are shown, and refused by field', async () => {
    await givenOrder(gateway, 'packed', { rider: 'courier' }, 'picked_up');
    const watch = [{ w: 1, channel: 'order:packed' }];
    const customer = await RawClient.hello(gateway.url, await token('customer', 'ann'), { watch });
    const rider = await RawClient.hello(
      gateway.url,
      await token('rider', 'courier'),
      {},
      { codec: msgpackCodec },
    );
    rider.raw(packed({ seq: 1, at: Date.now(), lat: 52.5, lng: 13.4, speed: 6.2 }));
    const { b } = await customer.next('positions', (m) => m.b.some(([, , rows]) => rows.length > 0));
    expect(b[0]![2][0]!.slice(3, 5)).toEqual([5_250_000, 1_340_000]);
    expect(b[0]![2][0]![8]).toBe(62);
    rider.raw(packed({ seq: 2, at: Date.now(), lat: 91, lng: 13.4 }));
    expect(await rider.next('error')).toMatchObject({ code: 'bad_field', field: 'pings[0].lat', of: 'ping' });
    rider.raw(packed({ seq: 3, at: Date.now(), lat: 52.5, lng: 13.4 }).subarray(0, 39));
    expect(await rider.next('error')).toMatchObject({ code: 'bad_frame' });
    for (const client of [customer, rider]) client.close();
  });
});
