/** The stream in place of a socket: directly, and behind a real nginx that lets no WebSocket through. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { Gateway } from '../../src/gateway.ts';
import type { Role } from '../../src/protocol/messages.ts';
import { call, givenOrder, testGateway, token } from '../../test/support/gateway.ts';
import { type Nginx, startNginx } from '../../test/support/nginx.ts';
import { connect, rider, watchFleet, watchOrder } from '../src/index.ts';
import { msgpack } from '../src/msgpack.ts';
import { sse, withFallback } from '../src/sse.ts';
import type { Client, ClientError, Options, OrderWatch, Position } from '../src/types.ts';

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

/** A client, and what it had to say of its ways. */
function dial(url: string, role: Role, sub: string, o: Partial<Options> = {}): Client & { said: string[] } {
  const said: string[] = [];
  const client = connect(`${url.replace('http', 'ws')}/v1/ws`, {
    token: () => token(role, sub),
    WebSocket,
    background: true,
    transport: sse(),
    onDebug: (e) => said.push(e.ev === 'send' ? `send ${e.data}` : e.ev),
    ...o,
  });
  undo.push(() => client.close());
  return Object.assign(client, { said });
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
): Promise<Client & { said: string[] }> {
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
  return client;
}

describe('a stream', () => {
  it('shows a rider’s pings to the customer, and every status in order to the end', async () => {
    const client = await delivers(gateway.url, sse);
    expect(client.said).not.toContain('held up');
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
    const client = dial(gateway.url, 'customer', 'ann', {
      env(tell) {
        wake = () => tell({});
        return () => {};
      },
    });
    await client.ready();
    const again = once((cb) => client.on('state', cb));
    wake();
    await again;
    expect(client.said.filter((s) => s.startsWith('send'))).toEqual([
      'send hello',
      'send beat',
      'send hello',
    ]);
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

describe('behind a proxy', () => {
  let proxy: Nginx;
  const behind = async (...how: Parameters<Nginx['become']>) => {
    proxy = await startNginx(gateway.url, ...how);
    undo.push(() => proxy.stop());
    return proxy.url;
  };
  // However slow this machine is.
  const fallback = () => withFallback(sse({ silentMs: 20_000 }), { afterMs: 20_000 });

  it('that lets WebSockets through, there is no need of it', async () => {
    const client = await delivers(await behind('upgrades'), fallback);
    expect(client.said).not.toContain('fallback');
  });

  it('that refuses upgrades, all goes over a stream that nothing holds up', async () => {
    const client = await delivers(await behind('refuses'), fallback);
    expect(client.said.filter((s) => s === 'fallback')).toEqual(['fallback']);
    expect(client.said).not.toContain('held up');
  });

  it('that refuses upgrades, a client of the binary codec goes on in JSON', async () => {
    const client = await delivers(await behind('refuses'), fallback, msgpack);
    expect(client.said).toContain('fallback');
  });

  it('that keeps what is not complete, it says so and goes on in pieces', async () => {
    const client = await delivers(await behind('buffers'), () =>
      withFallback(sse({ silentMs: 500, pieceMs: 400 })),
    );
    expect(client.said).toContain('held up');
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
