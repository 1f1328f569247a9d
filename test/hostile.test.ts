import { request } from 'node:http';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Gateway } from '../src/gateway.ts';
import { CloseCodes } from '../src/protocol/close-codes.ts';
import { type Codec, jsonCodec, msgpackCodec } from '../src/protocol/codec.ts';
import { clientMessages, type GatewayMessages } from '../src/protocol/messages.ts';
import { RawClient } from './support/client.ts';
import { givenOrder, testGateway, token } from './support/gateway.ts';
import { BAD_CHANNELS, changed, fix, SHAPES, type Shape, type Type } from './support/shapes.ts';

/** No frame that was sent may cost more than this, kept or not. */
const MOST_MEMORY = 200 * 1024 * 1024;

/** A channel's gauge as the admin port tells it. */
async function channels(gateway: Gateway): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${gateway.adminPort}/metrics`)).text();
  return Number(/^ridecast_channels\{.*\} (\d+)$/m.exec(metrics)![1]);
}

describe.each([jsonCodec, msgpackCodec])('hostile frames over $subprotocol', (codec) => {
  let gateway: Gateway;
  let bystander: RawClient;
  let courier: RawClient;
  let memory: number;
  let seq = 0;
  const prototype = Object.getOwnPropertyNames(Object.prototype).join();

  beforeAll(async () => {
    // biome-ignore format: options
    gateway = await testGateway({
      FRAMES_PER_SECOND: '10000', PINGS_PER_SECOND: '1000', FRAME_BYTES: '262144', HELLO_TIMEOUT_MS: '60000',
      MAX_SESSIONS_PER_SUBJECT: '10000',
    });
    await givenOrder(gateway, 'calm', { rider: 'courier' }, 'picked_up');
    courier = await RawClient.hello(gateway.url, await token('rider', 'courier'), {}, { codec });
    const watch = [{ w: 1, channel: 'order:calm' }];
    bystander = await RawClient.hello(gateway.url, await token('customer', 'ann'), { watch }, { codec });
    await bystander.next('watching');
    memory = process.memoryUsage().rss;
  });

  /** Whatever a test sent: others see positions as ever, memory is flat, and no prototype has changed. */
  afterEach(async () => {
    seq++;
    courier.send({ t: 'ping', pings: [{ seq, lat: seq / 1000, lng: 1 }] });
    await bystander.next('positions', ({ b }) => b[0]?.[2][0]?.[2] === seq);
    await bystander.settle();
    expect(bystander.messages).toEqual([]);
    expect(process.memoryUsage().rss - memory).toBeLessThan(MOST_MEMORY);
    expect(Object.getOwnPropertyNames(Object.prototype).join()).toBe(prototype);
    expect(Object.getPrototypeOf(Object.prototype)).toBeNull();
  });

  afterAll(async () => {
    for (const client of [bystander, courier]) client.close();
    await gateway.stop();
  });

  /** A session of the role that may send that message; a `hello` is sent by a socket that has not said it. */
  async function speaker(type: Type): Promise<RawClient> {
    if (type !== 'hello') {
      const role = type === 'ping' ? 'rider' : 'operator';
      return RawClient.hello(gateway.url, await token(role, `loud-${type}`), {}, { codec });
    }
    return newcomer();
  }

  async function newcomer(): Promise<RawClient> {
    const client = new RawClient(gateway.url, { codec });
    await client.open();
    return client;
  }

  /** Sends a message that is wrong in one field and awaits the error that names it. */
  async function refused(client: RawClient, type: Type, field: string, frame: Record<string, unknown>) {
    const before = gateway.counts.refusedFrames.bad_field ?? 0;
    client.send({ t: type, ...frame });
    const error = await client.next('error');
    expect(error).toMatchObject({ code: 'bad_field', field, of: type, expected: expect.stringMatching(/./) });
    expect(gateway.counts.refusedFrames.bad_field).toBe(before + 1);
  }

  describe.each(Object.entries(SHAPES) as [Type, Shape][])('%s', (type, { valid, required, wrong }) => {
    if (required.length > 0)
      it('names the field that is missing', async () => {
        const client = await speaker(type);
        for (const field of required) await refused(client, type, field, changed(valid, field, undefined));
        client.close();
      });

    if (Object.keys(wrong).length > 0)
      it('names the field that is wrong, whatever is in it', async () => {
        const client = await speaker(type);
        const cases = fc.oneof(
          ...Object.entries(wrong).map(([field, values]) => fc.tuple(fc.constant(field), values)),
        );
        await fc.assert(
          fc.asyncProperty(cases, ([field, value]) =>
            refused(client, type, field, changed(valid, field, value)),
          ),
          { numRuns: 150 },
        );
        client.close();
      });

    it('is taken with fields that nobody knows', async () => {
      const client = await speaker(type === 'hello' ? 'beat' : type);
      const unknown = fc.dictionary(
        fc.oneof(fc.constantFrom('__proto__', 'constructor', 'toString', 'x'), fc.string()),
        fc.jsonValue(),
      );
      const mine: Record<string, unknown> = { ...valid };
      if (type === 'refresh') mine.token = await token('operator', 'loud-refresh');
      if (type === 'hello') {
        Object.assign(mine, { token: await token('operator', 'loud-hello'), watch: [], rider: {} });
      }
      await fc.assert(
        fc.asyncProperty(unknown, async (extra) => {
          const before = gateway.counts.frames[type] ?? 0;
          const speaks = type === 'hello' ? await newcomer() : client;
          const frame = JSON.parse(JSON.stringify(extra)) as Record<string, unknown>;
          speaks.send(Object.assign(Object.fromEntries(Object.entries(frame)), mine, { t: type }));
          if (type === 'hello') await speaks.next('welcome');
          if (type !== 'beat') await speaks.settle();
          else await speaks.next('beat');
          expect(gateway.counts.frames[type]).toBe(before + 1);
          expect(speaks.messages.filter((m) => m.t === 'error' && m.code === 'bad_field')).toEqual([]);
          speaks.messages.length = 0;
          if (type === 'hello') speaks.close();
        }),
        { numRuns: 25 },
      );
      client.close();
    });
  });

  it('counts the good pings of a batch, refuses the bad one, and names its field', async () => {
    const phone = await RawClient.hello(gateway.url, await token('rider', 'mixed'), {}, { codec });
    const before = { ...gateway.counts.pings };
    // biome-ignore format: a batch
    phone.send({
      t: 'ping',
      pings: [{ seq: 1, lat: 1, lng: 1 }, { seq: 2, lat: 91, lng: 1 }, { seq: 3, lat: 2, lng: 1 }],
    });
    expect(await phone.next('error')).toMatchObject({ code: 'bad_field', field: 'pings[1].lat', of: 'ping' });
    expect(await phone.next('pinged', (p) => p.refused !== undefined)).toMatchObject({
      refused: [[2, 'range']],
    });
    expect(await phone.next('pinged', (p) => p.seq > 0)).toEqual({ t: 'pinged', seq: 3 });
    const grown = (verdict: string) => (gateway.counts.pings[verdict] ?? 0) - (before[verdict] ?? 0);
    expect(['taken', 'overtaken', 'range'].map(grown)).toEqual([1, 1, 1]);
    phone.close();
  });

  it('refuses channel names outside the grammar, and subscribes to nothing', async () => {
    const client = await speaker('watch');
    const before = await channels(gateway);
    for (const [i, channel] of BAD_CHANNELS.entries()) {
      client.send({ t: 'watch', w: i + 1, channel });
      expect(await client.next('error')).toMatchObject({ code: 'bad_field', field: 'channel', w: i + 1 });
    }
    expect(await channels(gateway)).toBe(before);
    client.send({ t: 'watch', w: 1, channel: 'zone:fresh' });
    await client.next('watching');
    expect(await channels(gateway)).toBe(before + 1);
    client.close();
  });

  it('answers a message type it does not know, in bytes that are valid text', async () => {
    const client = await speaker('beat');
    const types = [
      'welcome',
      'constructor',
      '__proto__',
      'toString',
      '',
      'x'.repeat(1000),
      '\ud83d',
      'a\ud800b',
    ];
    for (const t of types) {
      const bytes = new Promise<Buffer>((resolve) => client.socket.once('message', resolve));
      client.send({ t, w: 5 });
      const { code, of, w } = await client.next('error');
      expect([code, w]).toEqual(['unknown_type', 5]);
      if (/^[ -~]*$/.test(t)) expect(of).toBe(t.slice(0, 32));
      // Half a surrogate pair has become a replacement character, in plain UTF-8.
      else expect(of).toContain('\ufffd');
      expect((await bytes).includes(Buffer.from(of!))).toBe(true);
    }
    for (const t of [undefined, null, 7, ['beat'], { beat: 1 }]) {
      client.send({ t });
      expect(await client.next('error')).toMatchObject({ code: 'bad_field', field: 't' });
    }
    client.close();
  });

  it('answers frames that are no object', async () => {
    const client = await speaker('beat');
    for (const frame of [null, 1, 'beat', true, [], [{ t: 'beat' }]]) {
      client.send(frame);
      expect(await client.next('error')).toMatchObject({ code: 'bad_frame' });
    }
    client.close();
  });

  it('closes with 4500 on the tenth frame that cannot be decoded, not on the ninth', async () => {
    const client = await speaker('beat');
    const before = gateway.counts.closes.protocol ?? 0;
    const cut = codec.encode({ t: 'beat' }).slice(0, -1);
    for (let i = 0; i < 9; i++) {
      client.raw(cut);
      expect(await client.next('error')).toMatchObject({ code: 'bad_frame' });
    }
    await client.settle();
    client.raw(cut);
    expect(await client.closed()).toBe(CloseCodes.protocol.code);
    expect(gateway.counts.closes.protocol).toBe(before + 1);
  });

  it('refuses a valid message cut anywhere', async () => {
    const whole = codec.encode({ t: 'ping', pings: [fix], x: ['e', 1.5, null] });
    for (let length = 0; length < whole.length; length++) {
      const client = await newcomer();
      client.raw(whole.slice(0, length));
      expect(await client.next('error')).toMatchObject({ code: 'bad_frame' });
      client.close();
    }
  });

  it('survives random bytes', async () => {
    let client = await speaker('beat');
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 2000, size: 'max' }), async (bytes) => {
        client.raw(bytes);
        await client.settle().catch(async () => {
          // 1006 and 1007: text that is not UTF-8 ends at the WebSocket layer.
          expect([CloseCodes.protocol.code, 1006, 1007]).toContain(await client.closed());
          client = await speaker('beat');
        });
        await bystander.settle();
      }),
      { numRuns: 200 },
    );
    client.close();
  });

  it('reads text as JSON, whatever was named', async () => {
    const client = await newcomer();
    client.raw(JSON.stringify({ t: 'hello', token: await token('operator', 'loud-text') }), false);
    await client.next('welcome');
    client.raw('{"t":"beat"}', false);
    await client.next('beat');
    client.raw('{"t":"beat"', false);
    expect(await client.next('error')).toMatchObject({
      code: 'bad_frame',
      message: expect.stringMatching('JSON'),
    });
    client.close();
  });

  if (!codec.binary)
    it('closes with 4500 on a binary frame', async () => {
      for (const message of [{ t: 'beat' }, { t: 'hello', token: 'x' }]) {
        const client = await speaker('beat');
        client.raw(msgpackCodec.encode(message), true);
        expect(await client.closed()).toBe(CloseCodes.protocol.code);
      }
    });

  it('closes with 4500 on a second hello', async () => {
    const client = await speaker('beat');
    client.send({ t: 'hello', token: await token('operator', 'loud-beat') });
    expect(await client.closed()).toBe(CloseCodes.protocol.code);
  });

  it('reads nothing but hello before hello', async () => {
    const client = await newcomer();
    for (const type of Object.keys(clientMessages) as Type[]) {
      if (type === 'hello') continue;
      client.send({ t: type, ...SHAPES[type].valid });
      expect(await client.next('error')).toMatchObject({ code: 'bad_frame', of: type });
    }
    client.close();
  });
});

describe('hostile bytes', () => {
  let gateway: Gateway;
  let bystander: RawClient;
  beforeAll(async () => {
    gateway = await testGateway({ FRAME_BYTES: '1048576', FRAMES_PER_SECOND: '1000' });
    bystander = await RawClient.hello(gateway.url, await token('operator', 'calm'));
  });
  afterAll(async () => {
    bystander.close();
    await gateway.stop();
  });

  async function answer(codec: Codec, bytes: Uint8Array | string): Promise<GatewayMessages['error']> {
    const client = new RawClient(gateway.url, { codec });
    await client.open();
    client.raw(bytes);
    const error = await client.next('error');
    await bystander.settle();
    client.close();
    return error;
  }

  const hex = (text: string) => Buffer.from(text, 'hex');
  const key = (text: string) => Buffer.concat([Buffer.from([0xa0 + text.length]), Buffer.from(text)]);
  // biome-ignore format: a table
  const HUGE: [string, Buffer][] = [
    ['array headers of 16 million', hex('dd01000000'.repeat(40))],
    ['one array header of 4 billion', hex('ddffffffff')],
    ['nested arrays of 65,535, in 72 kB', hex('dcffff'.repeat(24_000))],
    ['nested arrays of 65,535, in 1 MB', hex('dcffff'.repeat(349_000))],
    ['nested maps of 65,535', hex('deffff'.repeat(24_000))],
    ['map headers of 4 billion', hex('dfffffffff'.repeat(1000))],
    ['a string of 4 gigabytes', hex('dbffffffff61')],
    ['bytes of 4 gigabytes', hex('c6ffffffff61')],
    ['an extension of 4 gigabytes', hex('c9ffffffff01')],
    ['arrays 60,000 deep', Buffer.concat([Buffer.alloc(60_000, 0x91), hex('c0')])],
    ['arrays a million deep', Buffer.concat([Buffer.alloc(1_000_000, 0x91), hex('c0')])],
    ['a message in which arrays are 60,000 deep', Buffer.concat([hex('81'), key('x'), Buffer.alloc(60_000, 0x91), hex('c0')])],
    ['a cycle', hex('d66900000001' + '91' + 'd67000000001')],
    [
      'a message with a cycle',
      Buffer.concat([hex('82'), key('t'), key('credit'), key('n'), hex('d66900000001' + '91' + 'd67000000001')]),
    ],
    ['a pointer to nothing', hex('d67000000001')],
  ];

  it.each(HUGE)('refuses MessagePack: %s', async (_, bytes) => {
    const before = process.memoryUsage().rss;
    expect(await answer(msgpackCodec, bytes)).toMatchObject({ code: 'bad_frame' });
    expect(process.memoryUsage().rss - before).toBeLessThan(MOST_MEMORY);
  });

  it('would see the memory of a decoder that believes such headers', () => {
    const before = process.memoryUsage().rss;
    const believed = Array.from({ length: 3 }, () => new Array(0x01000000));
    expect(process.memoryUsage().rss - before).toBeGreaterThan(MOST_MEMORY);
    expect(believed).toHaveLength(3);
  });

  it.each([
    ['a date', 'd6ff00000000'],
    ['a set', 'c70173' + '91a161'],
    ['a regular expression', 'c70478' + '92a161a0'],
    ['an error', 'c70465' + '92a161a0'],
    ['typed bytes', 'd57401ff'],
    ['a record', 'd47240' + '91a161' + '05'],
    ['an unknown extension', 'd40705'],
    ['the byte that is never used', 'c1'],
    ['NaN', 'cb7ff8000000000000'],
    ['an integer of 64 bits', 'cfffffffffffffffff'],
  ])('takes %s neither for a frame nor for a field', async (_, value) => {
    expect(['bad_frame', 'bad_field']).toContain((await answer(msgpackCodec, hex(value))).code);
    const frame = Buffer.concat([hex('82'), key('t'), key('credit'), key('n'), hex(value)]);
    const error = await answer(msgpackCodec, frame);
    if (error.code !== 'bad_frame')
      expect(error).toMatchObject({ code: 'bad_field', field: 'n', of: 'credit' });
  });

  it('keeps nothing of one frame for the next: a record is unknown again', async () => {
    const one = await RawClient.hello(
      gateway.url,
      await token('operator', 'one'),
      {},
      { codec: msgpackCodec },
    );
    // The record 0x40 = {t} with the value 'beat'; then a frame that is only the number 0x40 = 64.
    one.raw(Buffer.concat([hex('d47240' + '91a174'), key('beat')]));
    await one.next('beat');
    one.raw(Buffer.concat([hex('40'), key('beat')]));
    expect(await one.next('error')).toMatchObject({ code: 'bad_frame' });
    one.close();
  });

  it('takes the last of two equal keys, and no prototype from a key', async () => {
    const client = await RawClient.hello(
      gateway.url,
      await token('operator', 'keys'),
      {},
      { codec: msgpackCodec },
    );
    client.raw(Buffer.concat([hex('82'), key('t'), key('nothing'), key('t'), key('beat')]));
    await client.next('beat');
    client.raw(Buffer.concat([hex('81'), key('__proto__'), hex('81'), key('t'), key('beat')]));
    expect(await client.next('error')).toMatchObject({ code: 'bad_field', field: 't' });
    client.close();
    const json = await RawClient.hello(gateway.url, await token('operator', 'keys'));
    json.raw(
      '{"t":"nothing","t":"beat","__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}',
    );
    await json.next('beat');
    json.raw('{"__proto__":{"t":"beat"}}');
    expect(await json.next('error')).toMatchObject({ code: 'bad_field', field: 't' });
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    json.close();
  });

  // biome-ignore format: a table
  it.each([
    ['arrays 60,000 deep', `${'['.repeat(60_000)}${']'.repeat(60_000)}`, { code: 'bad_frame' }],
    ['arrays 60,000 deep, left open', '['.repeat(60_000), { code: 'bad_frame' }],
    ['objects 60,000 deep', `${'{"a":'.repeat(60_000)}1${'}'.repeat(60_000)}`, { code: 'bad_field', field: 't' }],
    ['a token 60,000 deep', `{"t":"hello","token":${'['.repeat(60_000)}${']'.repeat(60_000)}}`, { code: 'bad_field', field: 'token' }],
    ['1e999', '{"t":"credit","n":1e999}', { code: 'bad_field', field: 'n' }],
    ['-1e999', '{"t":"ping","pings":[{"seq":1,"lat":-1e999,"lng":0}]}', { code: 'bad_field', field: 'pings[0].lat' }],
    ['a lone surrogate', '{"t":"watch","w":1,"channel":"order:\\ud800"}', { code: 'bad_field', field: 'channel' }],
    ['NaN', '{"t":"credit","n":NaN}', { code: 'bad_frame' }],
    ['a comment', '{"t":"beat"/**/}', { code: 'bad_frame' }],
    ['two values', '{"t":"beat"}{"t":"beat"}', { code: 'bad_frame' }],
    ['a byte order mark alone', '\ufeff', { code: 'bad_frame' }],
    ['nothing', '', { code: 'bad_frame' }],
    ['NUL', '\0', { code: 'bad_frame' }],
  ])('refuses JSON: %s', async (_, text, expected) => {
    const before = process.memoryUsage().rss;
    expect(await answer(jsonCodec, text)).toMatchObject(expected);
    expect(process.memoryUsage().rss - before).toBeLessThan(MOST_MEMORY);
  });

  it('ends a socket whose text is not UTF-8', async () => {
    expect(() => jsonCodec.decode(Buffer.from('{"t":"\xff\xfe"}', 'latin1'))).toThrow();
    const client = new RawClient(gateway.url, { codec: jsonCodec });
    await client.open();
    client.raw(Buffer.from('{"t":"\xff\xfe"}', 'latin1'));
    expect([1006, 1007]).toContain(await client.closed());
    await bystander.settle();
  });

  it.each([
    ['a reserved bit', 'f1' + '80' + '00000000'],
    ['an unknown opcode', '83' + '80' + '00000000'],
    ['a continuation of nothing', '80' + '80' + '00000000'],
    ['a control frame of 126 bytes', '89' + 'fe007e' + '00000000'],
    ['a control frame in parts', '09' + '80' + '00000000'],
    ['a length of 2^63', '82' + 'ff' + 'ffffffffffffffff' + '00000000'],
  ])('ends a socket that speaks WebSocket wrongly: %s', async (_, bytes) => {
    const ended = new Promise<void>((resolve, reject) => {
      // biome-ignore format: headers
      const asked = request(`${gateway.url}/v1/ws`, {
        headers: {
          Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13',
          'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
        },
      });
      asked.on('upgrade', (_response, socket) => {
        socket.resume().on('close', resolve).on('error', reject);
        socket.write(hex(bytes));
      });
      asked.on('error', reject).end();
    });
    await ended;
    await bystander.settle();
  });

  it('ends a socket whose frame is larger than FRAME_BYTES, in one piece or in many', async () => {
    const small = await testGateway({ FRAME_BYTES: '2048' });
    const frame = (size: number) => JSON.stringify({ t: 'beat', x: 'x'.repeat(size - 19) });
    const fits = await RawClient.hello(small.url, await token('operator', 'op'));
    fits.raw(frame(2048));
    await fits.next('beat');
    fits.raw(frame(2049));
    expect([1006, 1009]).toContain(await fits.closed());
    const parts = await RawClient.hello(small.url, await token('operator', 'op'));
    for (let i = 0; i < 4; i++) parts.socket.send('x'.repeat(1000), { binary: false, fin: false });
    expect([1006, 1009]).toContain(await parts.closed());
    await small.stop();
  });
});
