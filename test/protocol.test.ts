import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { decodeBus, encodeBus, encodeEvent } from '../src/protocol/bus-messages.ts';
import { CloseCodes, comesBack } from '../src/protocol/close-codes.ts';
import { codecs, jsonCodec, msgpackCodec, pack } from '../src/protocol/codec.ts';
import { clientMessages, gatewayMessages, PROTOCOL_VERSION } from '../src/protocol/messages.ts';
import { fromRecord, type Position, toRecord, toTuple } from '../src/protocol/positions.ts';
import { checkClientMessage } from '../src/protocol/validate.ts';

/**
 * One line per change of the schemas. Within a version fields and types may be added, as both sides ignore what they
 * do not know; anything else is a new version.
 */
const HISTORY: Record<number, string> = {
  1: 'f3e1cbea2c86bf0a',
};

function hashOf(schemas: Record<string, Record<string, z.ZodType>>): string {
  const json = Object.entries(schemas).map(([side, messages]) => [
    side,
    Object.entries(messages).map(([type, schema]) => [type, z.toJSONSchema(schema, { io: 'input' })]),
  ]);
  return createHash('sha256').update(JSON.stringify(json)).digest('hex').slice(0, 16);
}

describe('the protocol', () => {
  it('has not changed without its history', () => {
    expect(hashOf({ clientMessages, gatewayMessages })).toBe(HISTORY[PROTOCOL_VERSION]);
  });

  it('would notice a changed field', () => {
    const changed = { ...clientMessages, credit: z.object({ t: z.literal('credit'), n: z.number() }) };
    expect(hashOf({ clientMessages: changed, gatewayMessages })).not.toBe(HISTORY[PROTOCOL_VERSION]);
  });

  it('keeps close codes in their bands', () => {
    const { protocol, replaced, refused, ...temporary } = CloseCodes;
    expect([protocol, replaced, refused].map(({ code }) => comesBack(code))).toEqual([false, false, false]);
    expect(Object.values(temporary).every(({ code }) => comesBack(code))).toBe(true);
    expect([1000, 1001, 1006, 1009, 1013].every(comesBack)).toBe(true);
    const codes = Object.values(CloseCodes).map(({ code }) => code);
    expect(new Set(codes).size).toBe(codes.length);
    expect(codes.every((code) => code >= 4000 && code <= 4999)).toBe(true);
  });

  it('ignores fields it does not know, and names the one that is wrong', () => {
    expect(checkClientMessage({ t: 'unwatch', w: 3, extra: { deep: [1] } })).toEqual({
      ok: true,
      value: { t: 'unwatch', w: 3 },
    });
    const pings = [{ seq: 1, lat: 1, lng: 2 }, { seq: 2, lat: 91, lng: 2 }]; // biome-ignore format: two pings
    expect(checkClientMessage({ t: 'ping', pings })).toMatchObject({
      ok: false,
      problem: { code: 'bad_field', field: 'pings[1].lat', expected: 'at most 90', of: 'ping' },
    });
  });
});

