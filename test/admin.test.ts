import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MemoryBroker, memoryBackbone } from '../src/backbone/memory.ts';
import { type Gateway, VERSION } from '../src/gateway.ts';
import { RawClient } from './support/client.ts';
import { call, givenOrder, testGateway, token } from './support/gateway.ts';

const admin = (gateway: Gateway, path: string) => fetch(`http://127.0.0.1:${gateway.adminPort}${path}`);

/** Every sample of /metrics by its name and labels, without the node. */
async function samples(gateway: Gateway): Promise<Map<string, number>> {
  const text = await (await admin(gateway, '/metrics')).text();
  const found = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, name, labels, value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined) continue;
    // biome-ignore format: one thought
    const kept = (labels ?? '').split(',').filter((label) => !label.startsWith('node=')).join();
    found.set(kept === '' ? name : `${name}{${kept}}`, Number(value));
  }
  return found;
}

describe('the admin port', () => {
  let gateway: Gateway;
  beforeAll(async () => {
    gateway = await testGateway({ NODE_ID: 'node-1' });
  });
  afterAll(() => gateway.stop());

  it('says that the process is alive, and what it is', async () => {
    const response = await admin(gateway, '/healthz');
    expect([response.status, await response.json()]).toEqual([
      200,
      // biome-ignore format: one answer
      {
        status: 'alive', node: 'node-1', backbone: 'memory', healthy: true, draining: false, sessions: 0,
        uptimeS: expect.any(Number), version: VERSION,
      },
    ]);
    const client = await RawClient.hello(gateway.url, await token('operator', 'op'));
    expect(await (await admin(gateway, '/healthz')).json()).toMatchObject({ sessions: 1 });
    client.socket.close();
    await client.closed();
    expect(await (await admin(gateway, '/healthz')).json()).toMatchObject({ sessions: 0 });
  });

  it('says that it may get traffic', async () => {
    const response = await admin(gateway, '/readyz');
    expect([response.status, await response.json()]).toMatchObject([200, { status: 'ready' }]);
  });

  it('counts what happens', async () => {
    const before = await samples(gateway);
    await givenOrder(gateway, 'o1', { rider: 'r1' }, 'picked_up');
    const watch = [{ w: 1, channel: 'order:o1' }];
    const customer = await RawClient.hello(gateway.url, await token('customer', 'ann'), { watch });
    await customer.next('watching');
    const phone = await RawClient.hello(gateway.url, await token('rider', 'r1'));
    phone.send({ t: 'ping', pings: [{ seq: 1, lat: 1, lng: 1 }] });
    await customer.next('positions');
    phone.send({ t: 'ping', pings: [{ seq: 1, lat: 1, lng: 1 }] });
    phone.send({ t: 'nonsense' });
    await phone.next('error');
    await call(gateway, 'POST', '/v1/orders/o1/events', { status: 'arriving' });
    await customer.next('event');
    await call(gateway, 'GET', '/v1/orders/o1', undefined, { token: 'bad' });
    const refused = new RawClient(gateway.url);
    await refused.open();
    refused.send({ t: 'hello' });
    await refused.closed();

    const after = await samples(gateway);
    const grown = (name: string) => (after.get(name) ?? 0) - (before.get(name) ?? 0);
    for (const [name, by] of [
      ['ridecast_pings_total{verdict="taken"}', 1],
      ['ridecast_pings_total{verdict="duplicate"}', 1],
      ['ridecast_frames_total{type="ping"}', 2],
      ['ridecast_frames_total{type="hello"}', 3],
      ['ridecast_refused_frames_total{code="unknown_type"}', 1],
      ['ridecast_closes_total{reason="auth"}', 1],
      ['ridecast_http_total{status="401"}', 1],
      ['ridecast_order_events_total{outcome="appended"}', 3],
      ['ridecast_position_frames_total', 1],
      ['ridecast_position_blocks_total', 1],
      ['ridecast_sessions', 2],
      ['ridecast_channels', 1],
      ['ridecast_riders', 1],
    ] as const) {
      expect([name, grown(name)]).toEqual([name, by]);
    }
    expect(after.get('ridecast_backbone_healthy')).toBe(1);
    for (const client of [customer, phone]) client.close();
  });

  it('counts the events it sends to watchers', async () => {
    const before = (await samples(gateway)).get('ridecast_events_sent_total')!;
    await givenOrder(gateway, 'o2', {});
    const watch = [{ w: 1, channel: 'order:o2' }];
    const customer = await RawClient.hello(gateway.url, await token('customer', 'ann'), { watch });
    await customer.next('watching');
    await call(gateway, 'POST', '/v1/orders/o2/events', { status: 'cancelled' });
    await customer.next('event');
    expect((await samples(gateway)).get('ridecast_events_sent_total')).toBe(before + 1);
    customer.close();
  });

  it('tells every family it has, with a help text, and what the process takes', async () => {
    const response = await admin(gateway, '/metrics');
    expect(response.headers.get('content-type')).toMatch(/^text\/plain.*version=/);
    const text = await response.text();
    // biome-ignore format: a list
    for (const family of [
      'pings_total', 'frames_total', 'refused_frames_total', 'closes_total', 'watches_total', 'http_total',
      'order_events_total', 'bus_drops_total', 'position_frames_total', 'position_blocks_total', 'events_sent_total',
      'lagging_flushes_total', 'store_failures_total', 'generations_total', 'sessions', 'channels', 'riders',
      'backbone_healthy',
    ]) {
      expect(text).toMatch(new RegExp(`^# HELP ridecast_${family} .+$`, 'm'));
    }
    expect(text).toMatch(/^process_cpu_seconds_total\{node="node-1"\}/m);
    expect(text).toMatch(/^nodejs_eventloop_lag_seconds\{node="node-1"\}/m);
  });

  it('keeps its labels to a known few, whatever clients send', async () => {
    const client = await RawClient.hello(gateway.url, await token('operator', 'op'), { client: 'x{y="z"}' });
    for (let i = 0; i < 20; i++) client.send({ t: `made-up-${i}` });
    client.send({ t: 'watch', w: 1, channel: 'zone:made-up' });
    await client.next('watching');
    const text = await (await admin(gateway, '/metrics')).text();
    expect(text).not.toMatch(/made-up|x\{y/);
    client.close();
  });

  it('is not to be reached on the public port, and has nothing of it', async () => {
    for (const path of ['/healthz', '/readyz', '/metrics', '/metrics/', '//metrics']) {
      expect([path, (await fetch(`${gateway.url}${path}`)).status]).toEqual([path, 404]);
    }
    for (const path of ['/v1/orders/o1', '/v1/ws', '/', '/healthz/x']) {
      expect([path, (await admin(gateway, path)).status]).toEqual([path, 404]);
    }
  });
});

describe('readiness', () => {
  it('ends with the drain, while the process still lives', async () => {
    // The clock stands still, so that the drain waits for the last session to leave.
    const at = Date.now();
    const gateway = await testGateway({}, { now: () => at });
    const client = await RawClient.hello(gateway.url, await token('operator', 'op'));
    const drained = gateway.drain();
    await client.next('drain');
    const ready = await admin(gateway, '/readyz');
    expect([ready.status, await ready.json()]).toMatchObject([503, { status: 'draining', draining: true }]);
    expect((await admin(gateway, '/healthz')).status).toBe(200);
    client.close();
    await drained;
    await expect(admin(gateway, '/healthz')).rejects.toThrow();
  });

  it('ends while the backbone does not answer', async () => {
    let healthy = true;
    const backbone = { ...memoryBackbone(new MemoryBroker()), healthy: () => healthy };
    const gateway = await testGateway({}, { backbone });
    const client = await RawClient.hello(gateway.url, await token('operator', 'op'));
    healthy = false;
    const ready = await admin(gateway, '/readyz');
    expect([ready.status, await ready.json()]).toMatchObject([503, { status: 'degraded', healthy: false }]);
    expect((await admin(gateway, '/healthz')).status).toBe(200);
    expect((await samples(gateway)).get('ridecast_backbone_healthy')).toBe(0);
    await client.next('error', (m) => m.code === 'degraded');
    healthy = true;
    await client.next('error', (m) => m.code === 'recovered');
    expect((await admin(gateway, '/readyz')).status).toBe(200);
    client.close();
    await gateway.stop();
  });
});
