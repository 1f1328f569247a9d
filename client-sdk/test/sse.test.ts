/** The stream in place of a socket: directly, and behind a real nginx that lets no WebSocket through. */
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { Gateway } from '../../src/gateway.ts';
import type { Role } from '../../src/protocol/messages.ts';
import { call, givenOrder, testGateway, token } from '../../test/support/gateway.ts';
import { type Nginx, startNginx } from '../../test/support/nginx.ts';
import { connect, rider, watchFleet, watchOrder } from '../src/index.ts';
import { msgpack } from '../src/msgpack.ts';
import { type SseOptions, sse, withFallback } from '../src/sse.ts';
import { traced } from '../src/trace.ts';
import type { Client, ClientError, Options, OrderWatch, Position, TransportOptions } from '../src/types.ts';

const undo: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

const once = <T>(on: (cb: (e: T) => void) => unknown) => new Promise<T>((resolve) => on(resolve));
const started = (watch: { snapshot: unknown; on: OrderWatch['on'] }) =>
  watch.snapshot ? undefined : once((cb) => watch.on('change', cb));

let gateway: Gateway;
beforeAll(async () => {
  gateway = await testGateway({ RECONNECT_SPREAD_MS: '50', GROUP_TICK_MS: '20' });
});
afterAll(() => gateway.stop());

/** What streams ask of a gateway in a test: one, or one in pieces. */
let streams: ('whole' | 'pieces')[] = [];
beforeEach(() => {
  streams = [];
});
const seen: typeof fetch = (input, init) => {
  const { pathname, search } = new URL(String(input));
  if (pathname === '/v1/stream') streams.push(search.startsWith('?for=') ? 'pieces' : 'whole');
  return fetch(input, init);
};

function dial(url: string, role: Role, sub: string, o: Partial<Options> = {}): Client {
  const client = connect(`${url.replace('http', 'ws')}/v1/ws`, {
    token: () => token(role, sub),
    WebSocket,
    background: true,
    transport: sse(),
    ...o,
  });
  undo.push(() => client.close());
  return client;
}

let n = 0;
const fresh = (what: string) => `${what}-${++n}`;
const post = async (order: string, status: string) =>
  expect((await call(gateway, 'POST', `/v1/orders/${order}/events`, { status })).status).toBe(200);

/** A rider rides, a customer watches, to the end: every status once, and where the rider is. */
async function delivers(
  url: string,
  transport: () => Options['transport'],
  codec?: () => Options['codec'],
): Promise<void> {
  const [order, phone] = [fresh('o'), fresh('r')];
  await givenOrder(gateway, order, { rider: phone });
  const client = dial(url, 'customer', 'ann', { transport: transport(), codec: codec?.() });
  const watch = watchOrder(client, order);
  const statuses: string[] = [];
  watch.on('status', (s) => statuses.push(s.status));
  await started(watch);
  const shown = once<Position>((cb) => watch.on('position', cb));
  await post(order, 'picked_up');
  const me = rider(dial(url, 'rider', phone, { transport: transport(), codec: codec?.() }));
  me.push({ lat: 52.5163, lng: 13.40497, speed: 6.2 });
  expect(await me.flush(20_000)).toBe(true);
  expect(await shown).toMatchObject({ lat: 52.5163, lng: 13.40497, speed: 6.2 });
  const end = once<{ status: string }>((cb) => watch.on('end', cb));
  await post(order, 'arriving');
  await post(order, 'delivered');
  expect((await end).status).toBe('delivered');
  expect(statuses).toEqual(['picked_up', 'arriving', 'delivered']);
}

