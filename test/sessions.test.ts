import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { MemoryBroker, memoryBackbone } from '../src/backbone/memory.ts';
import type { Gateway } from '../src/gateway.ts';
import { CloseCodes } from '../src/protocol/close-codes.ts';
import { jsonCodec } from '../src/protocol/codec.ts';
import type { GatewayMessages, Role } from '../src/protocol/messages.ts';
import { RawClient } from './support/client.ts';
import { call, givenOrder, testGateway, token } from './support/gateway.ts';

/** A gateway whose clock only moves when told. */
async function still(
  env: Record<string, string> = {},
): Promise<{ gateway: Gateway; later: (ms: number) => void }> {
  let at = Date.now();
  const gateway = await testGateway(env, { now: () => at });
  return {
    gateway,
    later: (ms) => {
      at += ms;
    },
  };
}

const open = async (gateway: Gateway, role: Role, sub: string, hello = {}) =>
  RawClient.hello(gateway.url, await token(role, sub), hello);

/** Leaves; when this is done the gateway has seen it. */
async function leave(client: RawClient): Promise<void> {
  client.socket.close();
  await client.closed();
}

/** What HTTP says to an upgrade that is refused. */
async function refusal(gateway: Gateway, headers: Record<string, string> = {}, protocols: string[] = []) {
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/v1/ws`, protocols, { headers });
  const [request, response] = await once(socket, 'unexpected-response');
  request.destroy();
  return {
    status: response.statusCode as number,
    retryAfter: response.headers['retry-after'] as string | undefined,
  };
}

/** A backbone in memory whose `nextSession` first does as it is told. */
function stubborn() {
  const backbone = memoryBackbone(new MemoryBroker());
  const nextSession: { before: (() => Promise<void>) | undefined } = { before: undefined };
  const store = new Proxy(backbone.store, {
    get(target, name) {
      if (name === 'nextSession') {
        return async (rider: string) => {
          await nextSession.before?.();
          return target.nextSession(rider);
        };
      }
      const value = Reflect.get(target, name) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return { backbone: { ...backbone, store }, nextSession };
}

describe('a session begins', () => {
  it('with hello in time, or closes with 4408', async () => {
    const { gateway, later } = await still({ HELLO_TIMEOUT_MS: '500' });
    const polite = await open(gateway, 'operator', 'op');
    const silent = new RawClient(gateway.url);
    await silent.open();
    const busy = new RawClient(gateway.url);
    await busy.open();
    busy.send({ t: 'beat' });
    await busy.next('error');
    later(500);
    const young = new RawClient(gateway.url);
    await young.open();
    later(1);
    expect([await silent.closed(), await busy.closed()]).toEqual([4408, 4408]);
    expect(gateway.counts.closes['hello timeout']).toBe(2);
    await polite.settle();
    young.send({ t: 'hello', token: await token('operator', 'op') });
    await young.next('welcome');
    await gateway.stop();
  });

  it('and welcome says what holds', async () => {
    // biome-ignore format: options
    const gateway = await testGateway({
      NODE_ID: 'n1', FRAME_BYTES: '2048', FRAMES_PER_SECOND: '9', MAX_WATCHES: '3', HEARTBEAT_MS: '7000',
      RECONNECT_AFTER_MS: '11', RECONNECT_SPREAD_MS: '12', CREDIT_FRAMES: '4',
    });
    const welcome = async (role: Role, hello: object) => {
      const client = new RawClient(gateway.url);
      await client.open();
      client.send({ t: 'hello', token: await token(role, 'x', {}, 60), ...hello });
      return client.next('welcome');
    };
    const said = await welcome('operator', { packed: true });
    // biome-ignore format: a message
    expect(said).toMatchObject({
      node: 'n1', role: 'operator', sub: 'x', heartbeat: 7000, packed: false,
      limits: { frameBytes: 2048, framesPerSecond: 9, watches: 3, pingsPerFrame: 8 },
      reconnect: { after: 11, spread: 12 },
    });
    expect(said).not.toHaveProperty('credit');
    expect(said).not.toHaveProperty('rider');
    expect(said.tokenTtl).toBeGreaterThan(50_000);
    expect(said.tokenTtl).toBeLessThanOrEqual(60_000);
    const again = await welcome('rider', { credit: true, rider: {} });
    expect(again).toMatchObject({
      credit: { frames: 4, bytes: 65_536 },
      rider: { session: expect.any(Number), seq: 0 },
    });
    expect(again.session).not.toBe(said.session);
    await gateway.stop();
  });

  it('only with a sub-protocol both know', async () => {
    const gateway = await testGateway();
    expect(await refusal(gateway, {}, ['mqtt'])).toMatchObject({ status: 400 });
    expect(await refusal(gateway, {}, ['ridecast.v2.json', 'ridecast.v1'])).toMatchObject({ status: 400 });
    const offers = ['ridecast.v2.json', 'ridecast.v1.msgpack', 'ridecast.v1.json'];
    const client = new RawClient(gateway.url, { protocols: offers });
    await client.open();
    expect(client.socket.protocol).toBe('ridecast.v1.msgpack');
    const none = new RawClient(gateway.url, { protocols: [], codec: jsonCodec });
    await none.open();
    none.send({ t: 'hello', token: await token('operator', 'op') });
    await none.next('welcome');
    await gateway.stop();
  });

  it('only from an origin of the list, if there is one', async () => {
    const gateway = await testGateway({ ALLOWED_ORIGINS: 'https://app.example.com,https://b.test' });
    // biome-ignore format: a list
    for (const origin of [
      'https://evil.test', 'null', 'https://app.example.com.evil.test', 'https://app.example.co', 'http://app.example.com',
      'https://app.example.com:8443', 'https://APP.example.com', 'https://x.app.example.com', '*',
    ]) {
      expect([origin, await refusal(gateway, { origin, cookie: 'a=b' })]).toMatchObject([origin, { status: 403 }]);
    }
    expect(gateway.counts.closes['refused: origin']).toBe(9);
    for (const headers of [{ origin: 'https://app.example.com' }, { origin: 'https://b.test' }, undefined]) {
      await new RawClient(gateway.url, headers === undefined ? {} : { headers }).open();
    }
    await gateway.stop();
    const any = await testGateway();
    await new RawClient(any.url, { headers: { origin: 'https://evil.test' } }).open();
    await any.stop();
  });
});

describe('a session is one of a limited number', () => {
  it('per subject and role: 4430', async () => {
    const gateway = await testGateway({ MAX_SESSIONS_PER_SUBJECT: '2' });
    const [one] = [await open(gateway, 'customer', 'ann'), await open(gateway, 'customer', 'ann')];
    const third = new RawClient(gateway.url);
    await third.open();
    third.send({ t: 'hello', token: await token('customer', 'ann') });
    expect(await third.closed()).toBe(CloseCodes.sessions.code);
    await open(gateway, 'partner', 'ann');
    await open(gateway, 'customer', 'bob');
    await leave(one);
    await open(gateway, 'customer', 'ann');
    await gateway.stop();
  });

  it('per address: 503 with Retry-After, whatever the client says its address is', async () => {
    const gateway = await testGateway({ MAX_SESSIONS_PER_IP: '2' });
    const [one] = [await open(gateway, 'customer', 'ann'), new RawClient(gateway.url)];
    const full = { status: 503, retryAfter: expect.stringMatching(/^\d+$/) };
    expect(await refusal(gateway)).toMatchObject(full);
    expect(await refusal(gateway, { 'x-forwarded-for': '10.0.0.1' })).toMatchObject(full);
    await leave(one);
    await open(gateway, 'customer', 'ann');
    await gateway.stop();
  });

  it('per address as the proxy in front tells it, by the last entry, when that is trusted', async () => {
    const gateway = await testGateway({ MAX_SESSIONS_PER_IP: '1', TRUST_PROXY: 'true' });
    const from = (address: string) => ({ headers: { 'x-forwarded-for': address } });
    await new RawClient(gateway.url, from('10.0.0.1')).open();
    await new RawClient(gateway.url, from('10.0.0.1, 10.0.0.2')).open();
    expect(await refusal(gateway, { 'x-forwarded-for': '6.6.6.6, 10.0.0.1' })).toMatchObject({ status: 503 });
    await gateway.stop();
  });

  it('per node: 503 with Retry-After', async () => {
    const gateway = await testGateway({ MAX_SESSIONS: '1' });
    const one = await open(gateway, 'customer', 'ann');
    expect(await refusal(gateway)).toMatchObject({ status: 503, retryAfter: expect.stringMatching(/^\d+$/) });
    await leave(one);
    await open(gateway, 'customer', 'ann');
    await gateway.stop();
  });

  it('and is not counted when it could not begin', async () => {
    const { backbone, nextSession } = stubborn();
    const gateway = await testGateway({ MAX_SESSIONS_PER_SUBJECT: '1' }, { backbone });
    nextSession.before = () => Promise.reject(new Error('no answer'));
    for (let i = 0; i < 3; i++) {
      const phone = new RawClient(gateway.url);
      await phone.open();
      phone.send({ t: 'hello', token: await token('rider', 'r1') });
      expect(await phone.closed()).toBe(CloseCodes.overloaded.code);
    }
    nextSession.before = undefined;
    await open(gateway, 'rider', 'r1');
    await gateway.stop();
  });

  it('and leaves no rider behind when it left before it had begun', async () => {
    const { backbone, nextSession } = stubborn();
    let at = Date.now();
    const gateway = await testGateway({ MAX_SESSIONS_PER_SUBJECT: '1' }, { backbone, now: () => at });
    const riders = async () => {
      const metrics = await (await fetch(`http://127.0.0.1:${gateway.adminPort}/metrics`)).text();
      return Number(/^ridecast_riders\{.*\} (\d+)$/m.exec(metrics)![1]);
    };
    let release = () => {};
    const asked = new Promise<void>((resolve) => {
      nextSession.before = () => {
        resolve();
        return new Promise((done) => {
          release = done;
        });
      };
    });
    const phone = new RawClient(gateway.url);
    await phone.open();
    phone.send({ t: 'hello', token: await token('rider', 'r1') });
    await asked;
    await leave(phone);
    release();
    nextSession.before = undefined;
    expect(await riders()).toBe(1);
    at += 61_000; // a rider without a socket is held for a minute
    while ((await riders()) > 0);
    await open(gateway, 'rider', 'r1');
    await gateway.stop();
  });
});

