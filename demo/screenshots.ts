/**
 * Takes the pictures of the README anew: `node demo/screenshots.ts [folder]` on a Node that runs TypeScript, or through
 * any bundler. Starts a demo of its own, waits until the city is busy, and writes dashboard.png and customer.png.
 */
import type { Page } from 'playwright-core';
import { startChromium } from '../test/support/browser.ts';
import { startDemo } from './main.ts';

const folder = process.argv[2] ?? 'docs';
const BUSY_MS = Number(process.env.BUSY_MS ?? 75_000);

const demo = await startDemo({ ...process.env, PORT: '0', ADMIN_PORT: '0' });
const browser = await startChromium();
try {
  const picture = async (
    name: string,
    link: string,
    ready: (page: Page) => Promise<unknown>,
    options = {},
  ) => {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, ...options });
    page.on('console', (message) => message.type() === 'error' && console.error(name, message.text()));
    page.on('pageerror', (error) => console.error(name, error));
    await page.goto(link);
    await ready(page);
    await page.waitForTimeout(4000);
    await page.screenshot({ path: `${folder}/${name}.png` });
    await page.close();
  };
  await new Promise((resolve) => setTimeout(resolve, BUSY_MS));
  const { partner, customer, operator } = demo.links;
  await picture('dashboard', partner, (page) => page.waitForSelector('.dot[data-rider][data-lat]'));
  const moving = (page: Page) => page.waitForSelector('.dot.big[data-lat]', { timeout: 120_000 });
  if (process.env.ALL) {
    const phone = { viewport: { width: 390, height: 844 } };
    const night = { colorScheme: 'dark' };
    const riders = (page: Page) => page.waitForSelector('.dot[data-rider][data-lat]');
    await picture('operator', operator, riders);
    await picture('operator-night', operator, riders, night);
    await picture('partner-phone', partner, riders, phone);
    await picture('customer-early', customer, (page) => page.waitForSelector('.steps'), phone);
    await picture('customer-phone', customer, moving, phone);
    await picture('customer-night', customer, moving, night);
  }
  await picture('customer', customer, async (page) => {
    await moving(page);
    await page.waitForTimeout(Number(process.env.TRAIL_MS ?? 25_000));
  });
} finally {
  await browser.close();
  await demo.stop();
}
