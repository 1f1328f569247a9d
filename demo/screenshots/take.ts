/** Starts a demo and a browser, waits until the city is busy, and takes pictures. Run by take.mjs. */
import type { BrowserContextOptions, Page } from 'playwright-core';
import { startChromium } from '../../test/support/browser.ts';
import { startDemo } from '../main.ts';

const folder = process.argv[2] ?? 'docs';
const BUSY_MS = Number(process.env.BUSY_MS ?? 150_000);
const TRAIL_MS = 30_000;

type Ready = (page: Page) => Promise<unknown>;

const demo = await startDemo({ ...process.env, PORT: '0', ADMIN_PORT: '0' });
const browser = await startChromium();

async function picture(name: string, link: string, ready: Ready, options: BrowserContextOptions = {}) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, ...options });
  page.on('console', (message) => message.type() === 'error' && console.error(name, message.text()));
  page.on('pageerror', (error) => console.error(name, error));
  await page.goto(link);
  await ready(page);
  await page.waitForTimeout(4000);
  await page.screenshot({ path: `${folder}/${name}.png` });
  await page.close();
}

const riders: Ready = (page) => page.waitForSelector('.dot[data-rider][data-lat]');
const onTheWay: Ready = async (page) => {
  await page.waitForSelector('.dot.big[data-lat]', { timeout: 180_000 });
  await page.waitForTimeout(TRAIL_MS);
};

async function chosen(page: Page) {
  await riders(page);
  await page.waitForTimeout(2000);
  await page.locator('.orders li[data-status="picked_up"] button').first().click();
}

try {
  const { partner, customer, operator } = demo.links;
  const first = picture('customer', customer, onTheWay);
  await Promise.all([first, new Promise((resolve) => setTimeout(resolve, BUSY_MS))]);
  await picture('dashboard', partner, riders);
  if (process.env.ALL) {
    const phone = { viewport: { width: 390, height: 844 } };
    const night = { colorScheme: 'dark' } as const;
    await picture('partner-chosen', partner, chosen);
    await picture('operator', operator, riders);
    await picture('operator-night', operator, riders, night);
    await picture('partner-phone', partner, riders, phone);
    await picture('operator-phone', operator, riders, phone);
    await picture(
      'customer-delivered',
      customer,
      (page) => page.waitForSelector('.next:not([hidden])', { timeout: 300_000 }),
      phone,
    );
    await picture('customer-next', customer, (page) => page.waitForSelector('.steps'));
    await picture('customer-night', customer, onTheWay, { ...night, ...phone });
  }
} finally {
  await browser.close();
  await demo.stop();
}
