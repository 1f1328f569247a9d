import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Gateway } from '../src/gateway.ts';
import { CloseCodes } from '../src/protocol/close-codes.ts';
import { type GatewayMessage, type GatewayMessages, gatewayMessages } from '../src/protocol/messages.ts';
import { call, givenOrder, testGateway, token } from './support/gateway.ts';

interface SentEvent {
  readonly id: string | undefined;
  readonly type: string;
  readonly data: string;
}

/** A stream of server-sent events over fetch, as far as it is needed here. */
class Stream {
  readonly response: Response;
  lastId = '';
  private readonly reader: ReadableStreamDefaultReader<string>;
  private text = '';

  private constructor(response: Response) {
    this.response = response;
    this.reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  }

  static async open(gateway: Gateway, query: string, headers: Record<string, string> = {}): Promise<Stream> {
    return new Stream(await fetch(`${gateway.url}/v1/stream?${query}`, { headers }));
  }

  /** The next event; undefined when the stream has ended. */
  async event(): Promise<SentEvent | undefined> {
    for (;;) {
      const end = this.text.indexOf('\n\n');
      if (end >= 0) {
        const lines = this.text.slice(0, end).split('\n');
        this.text = this.text.slice(end + 2);
        if (lines[0]!.startsWith(':')) continue;
        const field = (name: string) =>
          lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
        const id = field('id');
        if (id !== undefined) this.lastId = id;
        return { id, type: field('event') ?? 'message', data: field('data')! };
      }
      const { value, done } = await this.reader.read();
      if (done) return undefined;
      this.text += value;
    }
  }

  async next<K extends GatewayMessage['t']>(t: K): Promise<GatewayMessages[K]> {
    for (;;) {
      const event = await this.event();
      if (event === undefined || event.type === 'close') throw new Error(`ended before ${t}: ${event?.data}`);
      const message = JSON.parse(event.data) as GatewayMessage;
      gatewayMessages[message.t].parse(message);
      if (message.t === t) return message as GatewayMessages[K];
    }
  }

  static of(response: Response): Stream {
    return new Stream(response);
  }

  close(): Promise<void> {
    return this.reader.cancel();
  }
}

let gateway: Gateway;
beforeEach(async () => {
  gateway = await testGateway({ ALLOWED_ORIGINS: 'https://shop.test' });
  await givenOrder(gateway, 'o', { customer: 'ann', rider: 'r' }, 'picked_up');
});
afterEach(() => gateway.stop());

const bearer = async (sub = 'ann') => ({ authorization: `Bearer ${await token('customer', sub)}` });
const post = (status: string) => call(gateway, 'POST', '/v1/orders/o/events', { status });