describe('a stream', () => {
  it('shows a rider’s pings to the customer, and every status in order to the end', async () => {
    await delivers(gateway.url, () => sse({ fetch: seen }));
    expect(new Set(streams)).toEqual(new Set(['whole']));
  });

  it('takes in further watches and lets go of others, without being anything but live', async () => {
    const orders = [fresh('o'), fresh('o'), fresh('o')] as const;
    for (const order of orders) await givenOrder(gateway, order, { rider: fresh('r') });
    const client = dial(gateway.url, 'customer', 'ann');
    const first = watchOrder(client, orders[0]);
    await started(first);
    const states: string[] = [];
    client.on('state', (i) => states.push(i.state));
    const [second, third] = [watchOrder(client, orders[1]), watchOrder(client, orders[2])];
    await Promise.all([started(second), started(third)]);
    first.close();
    const seen = Promise.all(
      [second, third].map((w) => once<{ status: string }>((cb) => w.on('status', cb))),
    );
    for (const order of orders) await post(order, 'picked_up');
    expect((await seen).map((s) => s.status)).toEqual(['picked_up', 'picked_up']);
    expect(first.snapshot!.status).toBe('assigned');
    expect(new Set(states)).toEqual(new Set(['live']));
  });

  it('misses nothing of what happens between two streams', async () => {
    const order = fresh('o');
    await givenOrder(gateway, order, { rider: fresh('r') });
    let ask = 0;
    const statuses = ['picked_up', 'arriving', 'delivered'];
    // Before each further stream something happens that none of them carries.
    const late: typeof fetch = async (...args) => {
      if (++ask > 1 && ask < 4) await post(order, statuses[ask - 2]!);
      return fetch(...args);
    };
    const client = dial(gateway.url, 'customer', 'ann', { transport: sse({ fetch: late }) });
    const watch = watchOrder(client, order);
    const seen: [string, boolean][] = [];
    watch.on('status', (s) => seen.push([s.status, s.replayed]));
    await started(watch);
    for (const expected of [1, 2]) {
      const other = watchOrder(client, fresh('none'));
      await once((cb) => other.on('error', cb));
      expect(seen.length).toBe(expected);
    }
    expect(seen).toEqual([
      ['picked_up', true],
      ['arriving', true],
    ]);
  });

  it('renews a short token in place', async () => {
    const reasons: string[] = [];
    const order = fresh('o');
    await givenOrder(gateway, order, { rider: fresh('r') });
    const client = dial(gateway.url, 'customer', 'ann', {
      token: (why) => {
        reasons.push(why);
        return token('customer', 'ann', {}, why === 'initial' ? 3 : 3600);
      },
    });
    const watch = watchOrder(client, order);
    await started(watch);
    const renewed = once<void>((cb) => client.on('state', () => cb()));
    await renewed;
    expect(reasons).toEqual(['initial', 'expiring']);
    expect(client.info.state).toBe('live');
    const status = once<{ status: string }>((cb) => watch.on('status', cb));
    await post(order, 'picked_up');
    expect((await status).status).toBe('picked_up');
  });

  it('is closed for good by a token that cannot be replaced, and by a newer session of the rider', async () => {
    const refused = dial(gateway.url, 'customer', 'ann', { token: 'not-a-token' });
    await expect(refused.ready()).rejects.toMatchObject({ reason: 'auth' });
    const phone = fresh('r');
    const older = dial(gateway.url, 'rider', phone);
    rider(older);
    await older.ready();
    const over = once<ClientError>((cb) => older.on('error', cb));
    const newer = dial(gateway.url, 'rider', phone);
    rider(newer);
    expect(await over).toMatchObject({ code: 4501, reason: 'replaced' });
    await newer.ready();
  });

  it('answers a probe: a stream that is gone without a word is found out', async () => {
    let wake = () => {};
    const said: unknown[] = [];
    const client = dial(gateway.url, 'customer', 'ann', {
      transport: traced(({ what, data }) => what === 'send' && said.push(data), sse()),
      env(tell) {
        wake = () => tell({});
        return () => {};
      },
    });
    await client.ready();
    const again = once((cb) => client.on('state', cb));
    wake();
    await again;
    expect(said).toEqual(['hello', 'beat', 'hello']);
    expect(client.info).toMatchObject({ state: 'live', attempt: 0 });
  });

  it('shows a partner many riders, whatever the size of its frames', async () => {
    const partner = fresh('p');
    const riders = Array.from({ length: 60 }, () => fresh('r'));
    for (const id of riders) {
      await givenOrder(gateway, `o-${id}`, { rider: id, partner });
      await call(gateway, 'POST', `/v1/riders/${id}/pings`, { pings: [{ seq: 1, lat: 52.5, lng: 13.4 }] });
    }
    const fleet = watchFleet(dial(gateway.url, 'partner', partner), { partner });
    await once<void>((cb) => fleet.on('change', (items) => items.size === 60 && cb()));
    expect([...fleet.orders.keys()].sort()).toEqual(riders.map((id) => `o-${id}`).sort());
  });
});