describe('a session goes on', () => {
  it('past its token with a new one for the same subject', async () => {
    const { gateway, later } = await still({ HEARTBEAT_MS: '1000' });
    const client = await RawClient.hello(gateway.url, await token('customer', 'ann', {}, 60));
    client.send({ t: 'refresh', token: await token('customer', 'ann', {}, 600) });
    const { tokenTtl } = await client.next('refreshed');
    expect(tokenTtl).toBeGreaterThan(590_000);
    later(120_000);
    await client.next('beat'); // the sweep that sent it has looked at the token
    await client.settle();
    later(500_000);
    expect(await client.closed()).toBe(CloseCodes.token.code);
    await gateway.stop();
  });

  it('not past its token and five seconds without one: 4401', async () => {
    const { gateway, later } = await still({ HEARTBEAT_MS: '1000' });
    const client = await RawClient.hello(gateway.url, await token('customer', 'ann', {}, 60));
    later(63_000);
    await client.next('beat');
    await client.settle();
    later(3000);
    expect(await client.closed()).toBe(CloseCodes.token.code);
    expect(gateway.counts.closes.auth).toBe(1);
    await gateway.stop();
  });

  it.each([
    ['another subject', 4503, () => token('customer', 'bob')],
    ['another role', 4503, () => token('operator', 'ann')],
    ['an expired token', 4401, () => token('customer', 'ann', {}, -60)],
    ['a token that is none', 4401, async () => 'nothing'],
  ])('not with a refresh by %s', async (_, code, make) => {
    const gateway = await testGateway();
    const client = await open(gateway, 'customer', 'ann');
    client.send({ t: 'refresh', token: await make() });
    expect(await client.closed()).toBe(code);
    await gateway.stop();
  });

  it('with a beat after silence, and no beat without silence', async () => {
    const { gateway, later } = await still({ HEARTBEAT_MS: '10000' });
    const [silent, talking] = [await open(gateway, 'operator', 'a'), await open(gateway, 'operator', 'b')];
    later(9999);
    await talking.settle();
    later(1);
    const { now } = await silent.next('beat');
    expect(Math.abs(now - Date.now() - 10_000)).toBeLessThan(10_000);
    await talking.settle();
    expect(talking.messages).toEqual([]);
    await gateway.stop();
  });

  it('and a beat is answered at once', async () => {
    const { gateway } = await still();
    const client = await open(gateway, 'operator', 'a');
    for (let i = 0; i < 3; i++) await client.settle();
    expect(client.messages).toEqual([]);
    await gateway.stop();
  });

  it('at the frame rate it was told, with ten seconds of it at once: 4429', async () => {
    const { gateway, later } = await still({ FRAMES_PER_SECOND: '2' });
    const [steady, hasty] = [await open(gateway, 'operator', 'a'), await open(gateway, 'operator', 'b')];
    for (let i = 0; i < 60; i++) {
      later(500);
      await steady.settle();
    }
    for (let i = 0; i < 20; i++) await hasty.settle();
    hasty.send({ t: 'beat' });
    expect(await hasty.closed()).toBe(CloseCodes.rate.code);
    expect(gateway.counts.closes).toEqual({ rate: 1 });
    await steady.settle();
    await gateway.stop();
  });

  it('with so many watches and no more', async () => {
    const gateway = await testGateway({ MAX_WATCHES: '2' });
    const watch = [1, 2, 3].map((w) => ({ w, channel: `zone:z${w}` }));
    const client = await open(gateway, 'operator', 'op', { watch });
    await client.next('watching', ({ w }) => w === 1);
    await client.next('watching', ({ w }) => w === 2);
    expect(await client.next('error')).toMatchObject({ code: 'too_many_watches', of: 'watch', w: 3 });
    client.send({ t: 'watch', w: 2, channel: 'zone:other' });
    await client.next('watching', ({ w }) => w === 2);
    client.send({ t: 'unwatch', w: 1 });
    client.send({ t: 'watch', ...watch[2] });
    await client.next('watching', ({ w }) => w === 3);
    client.send({ t: 'watch', w: 4, channel: 'zone:z4' });
    expect(await client.next('error')).toMatchObject({ code: 'too_many_watches', w: 4 });
    await gateway.stop();
  });
});

