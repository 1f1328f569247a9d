/** The built file in a real browser, served by the gateway it talks to. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Gateway } from '../../src/gateway.ts';
import { startChromium } from '../../test/support/browser.ts';
import { call, givenOrder, testGateway, token } from '../../test/support/gateway.ts';
import { startNginx } from '../../test/support/nginx.ts';

const root = resolve(import.meta.dirname, '../..');
const dir = mkdtempSync(join(tmpdir(), 'ridecast-browser-'));
let gateway: Gateway;
let browser: Browser;

beforeAll(async () => {
  execFileSync(process.execPath, [join(root, 'scripts/build-sdk.mjs'), dir]);
  writeFileSync(join(dir, 'index.html'), '<!doctype html><meta charset="utf-8"><title>a page</title>');
  gateway = await testGateway({ STATIC_DIR: dir });
  browser = await startChromium();
});
afterAll(async () => {
  await browser?.close();
  await gateway?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** Watches an order in the page and gathers what it says; `end` resolves with it. */
const watchInPage = `async (args) => {
  const { connect, watchOrder, animate, sse, withFallback } = await import('/ridecast.js');
  window.streams = [];
  const seen = (url, init) => {
    window.streams.push(url.search ? 'pieces' : 'whole');
    return fetch(url, init);
  };
  const client = connect(location.origin.replace('http', 'ws') + '/v1/ws', {
    token: args.token,
    transport: withFallback(sse({ silentMs: 500, pieceMs: 400, fetch: seen }), { retryMs: 300 }),
  });
  const order = watchOrder(client, args.order);
  const said = [];
  order.on('status', (s) => said.push(s.status));
  order.on('freshness', (f) => said.push(f));
  window.poses = [];
  animate(order, (pose) => window.poses.push(pose));
  window.client = client;
  window.end = new Promise((done) => order.on('end', () => done(said)));
  await client.ready();
  await new Promise((done) => (order.snapshot ? done() : order.on('change', done)));
}`;

it('watches an order in a page: position drawn, statuses in order, the end', async () => {
  await givenOrder(gateway, 'o1', { rider: 'r1' }, 'picked_up');
  const page = await browser.newPage();
  const problems: string[] = [];
  page.on('pageerror', (e) => problems.push(String(e)));
  await page.goto(`${gateway.url}/index.html`);
  await page.evaluate(
    `(${watchInPage})(${JSON.stringify({ token: await token('customer', 'ann'), order: 'o1' })})`,
  );
  await call(gateway, 'POST', '/v1/riders/r1/pings', { pings: [{ seq: 1, lat: 52.5163, lng: 13.40497 }] });
  await page.waitForFunction('window.poses.length > 0');
  expect(await page.evaluate('window.poses[0]')).toMatchObject({ lat: 52.5163, lng: 13.40497 });
  for (const status of ['arriving', 'delivered'])
    await call(gateway, 'POST', '/v1/orders/o1/events', { status });
  expect(await page.evaluate('window.end')).toEqual(['live', 'arriving', 'delivered', 'ended']);
  expect(problems).toEqual([]);
  await page.close();
});

it('comes back when the browser was offline', async () => {
  await givenOrder(gateway, 'o2', { rider: 'r2' }, 'picked_up');
  const page = await browser.newPage();
  await page.goto(`${gateway.url}/index.html`);
  await page.evaluate(
    `(${watchInPage})(${JSON.stringify({ token: await token('customer', 'ann'), order: 'o2' })})`,
  );
  await page.evaluate('window.client.pause()');
  await page.context().setOffline(true);
  await page.evaluate('window.client.resume()');
  await page.waitForFunction("window.client.info.attempt > 0 && window.client.info.state !== 'live'");
  await call(gateway, 'POST', '/v1/orders/o2/events', { status: 'arriving' });
  await page.context().setOffline(false);
  await page.waitForFunction("window.client.info.state === 'live'");
  await call(gateway, 'POST', '/v1/orders/o2/events', { status: 'delivered' });
  expect(await page.evaluate('window.end')).toEqual(['live', 'arriving', 'delivered', 'ended']);
  await page.close();
});

it('goes on through a proxy that refuses WebSockets, one that holds streams up, and one that does neither', async () => {
  await givenOrder(gateway, 'o3', { rider: 'r3' }, 'picked_up');
  const proxy = await startNginx(gateway.url, 'refuses');
  const page = await browser.newPage();
  try {
    let sockets = 0;
    page.on('websocket', (socket) => socket.on('framereceived', () => sockets++));
    await page.goto(`${proxy.url}/index.html`);
    await page.evaluate(
      `(${watchInPage})(${JSON.stringify({ token: await token('customer', 'ann'), order: 'o3' })})`,
    );
    expect(await page.evaluate('window.streams')).toContain('whole');
    await proxy.become('buffers');
    await call(gateway, 'POST', '/v1/orders/o3/events', { status: 'arriving' });
    await page.waitForFunction("window.streams.includes('pieces') && window.client.info.state === 'live'");
    expect(sockets).toBe(0);
    await proxy.become('upgrades');
    await expect.poll(() => sockets, { timeout: 20_000 }).toBeGreaterThan(0);
    await call(gateway, 'POST', '/v1/orders/o3/events', { status: 'delivered' });
    expect(await page.evaluate('window.end')).toEqual(['live', 'arriving', 'delivered', 'ended']);
  } finally {
    await page.close();
    await proxy.stop();
  }
});

/** A fleet over a link that the page itself is the other end of. */
const fleetInPage = `async () => {
  const { connect, watchFleet } = await import('/ridecast.js');
  let heard;
  const give = (m) => heard.data(JSON.stringify(m));
  const client = connect('ws://nowhere', {
    token: 't',
    transport: (url, events) => {
      heard = events;
      return { send() {}, buffered: () => 0, drop() {} };
    },
  });
  while (!heard) await new Promise((next) => setTimeout(next));
  const now = Date.now();
  give({ t: 'welcome', now, heartbeat: 15000, reconnect: { after: 0, spread: 0 } });
  const fleet = watchFleet(client, { zone: '7' });
  const batches = (window.batches = []);
  let told = () => {};
  fleet.on('batch', (ids) => {
    batches.push([...ids].join());
    told();
  });
  window.nextBatch = () => new Promise((resolve) => (told = resolve));
  give({ t: 'watching', w: 1, c: 3, channel: 'zone:7', at: now, block: [3, 1, [], [[1, 'ann', []]]] });
  let seq = 0;
  window.move = () => give({ t: 'positions', at: Date.now(), b: [[3, 0, [[1, 7, ++seq, 5250000, 1340000, 0, 0]]]] });
}`;

it.each(['setTimeout', 'requestAnimationFrame'])(
  'tells of a fleet once per frame, without %s',
  async (off) => {
    const page = await browser.newPage();
    await page.goto(`${gateway.url}/index.html`);
    await page.evaluate(`(${fleetInPage})()`);
    await page.evaluate(`window.${off} = () => 0`);
    for (const batches of [1, 2]) {
      await page.evaluate('move(), move(), nextBatch()');
      expect(await page.evaluate('batches')).toEqual(Array(batches).fill('ann'));
    }
    await page.close();
  },
);
