/** A page in Chromium that watches the town's order, and what may happen to a page. */
import type { Browser, BrowserContext, CDPSession, Page } from 'playwright-core';
import type { Town } from './town.ts';

/** Runs in the page: it shows what it is told, and keeps what it has shown. */
const watchInPage = `async () => {
  const { connect, watchOrder, sse, withFallback } = await import('/ridecast.js');
  const page = (window.shown = { statuses: [], lat: undefined, states: [], back: false, wrong: [] });
  const hidden = Object.getOwnPropertyDescriptor(Document.prototype, 'hidden');
  window.hide = (is) => {
    Object.defineProperty(document, 'hidden', is ? { configurable: true, value: true } : { ...hidden, configurable: true });
    document.dispatchEvent(new Event('visibilitychange', { bubbles: true }));
  };
  addEventListener('error', (e) => page.wrong.push(String(e.message)));
  const client = (window.client = connect(location.origin.replace('http', 'ws') + '/v1/ws', {
    token: () => window.freshToken(),
    suspendAfterMs: 1000,
    transport: withFallback(sse(), { retryMs: 2000 }),
  }));
  client.on('state', ({ state }) => page.states.push(state));
  const order = (window.order = watchOrder(client, '42'));
  order.on('status', ({ status }) => page.statuses.push(status));
  order.on('gap', () => page.wrong.push('gap'));
  order.on('position', ({ lat }) => {
    if (lat < page.lat) page.wrong.push('back');
    page.lat = lat;
  });
  window.over = new Promise((done) => order.on('end', () => done()));
  await new Promise((done) => order.on('change', done));
  page.statuses.unshift(order.snapshot.status);
}`;

export interface Shown {
  statuses: string[];
  lat?: number;
  states: string[];
  wrong: string[];
}

export class Visitor {
  readonly page: Page;
  private readonly context: BrowserContext;
  private readonly devtools: CDPSession;
  private readonly town: Town;

  static async arrive(browser: Browser, town: Town): Promise<Visitor> {
    const context = await browser.newContext();
    return Visitor.open(context, town);
  }

  private static async open(context: BrowserContext, town: Town): Promise<Visitor> {
    const page = await context.newPage();
    await page.exposeFunction('freshToken', () => town.token());
    await page.goto(`${town.url}/index.html`);
    await page.evaluate(`(${watchInPage})()`);
    return new Visitor(page, context, await context.newCDPSession(page), town);
  }

  private constructor(page: Page, context: BrowserContext, devtools: CDPSession, town: Town) {
    this.page = page;
    this.context = context;
    this.devtools = devtools;
    this.town = town;
  }

  /** Another tab of the same browser. */
  another(): Promise<Visitor> {
    return Visitor.open(this.context, this.town);
  }

  shown(): Promise<Shown> {
    return this.page.evaluate('window.shown');
  }

  /** The device has no network, and says so. */
  async offline(meanwhile: () => Promise<unknown>): Promise<void> {
    await this.context.setOffline(true);
    this.town.door.cut();
    await meanwhile();
    await this.context.setOffline(false);
  }

  async hidden(meanwhile: () => Promise<unknown>): Promise<void> {
    await this.page.evaluate('window.hide(true)');
    await meanwhile();
    await this.page.evaluate('window.hide(false)');
  }

  /** Nothing runs in the page: timers are late, and what arrives waits. */
  async frozen(meanwhile: () => Promise<unknown>): Promise<void> {
    await this.devtools.send('Debugger.enable');
    await this.devtools.send('Debugger.pause');
    const paused = new Promise((resolve) => this.devtools.once('Debugger.paused', resolve));
    // It pauses with the next thing that runs.
    const nudge = this.page.evaluate('0');
    await paused;
    await meanwhile();
    await this.devtools.send('Debugger.resume');
    await this.devtools.send('Debugger.disable');
    await nudge;
  }

  /** Off to another page, and back to this one, out of the cache. */
  async elsewhere(meanwhile: () => Promise<unknown>): Promise<void> {
    await this.page.goto('data:text/html,elsewhere');
    await meanwhile();
    await this.page.goBack({ waitUntil: 'commit' });
    await this.page.waitForFunction('window.shown');
  }

  /** @returns ms until the page shows a position from after the call */
  async newest(): Promise<number> {
    const from = performance.now();
    const { newest } = this.town;
    await this.page.waitForFunction(`window.shown.lat > ${newest}`, undefined, { polling: 20 });
    return performance.now() - from;
  }

  /** The page has to have shown every status of the order, once and in order. */
  async everything(): Promise<Shown> {
    await this.page.evaluate('window.over');
    return this.shown();
  }
}