describe('a rider has one session', () => {
  let gateway: Gateway;
  beforeAll(async () => {
    gateway = await testGateway();
  });
  afterAll(() => gateway.stop());

  it('and a newer one replaces it: 4501', async () => {
    const old = await open(gateway, 'rider', 'r1');
    const bystander = await open(gateway, 'rider', 'r2');
    const young = await open(gateway, 'rider', 'r1');
    expect(await old.closed()).toBe(CloseCodes.replaced.code);
    await young.settle();
    await bystander.settle();
  });

  it('and goes on with its number and its count after a loss', async () => {
    const hello = async (rider: object) => {
      const client = new RawClient(gateway.url);
      await client.open();
      client.send({ t: 'hello', token: await token('rider', 'r3'), rider });
      return client;
    };
    const first = await hello({});
    const { rider } = await first.next('welcome');
    first.send({ t: 'ping', pings: [{ seq: 5, lat: 1, lng: 1 }] });
    await first.next('pinged');
    first.close();
    const again = await hello({ session: rider!.session });
    expect((await again.next('welcome')).rider).toEqual({ session: rider!.session, seq: 5 });
    const newer = await hello({});
    expect((await newer.next('welcome')).rider!.session).toBeGreaterThan(rider!.session);
    expect(await again.closed()).toBe(CloseCodes.replaced.code);
    const late = await hello({ session: rider!.session });
    expect(await late.closed()).toBe(CloseCodes.replaced.code);
    await newer.settle();
  });
});