describe('the codecs', () => {
  // msgpackr renames the key __proto__, so that no decoded frame can touch a prototype.
  const json = fc.jsonValue().filter((value) => !JSON.stringify(value).includes('__proto__'));

  it.each(codecs)('$subprotocol gives back what it was given', (codec) => {
    fc.assert(
      fc.property(json, (value) => {
        expect(codec.decode(codec.encode(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it.each(codecs)('$subprotocol builds a frame of blocks that reads as the whole message does', (codec) => {
    const block = fc.array(fc.integer(), { maxLength: 5 });
    const every = fc.option(fc.nat(), { nil: undefined });
    fc.assert(
      fc.property(fc.nat({ max: 4e12 }), fc.array(block), fc.array(fc.nat()), every, (at, b, more, every) => {
        const blocks = b.map((item) => codec.encode(item));
        expect(codec.decode(codec.positionsFrame(at, blocks))).toEqual({ t: 'positions', at, b });
        const frame = codec.decode(codec.positionsFrame(at, blocks, more, every));
        const rest = { ...(more.length > 0 ? { more } : {}), ...(every === undefined ? {} : { every }) };
        expect(frame).toEqual({ t: 'positions', at, b, ...rest });
      }),
    );
  });

  it('spells a position frame out, byte by byte', () => {
    const block = [3, 0, [[1, 59700000, 18, 5251635, 1340512, 310, 0, 85, 62, 5]]];
    const frame = (codec: typeof jsonCodec) =>
      Buffer.from(codec.positionsFrame(1764000001004, [codec.encode(block)]));
    expect(frame(jsonCodec).toString()).toBe(
      '{"t":"positions","at":1764000001004,"b":[[3,0,[[1,59700000,18,5251635,1340512,310,0,85,62,5]]]]}',
    );
    expect(frame(msgpackCodec).toString('hex')).toBe(
      '83a174a9706f736974696f6e73a26174cb4279ab697ebec000a162dc0001' +
        '930300919a01ce038ef320' + '12ce00502233' + 'ce00147460' + 'cd0136' + '00' + '55' + '3e' + '05', // biome-ignore format: by field
    );
  });

  it('refuses bytes that are not one whole value', () => {
    for (const bytes of ['', '{"t":', '{} {}', '\xff'])
      expect(() => jsonCodec.decode(Buffer.from(bytes, 'latin1'))).toThrow();
    for (const hex of ['', '92c0', 'c0c0', 'dd01000000'])
      expect(() => msgpackCodec.decode(Buffer.from(hex, 'hex'))).toThrow();
  });
});

describe('what nodes say to each other', () => {
  const position: Position = {
    rider: 'r1', session: 7, seq: 3, lat: -2048229, lng: -5458513, fixAt: 1764000000000, heardAt: 1764000000100,
    heading: 12, speed: null, accuracy: 4, verdict: 0,
  }; // biome-ignore format: a record

  it('comes back as it was sent', () => {
    const record = toRecord(position);
    expect(fromRecord(record)).toEqual(position);
    for (const message of [
      { kind: 'position', position: record },
      { kind: 'fleet', entries: [[record, ['o1']]], left: [['r2', 7, 9]] },
      { kind: 'order', data: '{"id":"o1"}' },
      { kind: 'assignments' },
      { kind: 'session', session: 9 },
      { kind: 'revoked', subject: 'customer:ann', before: 1764000000000 },
    ] as const) {
      expect(decodeBus(encodeBus(structuredClone(message) as never))).toEqual(message);
    }
  });

  it('carries an event as text, whatever is in its data', () => {
    fc.assert(
      fc.property(fc.string(), (data) => {
        const entry = { epoch: 'e1', offset: 12, id: 'ab', prev: '', at: 1764000000000, data };
        expect(decodeBus(encodeEvent(entry))).toEqual({
          kind: 'event',
          entry: { ...entry, data: Buffer.from(data).toString() },
        });
      }),
    );
  });

  it('refuses what no node wrote', () => {
    for (const bytes of ['E|e|1', 'hello', '']) expect(() => decodeBus(Buffer.from(bytes))).toThrow();
    const record = toRecord(position);
    const cut = Array.from({ length: 7 }, (_, length) => record.slice(0, length));
    const odd = [...cut, [...record].fill(Number.NaN, 2, 3), [...record].fill('7' as never, 1, 2)];
    for (const one of odd) {
      expect(() => decodeBus(pack([1, one]))).toThrow('not a position record');
      expect(() => decodeBus(pack([2, [[one, []]], []]))).toThrow('not a position record');
    }
    expect(() => decodeBus(pack([2, [], [['r1', 7]]]))).toThrow('not a departure');
  });

  it('leaves unknowns at the end of a tuple out, and never shows a negative age', () => {
    expect(toTuple(position, 4, 0, 1764000000420)).toEqual([
      4,
      7,
      3,
      -2048229,
      -5458513,
      420,
      0,
      12,
      null,
      4,
    ]);
    const bare = { ...position, heading: null, accuracy: null };
    expect(toTuple(bare, 4, 1, 0)).toEqual([4, 7, 3, -2048229, -5458513, 0, 1]);
    expect(toTuple({ ...bare, verdict: 4 }, 4, 0, 0)).toHaveLength(11);
  });
});
