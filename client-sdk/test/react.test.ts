/** The hooks in a real browser, in StrictMode, against a real gateway; and where there is no browser at all. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import type { Browser, Page, WebSocket } from 'playwright-core';
import { createElement as h } from 'react';
import { renderToString } from 'react-dom/server';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { Gateway } from '../../src/gateway.ts';
import { startChromium } from '../../test/support/browser.ts';
import { call, givenOrder, testGateway, token } from '../../test/support/gateway.ts';
import { connect } from '../src/index.ts';
import { ClientProvider, useConnection, useFleet, useOrder } from '../src/react.ts';
import { fakeGateway } from './pair.ts';
import type { Shown } from './react-page.ts';

const dir = mkdtempSync(join(tmpdir(), 'ridecast-react-'));
let gateway: Gateway;
let browser: Browser;
beforeAll(async () => {
  await build({
    entryPoints: [join(import.meta.dirname, 'react-page.ts')],
    bundle: true,
    format: 'esm',
    define: { 'process.env.NODE_ENV': '"development"' },
    outdir: dir,
  });
  writeFileSync(
    join(dir, 'index.html'),
    '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><body><script type="module" src="react-page.js"></script>',
  );
  gateway = await testGateway({ STATIC_DIR: dir, GROUP_TICK_MS: '20' });
  browser = await startChromium();
});
afterAll(async () => {
  await browser?.close();
  await gateway?.stop();
  rmSync(dir, { recursive: true, force: true });
});

let page: Page;
let problems: string[];
let sockets: WebSocket[];
let sent: { t: string; watch?: { channel: string }[]; channel?: string }[];
beforeEach(async () => {
  [problems, sockets, sent] = [[], [], []];
  page = await browser.newPage();
  page.on('pageerror', (e) => problems.push(String(e)));
  page.on('console', (m) => m.type() === 'error' && problems.push(m.text()));
  page.on('websocket', (socket) => {
    sockets.push(socket);
    socket.on('framesent', ({ payload }) => sent.push(JSON.parse(String(payload))));
  });
  await page.goto(`${gateway.url}/index.html`);
});
afterEach(async () => {
  expect(problems).toEqual([]);
  await page.close();
});

async function enter(role: 'customer' | 'partner', sub: string): Promise<void> {
  const bearer = await token(role, sub);
  await page.evaluate((value) => {
    window.token = value;
  }, bearer);
}
const show = (shown: Shown) => page.evaluate((what) => window.show(what), shown);
const says = (text: string) => page.getByText(text, { exact: true }).first().waitFor();
const asked = () =>
  sent.flatMap((m) => (m.t === 'hello' ? (m.watch ?? []).map((w) => w.channel) : m.channel)).filter(Boolean);
const post = (order: string, status: string) =>
  call(gateway, 'POST', `/v1/orders/${order}/events`, { status });
const ping = (rider: string, lat: number) =>
  call(gateway, 'POST', `/v1/riders/${rider}/pings`, { pings: [{ seq: 1, lat, lng: 13.4 }] });

it('shows an order as it becomes, over one socket and one watch however many use it', async () => {
  await givenOrder(gateway, 'a1', { rider: 'ra1' }, 'picked_up');
  await enter('customer', 'ann');
  await show({ orders: ['a1', 'a1'], statusOf: 'a1', watchOf: 'a1' });
  await says('a1 picked_up live nowhere');
  await ping('ra1', 52.5163);
  await says('a1 picked_up live 52.5163');
  await post('a1', 'arriving');
  await says('a1 arriving live 52.5163');
  await post('a1', 'delivered');
  await says('a1 delivered ended nowhere');
  expect(await page.locator('li').count()).toBe(2);
  expect(await page.locator('output').textContent()).toBe('live');
  expect(sockets.length).toBe(1);
  expect(asked()).toEqual(['order:a1']);
  expect(await page.evaluate(() => window.asked)).toBe(1);
});

it('draws a component that selects only when what it selects is another', async () => {
  await givenOrder(gateway, 'b1', { rider: 'rb1' }, 'picked_up');
  await enter('customer', 'ann');
  await show({ statusOf: 'b1', placeOf: 'b1', orders: ['b1'] });
  await says('b1 picked_up live nowhere');
  const before = await page.evaluate(() => window.drawn.status);
  await ping('rb1', 52.5);
  await says('b1 picked_up live 52.5');
  await says('52.5');
  expect(await page.evaluate(() => window.drawn.status)).toBe(before);
  await post('b1', 'arriving');
  await says('b1 arriving live 52.5');
  expect(await page.evaluate(() => window.drawn.status)).toBeGreaterThan(before!);
});

it('goes on with a watch that comes back at once, and lets go of one that does not', async () => {
  for (const id of ['c1', 'c2']) await givenOrder(gateway, id, { rider: `r${id}` });
  await enter('customer', 'ann');
  await show({ orders: ['c1'] });
  await says('c1 assigned live nowhere');
  await page.evaluate(() => {
    window.show({});
    window.show({ orders: ['c1', 'c2'] });
  });
  await says('c2 assigned live nowhere');
  expect(asked()).toEqual(['order:c1', 'order:c2']);
  expect(sent.map((m) => m.t)).not.toContain('unwatch');
  await show({ orders: ['c2', 'c2'] });
  await expect.poll(() => sent.filter((m) => m.t === 'unwatch').length).toBe(1);
  await show({ orders: ['c2'], statusOf: 'c1' });
  await show({ orders: ['c2'] });
  await expect.poll(() => sent.filter((m) => m.t === 'unwatch').length).toBe(2);
  await post('c2', 'picked_up');
  await says('c2 picked_up live nowhere');
  await show({ provider: false });
  await expect.poll(() => sockets[0]!.isClosed()).toBe(true);
});

it('calls the newest listener, once for each event', async () => {
  await givenOrder(gateway, 'd1', { rider: 'rd1' });
  await enter('customer', 'ann');
  await show({ eventsOf: 'd1', orders: ['d1'] });
  await says('d1 assigned live nowhere');
  for (const status of ['picked_up', 'arriving']) {
    await post('d1', status);
    await says(`d1 ${status} live nowhere`);
  }
  expect(await page.evaluate(() => window.events)).toEqual(['picked_up after 0', 'arriving after 1']);
});

it('shows the riders of a partner, however often its selector is written anew', async () => {
  await givenOrder(gateway, 'e1', { rider: 're1', partner: 'grocer' });
  await enter('partner', 'grocer');
  await show({ partner: 'grocer' });
  await expect.poll(() => page.locator('em').textContent()).toBe('');
  await ping('re1', 52.5);
  await says('re1');
  await show({ partner: 'grocer', orders: [] });
  expect(asked()).toEqual(['partner:grocer']);
});

function Everything() {
  const order = useOrder('1');
  const state = useConnection()?.state;
  return h('p', null, `${order.data} ${order.freshness} ${useFleet({ zone: '7' })} ${state}`);
}

it('has nothing to show on a server, and opens nothing there', () => {
  const far = fakeGateway();
  const client = connect('wss://gateway.test/v1/ws', { token: 'tok', transport: far.transport });
  try {
    const html = renderToString(h(ClientProvider, { client }, h(Everything)));
    expect(html).toBe('<p>undefined catching-up undefined connecting</p>');
    const own = { url: 'wss://gateway.test/v1/ws', options: { token: 'tok' } };
    expect(renderToString(h(ClientProvider, own, h(Everything)))).toContain('undefined</p>');
  } finally {
    client.close();
  }
});