describe('a session ends with its node', () => {
  it('after a drain told it when to return: 4300', async () => {
    const gateway = await testGateway({ DRAIN_SPREAD_MS: '10' });
    const [patient, obedient] = [await open(gateway, 'operator', 'a'), await open(gateway, 'operator', 'b')];
    const quiet = new RawClient(gateway.url);
    await quiet.open();
    const drained = gateway.drain();
    for (const client of [patient, obedient]) {
      expect(await client.next('drain')).toEqual({ t: 'drain', after: 0, spread: 10 });
    }
    await patient.settle();
    await leave(obedient);
    expect([await patient.closed(), await quiet.closed()]).toEqual([4300, 4300]);
    await drained;
    const late = new WebSocket(`${gateway.url.replace('http', 'ws')}/v1/ws`);
    await once(late, 'error');
  });

  it('and the drain is over when the last one left', async () => {
    const { gateway } = await still();
    const client = await open(gateway, 'operator', 'a');
    const drained = gateway.drain();
    await client.next('drain');
    await leave(client);
    await drained;
    expect(gateway.counts.closes).toEqual({});
  });
});

describe('a watcher that acknowledges events', () => {
  it('is counted for what it was sent, once, and no more', async () => {
    const gateway = await testGateway();
    const { counts } = gateway;
    for (const id of ['o1', 'o2']) await givenOrder(gateway, id, { rider: 'r1' });
    const to = (id: string, status: string) =>
      call(gateway, 'POST', `/v1/orders/${id}/events`, { status }).then(({ body }) => body.cursor.offset);
    const ann = await open(gateway, 'customer', 'ann', {
      watch: [
        { w: 1, channel: 'order:o1' },
        { w: 2, channel: 'order:o2' },
      ],
    });
    const { cursor } = await ann.next('watching', ({ w }) => w === 1);
    await ann.next('watching', ({ w }) => w === 2);
    const acks = async (w: number, ...offsets: number[]) => {
      for (const offset of offsets) ann.send({ t: 'ack', w, offset });
      await ann.settle();
      return [counts.eventsAcked, counts.eventsSent];
    };
    expect(await acks(1, cursor!.offset, 0, 99)).toEqual([0, 0]);
    const first = await to('o1', 'picked_up');
    await to('o2', 'picked_up');
    for (const _ of [1, 2]) await ann.next('event');
    expect(await acks(7, first)).toEqual([0, 2]);
    expect(await acks(1, cursor!.offset, first - 1)).toEqual([0, 2]);
    expect(await acks(1, first, first, first - 1)).toEqual([1, 2]);
    await to('o1', 'arriving');
    await ann.next('event');
    expect(await acks(2, 1_000_000)).toEqual([3, 3]);
    // What a `watching` carries is not sent event by event, and is not counted when applied.
    const bob = await open(gateway, 'customer', 'ann', {
      watch: [{ w: 1, channel: 'order:o1', since: cursor }],
    });
    expect((await bob.next('watching')).events).toHaveLength(2);
    bob.send({ t: 'ack', w: 1, offset: cursor!.offset + 2 });
    await bob.settle();
    expect([counts.eventsAcked, counts.eventsSent]).toEqual([3, 3]);
    await gateway.stop();
  });
});