describe('a stream of server-sent events', () => {
  it('carries what a socket would: welcome, the order, its events, its rider, its end', async () => {
    const stream = await Stream.open(gateway, 'watch=order:o', await bearer());
    expect(stream.response.headers.get('content-type')).toBe('text/event-stream');
    expect(await stream.next('welcome')).toMatchObject({ role: 'customer', sub: 'ann' });
    expect(await stream.next('watching')).toMatchObject({ w: 1, order: { status: 'picked_up' } });
    await call(gateway, 'POST', '/v1/riders/r/pings', { pings: [{ seq: 1, lat: 1, lng: 2 }] });
    expect((await stream.next('positions')).b[0]![2][0]!.slice(3, 5)).toEqual([100_000, 200_000]);
    await post('arriving');
    expect(await stream.next('event')).toMatchObject({ type: 'arriving' });
    await post('delivered');
    expect(await stream.next('closed')).toMatchObject({ reason: 'ended' });
    await stream.close();
  });

  it('goes on where Last-Event-ID stood, on any order of many', async () => {
    await givenOrder(gateway, 'p', { customer: 'ann' });
    const watch = 'watch=order:o&watch=order:p';
    const first = await Stream.open(gateway, watch, await bearer());
    await first.next('watching');
    await first.next('watching');
    await post('arriving');
    await first.next('event');
    await first.close();
    await post('arriving');
    const second = await Stream.open(gateway, watch, { ...(await bearer()), 'last-event-id': first.lastId });
    const both = [await second.next('watching'), await second.next('watching')].sort((a, b) => a.w - b.w);
    expect(both.map(({ events, reset }) => [events?.length ?? 0, reset])).toEqual([
      [1, undefined],
      [0, undefined],
    ]); // one was missed
    await second.close();

    const third = await Stream.open(gateway, 'watch=order:o', {
      ...(await bearer()),
      'last-event-id': 'nonsense',
    });
    expect(await third.next('watching')).toMatchObject({ order: { status: 'arriving' } });
    await third.close();
  });

  it('takes the whole hello of a socket as JSON, and says what is wrong with it', async () => {
    const hello = (value: unknown) => `hello=${encodeURIComponent(JSON.stringify(value))}`;
    const stream = await Stream.open(
      gateway,
      hello({ watch: [{ w: 7, channel: 'order:o', maxHz: 2 }], client: 'test' }),
      await bearer(),
    );
    expect(await stream.next('watching')).toMatchObject({ w: 7 });
    await stream.close();
    const wrong = await Stream.open(
      gateway,
      hello({ watch: [{ w: 0, channel: 'order:o' }] }),
      await bearer(),
    );
    expect(await wrong.next('error')).toMatchObject({ code: 'bad_field', field: 'watch[0].w' });
    await wrong.close();
    expect((await Stream.open(gateway, 'hello=[1]', await bearer())).response.status).toBe(400);
  });

  it('takes the hello as the body of a POST, with the token in it, of any length', async () => {
    const open = async (body: unknown, query = '') => {
      const text = typeof body === 'string' ? body : JSON.stringify(body);
      return Stream.of(await fetch(`${gateway.url}/v1/stream${query}`, { method: 'POST', body: text }));
    };
    const bearer = await token('customer', 'ann');
    const watch = Array.from({ length: 150 }, (_, i) => ({
      w: i + 1,
      channel: `order:${'x'.repeat(50)}-${i}`,
    }));
    watch[149]!.channel = 'order:o';
    const stream = await open({ t: 'hello', token: bearer, watch });
    const { cursor, w } = await stream.next('watching');
    expect(w).toBe(150);
    await stream.close();
    await post('arriving');
    const again = await open({ token: bearer, watch: [{ w: 1, channel: 'order:o', since: cursor }] });
    expect((await again.next('watching')).events?.length).toBe(1);
    await again.close();
    expect((await open({ watch })).response.status).toBe(401);
    expect((await open('[1]')).response.status).toBe(400);
    expect((await open(`{"token":"${'x'.repeat(70_000)}"}`)).response.status).toBe(400);
  });

  it('ends when it was asked for a piece, and the session with it', async () => {
    const stream = await Stream.open(gateway, 'watch=order:o&for=100', await bearer());
    await stream.next('watching');
    expect(await stream.event()).toBeUndefined();
    for (const piece of ['0', '60001', 'x', ''])
      expect((await Stream.open(gateway, `for=${piece}`, await bearer())).response.status).toBe(400);
  });

  it('takes no token from an address', async () => {
    const hello = encodeURIComponent(JSON.stringify({ token: await token('customer', 'ann') }));
    expect((await Stream.open(gateway, `hello=${hello}`)).response.status).toBe(400);
  });

  it('says why it ends', async () => {
    const stream = await Stream.open(gateway, 'watch=order:o', { authorization: 'Bearer nonsense' });
    const { code, reason } = CloseCodes.token;
    expect(await stream.event()).toEqual({
      id: undefined,
      type: 'close',
      data: JSON.stringify({ code, reason }),
    });
    expect(await stream.event()).toBeUndefined();
    const { status } = (await Stream.open(gateway, 'watch=order:o')).response;
    expect(status).toBe(401);
  });

  it('counts as a session until it is over, however it ends', async () => {
    const sessions = async () => {
      const text = await (await fetch(`http://127.0.0.1:${gateway.adminPort}/metrics`)).text();
      return /^ridecast_sessions\{[^}]*\} (\d+)$/m.exec(text)![1];
    };
    const until = async (count: string) => {
      while ((await sessions()) !== count) await new Promise((resolve) => setTimeout(resolve, 10));
    };
    const stream = await Stream.open(gateway, 'watch=order:o', await bearer());
    await stream.next('watching');
    await until('1');
    await stream.close();
    await until('0');
    const again = await Stream.open(gateway, 'watch=order:o', await bearer());
    await again.next('watching');
    await call(gateway, 'POST', '/v1/revocations', { role: 'customer', sub: 'ann' });
    expect((await again.event())?.type).toBe('close');
    await until('0');
  });

  it('is for pages of allowed origins, which may ask before', async () => {
    const origin = { origin: 'https://shop.test' };
    const asked = await fetch(`${gateway.url}/v1/stream`, { method: 'OPTIONS', headers: origin });
    expect([asked.status, asked.headers.get('access-control-allow-origin')]).toEqual([
      204,
      'https://shop.test',
    ]);
    expect(asked.headers.get('access-control-allow-headers')).toContain('Last-Event-ID');
    const stream = await Stream.open(gateway, 'watch=order:o', { ...(await bearer()), ...origin });
    expect(stream.response.headers.get('access-control-allow-origin')).toBe('https://shop.test');
    await stream.close();
    const read = await fetch(`${gateway.url}/v1/orders/o`, { headers: { ...(await bearer()), ...origin } });
    expect([read.status, read.headers.get('access-control-allow-origin')]).toEqual([
      200,
      'https://shop.test',
    ]);
    const other = { origin: 'https://elsewhere.test' };
    expect(
      (await Stream.open(gateway, 'watch=order:o', { ...(await bearer()), ...other })).response.status,
    ).toBe(403);
    expect((await fetch(`${gateway.url}/v1/stream`, { method: 'OPTIONS', headers: other })).status).toBe(403);
  });

  it('says a beat some time after its welcome, however long the token took to be checked', async () => {
    const pair = await generateKeyPair('ES256', { extractable: true });
    const keys = [{ ...(await exportJWK(pair.publicKey)), kid: 'k', alg: 'ES256' }];
    const issuer = createServer((_, response) => {
      // Longer than the beat of a quick welcome would be away.
      setTimeout(
        () => response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys })),
        400,
      );
    });
    await new Promise<void>((resolve) => issuer.listen(0, '127.0.0.1', resolve));
    const { port } = issuer.address() as AddressInfo;
    const slow = await testGateway({ AUTH_JWKS_URL: `http://127.0.0.1:${port}/jwks.json` });
    const jwt = await new SignJWT({ role: 'customer' })
      .setProtectedHeader({ alg: 'ES256', kid: 'k' })
      .setSubject('ann')
      .setIssuedAt()
      .setExpirationTime('1h')
      .sign(pair.privateKey);
    const stream = await Stream.open(slow, 'watch=order:none', { authorization: `Bearer ${jwt}` });
    const { now } = await stream.next('welcome');
    const beat = await stream.next('beat');
    expect(beat.now - now).toBeGreaterThan(200);
    await stream.close();
    await slow.stop();
    issuer.close();
  });
});
