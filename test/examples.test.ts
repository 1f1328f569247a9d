import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MemoryBroker, memoryBackbone } from '../src/backbone/memory.ts';
import type { Gateway } from '../src/gateway.ts';
import { startChromium } from './support/browser.ts';
import { call, givenOrder, SECRET, testGateway, token } from './support/gateway.ts';
import { flushAll } from './support/memory-logs.ts';

const root = new URL('..', import.meta.url).pathname;
const examples = join(root, 'examples');

/** A running example: its lines, and a wait for one of them. */
class Example {
  output = '';
  private readonly child: ChildProcess;
  private wake = () => {};
  private done = false;

  constructor(file: string, args: string[], env: Record<string, string>) {
    this.child = spawn(process.execPath, [join(examples, file), ...args], {
      env: { ...process.env, ...env },
    });
    const hear = (chunk: Buffer) => {
      this.output += chunk;
      this.wake();
    };
    this.child.stdout!.on('data', hear);
    this.child.stderr!.on('data', hear);
    this.child.on('exit', () => {
      this.done = true;
      this.wake();
    });
  }

  async says(text: string): Promise<void> {
    while (!this.output.includes(text)) {
      if (this.done) throw new Error(`it ended without saying "${text}":\n${this.output}`);
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  async ends(): Promise<string> {
    while (!this.done) await new Promise<void>((resolve) => (this.wake = resolve));
    return this.output;
  }

  stop(): void {
    this.child.kill();
  }
}

const REACT_PAGE =
  '<!doctype html><meta charset="utf-8"><div id="app"></div><script type="module" src="customer.js"></script>';

describe('the examples', () => {
  let gateway: Gateway;
  const running: Example[] = [];
  const broker = new MemoryBroker();
  const folder = mkdtempSync(join(tmpdir(), 'ridecast-examples-'));

  beforeAll(async () => {
    cpSync(join(examples, 'customer.html'), join(folder, 'customer.html'));
    cpSync(join(root, 'client-sdk/dist/ridecast.js'), join(folder, 'ridecast.js'));
    await build({
      entryPoints: [join(examples, 'customer.jsx')],
      bundle: true,
      format: 'esm',
      jsx: 'automatic',
      define: { 'process.env.NODE_ENV': '"development"' }, // with StrictMode's double mounts
      outdir: folder,
    });
    writeFileSync(join(folder, 'react.html'), REACT_PAGE);
    const backbone = memoryBackbone(broker);
    gateway = await testGateway({ STATIC_DIR: folder, GROUP_TICK_MS: '20' }, { backbone });
  });
  afterAll(async () => {
    for (const example of running) example.stop();
    await gateway.stop();
  });

  const run = (file: string, args: string[], bearer = '') => {
    const env = { RIDECAST_URL: gateway.url, RIDECAST_TOKEN: bearer, AUTH_SECRET: SECRET };
    const example = new Example(file, args, env);
    running.push(example);
    return example;
  };

  it('are under 40 lines each', () => {
    for (const file of readdirSync(examples)) {
      const lines = readFileSync(join(examples, file), 'utf8').trimEnd().split('\n').length;
      expect([file, lines < 40]).toEqual([file, true]);
    }
  });

  it('backend and token: an order is created, given to a rider and picked up; a minted token is taken', async () => {
    expect(await run('backend.mjs', ['b1', 'ann', 'shop', 'r1']).ends()).toBe(
      'order b1 is picked_up, version 3\n',
    );
    expect(await run('backend.mjs', ['b1', 'ann', 'shop', 'r1']).ends()).toBe(
      'order b1 is picked_up, version 3\n',
    );
    const minted = (await run('token.mjs', ['customer', 'ann']).ends()).trim();
    expect(
      (await call(gateway, 'GET', '/v1/orders/b1', undefined, { token: minted })).body.order.status,
    ).toBe('picked_up');
  });

  it('outbox: what Ridecast does not know is sent, also after it forgot everything', async () => {
    const table = join(folder, 'outbox.jsonl');
    const rows = [
      { method: 'PUT', path: '', body: { customer: 'ann', partner: 'shop' } },
      { method: 'POST', path: '/assign', body: { rider: 'r' }, key: 'row-2' },
      { method: 'POST', path: '/events', body: { status: 'picked_up' }, key: 'row-3' },
    ];
    writeFileSync(table, rows.map((row) => `${JSON.stringify({ order: 'kept', ...row })}\n`).join(''));
    const outbox = async () => run('outbox.mjs', [table], await token('service', 'backend')).ends();
    expect(await outbox()).toBe('order kept: 3 of 3 events were missing\n');
    expect(await outbox()).toBe('order kept: 0 of 3 events were missing\n');
    flushAll(broker.store);
    expect(await outbox()).toBe('order kept: 3 of 3 events were missing\n');
    const { body } = await call(gateway, 'GET', '/v1/orders/kept');
    expect(body.order).toMatchObject({ status: 'picked_up', version: 3 });
  });

  it.each(['watch-order.mjs', 'watch-order-raw.mjs'])(
    '%s shows what the rider examples send, until the end',
    async (file) => {
      const [order, id] = [`o-${file}`, `r-${file}`];
      await givenOrder(gateway, order, { rider: id }, 'picked_up');
      const watcher = run(file, [order], await token('customer', 'ann'));
      await watcher.says('status picked_up');
      const raw = run('rider-raw.mjs', ['1.25', '2.5'], await token('rider', id));
      expect(await raw.ends()).toBe('acknowledged up to 1\n');
      await watcher.says('position 1.25');
      const phone = await run('rider.mjs', ['2'], await token('rider', id)).ends();
      expect(phone).toContain('all acknowledged');
      await watcher.says('position 52.5165');
      await call(gateway, 'POST', `/v1/orders/${order}/events`, { status: 'delivered' });
      expect(await watcher.ends()).toContain('the order ended: delivered');
    },
  );

  it('dashboard.mjs follows the orders of a partner and their riders', async () => {
    const dashboard = run('dashboard.mjs', ['grocer'], await token('partner', 'grocer'));
    await givenOrder(gateway, 'd1', { partner: 'grocer', rider: 'r-d1' }, 'picked_up');
    await dashboard.says('order d1: picked_up');
    await run('rider-raw.mjs', ['1.25', '2.5'], await token('rider', 'r-d1')).ends();
    await dashboard.says('r-d1 is on the map');
    await dashboard.says('r-d1 at 1.25000 2.50000');
    await call(gateway, 'POST', '/v1/orders/d1/events', { status: 'delivered' });
    await dashboard.says('r-d1 left the map');
  });

  it('customer.html shows an order in a browser', async () => {
    await givenOrder(gateway, 'page', { rider: 'r-page' }, 'picked_up');
    const browser = await startChromium();
    try {
      const page = await browser.newPage();
      const bearer = await token('customer', 'ann');
      page.on('dialog', (dialog) => dialog.accept(bearer));
      await page.goto(`${gateway.url}/customer.html?order=page`);
      await page.getByText('picked_up').waitFor();
      await run('rider-raw.mjs', ['1.25', '2.5'], await token('rider', 'r-page')).ends();
      await page.getByText('1.25000, 2.50000').waitFor();
      await call(gateway, 'POST', '/v1/orders/page/events', { status: 'delivered' });
      await page.getByText('delivered').waitFor();
    } finally {
      await browser.close();
    }
  });

  it('customer.jsx shows an order with React, and its rider as a dot', async () => {
    await givenOrder(gateway, 'react', { rider: 'r-react' }, 'picked_up');
    const browser = await startChromium();
    try {
      const page = await browser.newPage();
      const bearer = await token('customer', 'ann');
      await page.route('**/token', (route) => route.fulfill({ body: bearer }));
      await page.goto(`${gateway.url}/react.html#react`);
      await page.getByText('picked_up, live, live').waitFor();
      await run('rider-raw.mjs', ['1.25', '2.5'], await token('rider', 'r-react')).ends();
      await page.locator('i[data-at="1.25 2.5"]').waitFor({ state: 'attached' });
      await call(gateway, 'POST', '/v1/orders/react/events', { status: 'delivered' });
      await page.getByText('delivered, ended, live').waitFor();
    } finally {
      await browser.close();
    }
  });
});