/** The transport alone; what it asks for is answered by the test. */
function alone(o: SseOptions = {}) {
  interface Asked {
    path: string;
    body: Record<string, unknown>;
    answer(response: BodyInit, status?: number): Promise<void>;
    fail(): Promise<void>;
  }
  const asked: Asked[] = [];
  const heard: string[] = [];
  const settle = () => new Promise<void>((resolve) => setTimeout(resolve, 5));
  const fetch = ((url: URL, { body }: RequestInit) =>
    new Promise<Response>((resolve, reject) => {
      asked.push({
        path: url.pathname + url.search,
        body: JSON.parse(body as string),
        answer(response, status = 200) {
          resolve(new Response(response, { status }));
          return settle();
        },
        fail() {
          reject(new TypeError('fetch failed'));
          return settle();
        },
      });
    })) as typeof globalThis.fetch;
  const transport = sse({ ...o, fetch });
  const link = transport(
    'wss://gateway.test/v1/ws',
    {
      open: () => heard.push('open'),
      data: (data) => heard.push(data as string),
      close: (code) => heard.push(`close ${code}`),
    },
    {} as TransportOptions,
  );
  const send = (message: object) => link.send('', message);
  const welcome = (session: number) =>
    `data: ${JSON.stringify({ t: 'welcome', rider: { session, seq: 0 } })}\n\n`;
  /** Opens a stream; what is given comes over it. */
  const hello = async (session = 7) => {
    send({ t: 'hello', token: 'tok' });
    let give!: (text: string) => void;
    const encoder = new TextEncoder();
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        give = (text) => controller.enqueue(encoder.encode(text));
      },
    });
    give(welcome(session));
    await asked.at(-1)!.answer(body);
    return async (text: string) => {
      give(text);
      await settle();
    };
  };
  undo.push(() => link.drop());
  return { asked, heard, settle, link, send, hello };
}

