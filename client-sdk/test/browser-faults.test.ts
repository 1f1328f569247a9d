/**
 * A page in Chromium while everything goes wrong around it: every status shown once and in order, no position going back,
 * the newest one in the end. Between the two stands a proxy, that may let no WebSocket through. `npm run test:soak` draws 50
 * faults, with half a minute offline and two minutes hidden; SEED=7 draws others.
 */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { startChromium } from '../../test/support/browser.ts';
import { servedFolder } from './faults/browser.ts';
import { Town, wait } from './faults/town.ts';
import { Visitor } from './faults/visitor.ts';

const FAULTS = Number(process.env.FAULTS ?? 8);
const SEED = Number(process.env.SEED ?? 42);
/** How long a fault lasts, ms: half of it to one and a half. */
const FAULT_MS = Number(process.env.FAULT_MS ?? 600);
/** Of a device without a network, and of a tab nobody looks at. */
const [OFFLINE_MS, HIDDEN_MS] = process.env.SOAK ? [30_000, 120_000] : [FAULT_MS, 2 * FAULT_MS];

const folder = servedFolder();
let browser: Browser;
let town: Town;
let visitor: Visitor;

beforeAll(async () => {
  browser = await startChromium({ backForwardCache: true });
});
beforeEach(async () => {
  town = await Town.found(folder.dir);
  visitor = await Visitor.arrive(browser, town);
  return () => town.close();
});
afterAll(async () => {
  await browser?.close();
  folder.remove();
});

/** The order ends, and the page has shown all of it. */
async function showsEverything(who: Visitor): Promise<void> {
  const { statuses, wrong } = await who.everything();
  const from = town.posted.indexOf(statuses[0]!);
  expect(wrong).toEqual([]);
  expect(statuses).toEqual(from < 0 ? ['picked_up', ...town.posted] : town.posted.slice(from));
}

const restart = () => town.kill(FAULT_MS);

it.each(['offline', 'hidden', 'frozen', 'elsewhere'] as const)(
  'misses nothing when it is %s while the server restarts',
  async (fault) => {
    await visitor[fault](restart);
    await visitor.newest();
    await town.end();
    await showsEverything(visitor);
  },
  60_000,
);

it('suspends when hidden, and is live again when shown', async () => {
  await visitor.hidden(() => visitor.page.waitForFunction("window.client.info.state === 'suspended'"));
  await visitor.newest();
  const { states } = await visitor.shown();
  expect(states.slice(states.indexOf('suspended'))).toEqual(['suspended', 'waiting', 'connecting', 'live']);
  await town.end();
  await showsEverything(visitor);
}, 60_000);

it('lets go of its link for the back/forward cache, and comes back out of it', async () => {
  await visitor.elsewhere(() => wait(100));
  await visitor.newest();
  expect((await visitor.shown()).states).toContain('suspended');
  await town.end();
  await showsEverything(visitor);
}, 60_000);

it('serves two tabs, of which one is hidden', async () => {
  const other = await visitor.another();
  await visitor.hidden(restart);
  await Promise.all([visitor.newest(), other.newest()]);
  await town.end();
  await showsEverything(visitor);
  await showsEverything(other);
}, 60_000);

it(`survives ${FAULTS} random faults, seed ${SEED}`, async () => {
  const chance = random(SEED);
  const faults: { [name: string]: (ms: number) => Promise<unknown> } = {
    'server kill': (ms) => town.kill(ms),
    offline: () => visitor.offline(() => wait(OFFLINE_MS)),
    hidden: () => visitor.hidden(() => wait(HIDDEN_MS)),
    frozen: (ms) => visitor.frozen(() => wait(ms)),
    elsewhere: (ms) => visitor.elsewhere(() => wait(ms)),
    'no upgrades': (ms) => town.refuseUpgrades(ms),
    'token expired': () => town.revoke(),
    'node drained': () => town.drain(),
  };
  const names = Object.keys(faults);
  let newest = 0;
  for (let n = 0; n < FAULTS; n++) {
    const name = names[Math.floor(chance() * names.length)]!;
    await faults[name]!(FAULT_MS * (0.5 + chance()));
    newest = await visitor.newest();
    if (process.env.SOAK) process.stdout.write(`${n + 1} ${name}: newest after ${newest.toFixed(0)} ms\n`);
  }
  // The time is a promise of the SDK on a machine that has nothing else to do.
  if (process.env.SOAK) expect(newest).toBeLessThan(3000);
  await town.end();
  await showsEverything(visitor);
}, 1_800_000);

/** mulberry32 */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
