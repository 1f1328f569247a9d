/** The demo in a real browser: what a person sees, read from the DOM. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Demo, startDemo } from '../../demo/main.ts';
import { startChromium } from '../support/browser.ts';
import { freePort } from '../support/ports.ts';

const DOT = '.dot[data-rider][data-lat]';
/** A software-drawn map on a busy machine takes its time. */
const PATIENCE = { timeout: 60_000 };

let demo: Demo;
let browser: Browser;
let page: Page;
let problems: string[] = [];

const start = (port: number) => startDemo({ PORT: String(port), ADMIN_PORT: '0', LOG_LEVEL: 'silent' });

beforeAll(async () => {
  [demo, browser] = await Promise.all([start(await freePort()), startChromium()]);
});

afterAll(async () => {
  await browser?.close();
  await demo?.stop();
});

afterEach(async () => {
  await page?.close();
});

async function look(link: string): Promise<void> {
  problems = [];
  page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
  page.on('pageerror', (error) => problems.push(String(error)));
  await page.goto(link);
}

const seen = (selector: string) => page.waitForSelector(selector, { state: 'attached', ...PATIENCE });

/** Waits until something of the page differs from what it is now; both values. */
async function change(
  selector: string,
  name: string,
  timeout = PATIENCE.timeout,
): Promise<[string | null, string | null]> {
  const element = page.locator(selector).first();
  await element.waitFor({ state: 'attached', timeout });
  const before = await element.getAttribute(name);
  await page.waitForFunction(
    ([where, what, was]) => {
      const now = document.querySelector(where!)?.getAttribute(what!);
      return now != null && now !== was;
    },
    [selector, name, before],
    { timeout },
  );
  return [before, await element.getAttribute(name)];
}

describe('the customer’s page', { timeout: 240_000 }, () => {
  it('shows a dot that moves, and the status as it changes', async () => {
    await look(demo.links.customer);
    // The demo's first order is seconds old: this sees it picked up, or on a slow machine arriving.
    const [before, after] = await change('#view', 'data-status', 150_000);
    expect(after).not.toBe(before);
    const [from, to] = await change('.dot.big[data-lat]', 'data-lat');
    expect(to).not.toBe(from);
    expect(await page.getAttribute('#view', 'data-freshness')).toBe('live');
    expect(problems).toEqual([]);
  });

  it('draws the map, not an empty canvas', async () => {
    await look(demo.links.customer);
    await seen('#view[data-status]');
    const shot = await page.locator('#map canvas').screenshot();
    const colours = await page.evaluate(
      async (data) => {
        const image = await createImageBitmap(await (await fetch(data)).blob());
        const canvas = new OffscreenCanvas(image.width, image.height);
        const context = canvas.getContext('2d')!;
        context.drawImage(image, 0, 0);
        const { data: bytes } = context.getImageData(600, 100, 600, 600);
        const seen = new Set<number>();
        for (let i = 0; i < bytes.length; i += 4)
          seen.add((bytes[i]! << 16) | (bytes[i + 1]! << 8) | bytes[i + 2]!);
        return seen.size;
      },
      `data:image/png;base64,${shot.toString('base64')}`,
    );
    expect(colours).toBeGreaterThan(20);
  });
});

describe('the partner’s dashboard', { timeout: 120_000 }, () => {
  it('lists the running orders and shows their riders, one partner’s only', async () => {
    await look(demo.links.partner);
    await seen(DOT);
    await page.waitForFunction(() => document.querySelectorAll('.orders li').length > 2, undefined, PATIENCE);
    const orders = await page
      .locator('.orders li')
      .evaluateAll((rows) => rows.map((row) => row.getAttribute('data-order')));
    expect(orders.filter((id) => !id?.startsWith('N'))).toEqual([]);
    expect(problems).toEqual([]);
  });

  it('brings a chosen order to the fore', async () => {
    await look(demo.links.partner);
    await seen(DOT);
    const row = page
      .locator('.orders li[data-status="assigned"] button, .orders li[data-status="picked_up"] button')
      .first();
    await row.click(PATIENCE);
    await seen('.dot.selected');
    await seen('.pin[data-pin="door"]');
    expect(problems).toEqual([]);
  });
});

describe('the operator’s map', { timeout: 120_000 }, () => {
  it('shows every rider, and none of a zone that is switched off', async () => {
    await look(demo.links.operator);
    await seen('#view[data-riders="40"]');
    const zone = page.locator('.zones li[data-zone="harbour"]');
    const before = await page.locator(DOT).count();
    await zone.locator('input').click();
    await seen('.zones li[data-zone="harbour"].off');
    await page.waitForFunction(
      ([selector, was]) => document.querySelectorAll(selector as string).length < (was as number),
      [DOT, before],
      PATIENCE,
    );
    expect(problems).toEqual([]);
  });
});

describe('a gateway that stops and starts again', { timeout: 300_000 }, () => {
  for (const view of ['customer', 'partner', 'operator'] as const) {
    it(`leaves the ${view}’s page honest while it is away, and coming back by itself`, async () => {
      await look(demo.links[view]);
      await seen('#view[data-freshness="live"]');
      // An order about to end would end before the link does, and its page would rightly say so instead.
      if (view === 'customer') await seen('#view[data-status="assigned"], #view[data-status="picked_up"]');
      const { port } = demo.gateway;
      const ordersBefore = await page.getAttribute('#view', 'data-order');

      await demo.stop();
      await seen('#view[data-freshness="reconnecting"]');
      demo = await start(port);
      await seen('#view[data-freshness="live"][data-state="live"]');
      const dot = view === 'customer' ? '.dot.big[data-lat]' : DOT;
      // The customer sees a rider from pick-up on, so this may take a while.
      const [from, to] = await change(dot, 'data-lat', 120_000);
      expect(to).not.toBe(from);
      // The memory of the first gateway is gone: what is shown now is the second one's.
      if (view === 'customer') expect(await page.getAttribute('#view', 'data-order')).not.toBe(ordersBefore);
      expect(
        problems.filter((text) => !/WebSocket|Failed to load resource|ERR_CONNECTION/.test(text)),
      ).toEqual([]);
    });
  }
});