describe('its pings', () => {
  const ping = (seq: number) => ({ t: 'ping', pings: [{ seq, lat: 1, lng: 2 }] });
  const pinged = (seq: number) => JSON.stringify({ t: 'pinged', seq });

  it('are one request at a time, in the session of the welcome; a rider keeps the others and sends them with the answer', async () => {
    const { asked, heard, link, send, hello } = alone();
    await hello();
    expect(link.buffered()).toBe(0);
    send(ping(1));
    expect(asked[1]).toMatchObject({ path: '/v1/pings', body: { ...ping(1), token: 'tok', session: 7 } });
    expect(link.buffered()).toBe(Infinity);
    let buffered: number | undefined;
    heard.push = (data) => {
      buffered = link.buffered();
      return Array.prototype.push.call(heard, data);
    };
    await asked[1]!.answer(pinged(1));
    expect(heard.at(-1)).toBe(pinged(1));
    expect(buffered).toBe(0);
  });

  it('of a full queue go one request after the other', async () => {
    let [requests, open, most] = [0, 0, 0];
    const counting: typeof fetch = async (url, init) => {
      if (!String(url).endsWith('pings')) return fetch(url, init);
      requests++;
      most = Math.max(most, ++open);
      const answer = await fetch(url, init);
      open--;
      return answer;
    };
    const client = dial(gateway.url, 'rider', fresh('r'), { transport: sse({ fetch: counting }) });
    const kept = Array.from({ length: 300 }, (_, i) => ({ lat: 52.5 + i / 1e4, lng: 13.4, at: Date.now() }));
    const me = rider(client, { store: { load: async () => kept, save() {} } });
    const acked = once<void>((cb) => me.on('ack', ({ queued }) => queued || cb()));
    await acked;
    expect([requests, most]).toEqual([2, 1]);
  });

  it.each([
    [
      'are refused',
      (post: { answer(text: string, status: number): Promise<void> }) => post.answer('{"error":{}}', 401),
    ],
    ['do not get through', (post: { fail(): Promise<void> }) => post.fail()],
    [
      'are answered by somebody else',
      (post: { answer(text: string): Promise<void> }) => post.answer('<html>'),
    ],
  ])('end the link when they %s', async (_, by) => {
    const { asked, heard, send, hello } = alone();
    await hello();
    send(ping(1));
    await by(asked[1]!);
    expect(heard.at(-1)).toBe('close 1006');
  });

  it('do not wait for those of a stream before, and its answer counts no more', async () => {
    const { asked, heard, link, send, hello } = alone();
    await hello();
    send(ping(1));
    await hello(8);
    expect(link.buffered()).toBe(0);
    send(ping(2));
    expect(asked[3]).toMatchObject({ body: { session: 8 } });
    await asked[1]!.answer(pinged(1));
    expect([heard.at(-1), link.buffered()]).toEqual([expect.stringContaining('welcome'), Infinity]);
    await asked[3]!.answer(pinged(2));
    expect(heard.at(-1)).toBe(pinged(2));
  });
});

it('calls nobody back once it was dropped', async () => {
  const { asked, heard, settle, link, send, hello } = alone();
  const give = await hello();
  send({ t: 'ping', pings: [] });
  send({ t: 'beat' });
  const before = [...heard];
  link.drop();
  await give('data: {"t":"beat"}\n\n');
  await asked[1]!.answer('{"t":"pinged"}');
  await settle();
  expect(heard).toEqual(before);
  const other = alone();
  await other.hello();
  other.send({ t: 'ping', pings: [] });
  other.link.drop();
  await other.asked[1]!.fail();
  expect(other.heard).not.toContain('close 1006');
});

it('is lost when a stream ends, whole or cut off anywhere in a line, and says which code the gateway gave', async () => {
  const { heard, hello } = alone();
  const give = await hello();
  await give('id: x\ndata: {"t":"be');
  await give(
    'at"}\n\n: a comment\n\nevent: close\ndata: {"code":4501,"reason":"r"}\n\ndata: {"t":"beat"}\n\n',
  );
  expect(heard.slice(-2)).toEqual(['{"t":"beat"}', 'close 4501']);
  const other = alone();
  other.send({ t: 'hello', token: 'tok' });
  await other.asked[0]!.answer('data: {"t":"welcome"}\n\ndata: {"t":');
  expect(other.heard.slice(-2)).toEqual(['{"t":"welcome"}', 'close 1006']);
});

it('is lost by a piece that is refused, cut off or empty, not by one that is complete', async () => {
  const { asked, heard, settle, send } = alone({ silentMs: 1 });
  const piece = async (text: string, status = 200) => {
    send({ t: 'hello', token: 'tok' });
    await settle();
    await asked.at(-1)!.answer(text, status);
    return heard.at(-1);
  };
  send({ t: 'hello', token: 'tok' });
  while (heard.length < 2) await settle();
  expect([heard, asked[0]!.path]).toEqual([['open', 'open'], '/v1/stream']);
  expect(await piece('data: {"t":"welcome"}\n\n')).toBe('open');
  expect(asked[1]!.path).toBe('/v1/stream?for=2000');
  for (const [text, status] of [
    ['{"error":{}}', 429],
    ['', 200],
    ['data: {"t":"wel\n\n', 200],
  ] as const)
    expect(await piece(text, status)).toBe('close 1006');
  const last = 'data: {"t":"welcome"}\n\nevent: close\ndata: {"code":4301}\n\n';
  expect(await piece(last)).toBe('close 4301');
});