describe('a watcher that does not keep up', () => {
  const seqs = (frame: GatewayMessages['positions']) =>
    frame.b.flatMap((block) => block[2].map((tuple) => tuple[2]));

  it('gets CREDIT_FRAMES position frames and no more until it sends credit, then the newest', async () => {
    const gateway = await testGateway({ CREDIT_FRAMES: '3', PINGS_PER_SECOND: '1000' });
    await givenOrder(gateway, 'o1', { rider: 'r1' }, 'picked_up');
    const watch = [{ w: 1, channel: 'order:o1' }];
    const [lazy, keen] = [
      await open(gateway, 'customer', 'ann', { watch, credit: true }),
      await open(gateway, 'customer', 'ann', { watch }),
    ];
    for (const client of [lazy, keen]) await client.next('watching');
    const phone = await open(gateway, 'rider', 'r1');
    let seq = 0;
    const ping = async (n: number) => {
      for (let i = 0; i < n; i++) {
        phone.send({ t: 'ping', pings: [{ seq: ++seq, lat: seq / 1000, lng: 1 }] });
        await keen.next('positions', (p) => seqs(p)[0] === seq);
      }
    };
    const seen = async () => {
      await lazy.settle();
      return lazy.messages.splice(0).map((m) => seqs(m as GatewayMessages['positions']));
    };
    await ping(10);
    expect(await seen()).toEqual([[1], [2], [3]]);
    lazy.send({ t: 'credit', n: 1 });
    expect(await seen()).toEqual([[10]]);
    await ping(5);
    expect(await seen()).toEqual([]);
    lazy.send({ t: 'credit', n: 1_000_000 }); // more than was sent counts as all of it
    expect(await seen()).toEqual([[15]]);
    await ping(5);
    expect(await seen()).toEqual([[16], [17]]);
    lazy.send({ t: 'credit', n: 0 }); // credit is cumulative: less is no more
    expect(await seen()).toEqual([]);
    lazy.send({ t: 'watch', w: 2, channel: 'order:o1' });
    expect((await lazy.next('watching')).block[2][0]![2]).toBe(20);
    await call(gateway, 'POST', '/v1/orders/o1/events', { status: 'arriving' });
    await lazy.next('event'); // events need no credit
    await gateway.stop();
  });

  it('is never closed for it, costs others nothing, and goes on with the newest', async () => {
    let skipped = 0;
    const gateway = await testGateway(
      // biome-ignore format: options
      {
        GROUP_TICK_MS: '10', PINGS_PER_SECOND: '1000', FRAMES_PER_SECOND: '10000', HEARTBEAT_MS: '120000', SEND_BUFFER_BYTES: '4096',
      },
      { now: () => Date.now() + skipped },
    );
    const RIDERS = 10;
    const shop = async (i: number) => givenOrder(gateway, `o${i}`, { rider: `r${i}` }, 'picked_up');
    for (let i = 0; i < RIDERS; i++) await shop(i);
    // Two hundred watches of ten riders are frames of about 100 kB: no kernel buffer holds a second of them.
    const many = Array.from({ length: 200 }, (_, i) => ({ w: i + 1, channel: 'partner:shop' }));
    const [slow, keen] = [
      await open(gateway, 'partner', 'shop', { watch: many }),
      await open(gateway, 'partner', 'shop', { watch: many.slice(0, 1) }),
    ];
    for (const { w } of many) await slow.next('watching', (m) => m.w === w);
    const phones = await Promise.all(
      Array.from({ length: RIDERS }, (_, i) => open(gateway, 'rider', `r${i}`)),
    );
    let seq = 0;
    /** Every rider pings once, and the one that keeps up has seen it. */
    const round = async () => {
      seq++;
      for (const phone of phones) phone.send({ t: 'ping', pings: [{ seq, lat: seq / 10_000, lng: 1 }] });
      const shown = new Set<number>();
      while (shown.size < RIDERS) {
        const { b } = await keen.next('positions');
        for (const [, , tuples] of b) for (const [ref, , n] of tuples) if (n === seq) shown.add(ref);
      }
    };
    await round();
    slow.socket.pause();
    while (gateway.counts.laggingFlushes === 0) await round();
    const held = seq;
    const memory = process.memoryUsage().rss;
    for (let i = 0; i < 50; i++) await round();
    // Beats fall due while its buffer is full; the one of a session without watches says that they did.
    const idle = await open(gateway, 'operator', 'op');
    for (let i = 0; i < 3; i++) {
      skipped += 120_000;
      await idle.next('beat');
      await round();
    }
    expect(process.memoryUsage().rss - memory).toBeLessThan(100 * 1024 * 1024);
    expect(gateway.counts.closes).toEqual({});
    expect(slow.closeCode).toBeUndefined();

    slow.socket.resume();
    await slow.next('positions', (p) => seqs(p).includes(seq));
    const later = slow.messages.filter((m) => m.t === 'positions').flatMap(seqs);
    // What the kernel held is old; beyond it there is the newest and nothing between.
    expect([...new Set(later)].filter((n) => n > held && n < seq)).toEqual([]);
    expect(later).toContain(held - 1);
    await slow.settle();
    await round();
    await slow.next('positions', (p) => seqs(p).includes(seq));
    await gateway.stop();
  });
});