/** Refuses WebSockets, and hands on of each stream the first of what is watched; the rest with its end. */
async function holdingBack(): Promise<string> {
  const server = createServer((req, res) => {
    const headers = { ...req.headers, host: new URL(gateway.url).host };
    const up = request(`${gateway.url}${req.url}`, { method: req.method, headers }, (answer) => {
      const held: Buffer[] = [];
      let begun = false;
      res.writeHead(answer.statusCode!, answer.headers);
      answer.on('data', (chunk: Buffer) => {
        if (begun) held.push(chunk);
        else res.write(chunk);
        begun ||= chunk.includes('"t":"watching"');
      });
      answer.on('end', () => res.end(Buffer.concat(held)));
    });
    up.on('error', () => res.destroy());
    res.on('close', () => up.destroy());
    req.pipe(up);
  });
  server.on('upgrade', (_, socket) => socket.destroy());
  server.listen(0, '127.0.0.1');
  await once((cb) => server.once('listening', () => cb(0)));
  undo.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('behind a proxy', () => {
  let proxy: Nginx;
  const behind = async (...how: Parameters<Nginx['become']>) => {
    proxy = await startNginx(gateway.url, ...how);
    undo.push(() => proxy.stop());
    return proxy.url;
  };
  // However slow this machine is.
  const fallback = () => withFallback(sse({ silentMs: 20_000, fetch: seen }), { afterMs: 20_000 });

  it('that lets WebSockets through, there is no need of it', async () => {
    await delivers(await behind('upgrades'), fallback);
    expect(streams).toEqual([]);
  });

  it('that refuses upgrades, all goes over a stream that nothing holds up', async () => {
    await delivers(await behind('refuses'), fallback);
    expect(new Set(streams)).toEqual(new Set(['whole']));
  });

  it('that refuses upgrades, a client of the binary codec goes on in JSON', async () => {
    await delivers(await behind('refuses'), fallback, msgpack);
    expect(streams).toContain('whole');
  });

  it('that keeps what is not complete, it goes on in pieces', async () => {
    await delivers(await behind('buffers'), () =>
      withFallback(sse({ silentMs: 500, pieceMs: 400, fetch: seen })),
    );
    expect(streams).toContain('pieces');
  });

  it('that lets the beginning of a stream through and keeps the rest, it goes on in pieces', async () => {
    await delivers(await holdingBack(), () =>
      withFallback(sse({ silentMs: 500, pieceMs: 1000, fetch: seen })),
    );
    expect(streams.slice(streams.indexOf('pieces'))).not.toContain('whole');
  });

  it('goes back to WebSockets when they get through, and misses nothing on either way', async () => {
    const order = fresh('o');
    await givenOrder(gateway, order, { rider: fresh('r') });
    const url = await behind('refuses');
    const sockets: WebSocket[] = [];
    const Counted = class extends WebSocket {
      constructor(...args: ConstructorParameters<typeof WebSocket>) {
        super(...args);
        this.on('open', () => sockets.push(this));
      }
    };
    const transport = withFallback(sse(), { retryMs: 100 });
    const client = dial(url, 'customer', 'ann', { transport, WebSocket: Counted });
    const watch = watchOrder(client, order);
    const statuses: string[] = [];
    watch.on('status', (s) => statuses.push(s.status));
    await started(watch);
    await post(order, 'picked_up');
    expect(sockets).toEqual([]);
    await proxy.become('upgrades');
    const back = once<void>((cb) => client.on('state', () => sockets.length === 1 && cb()));
    await back;
    const states: string[] = [];
    client.on('state', (i) => states.push(i.state));
    await post(order, 'arriving');
    const end = once((cb) => watch.on('end', cb));
    await post(order, 'delivered');
    await end;
    expect(statuses).toEqual(['picked_up', 'arriving', 'delivered']);
  });
});
