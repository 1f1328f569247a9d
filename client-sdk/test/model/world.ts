/** What every schedule has: a client, its links to the gateway in memory, the page around it, and time. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { connect, rider, watchFleet, watchOrder } from '../../src/index.ts';
import type { Options } from '../../src/types.ts';
import type { Happening } from '../surroundings.ts';
import { asIs, type Fate, Reference, type Way } from './reference.ts';
import { gatewayNow, type VirtualTime, virtualTime } from './virtual.ts';

/** The product, or a mutant of it. */
export interface Sdk {
  connect: typeof connect;
  watchOrder: typeof watchOrder;
  watchFleet: typeof watchFleet;
  rider: typeof rider;
}

export type Step = readonly [act: string, n: number];

/** Steps drawn from acts with their weights; `n` is for each act to make something of. */
export function schedule(acts: Record<string, number>, maxLength = 40): fc.Arbitrary<Step[]> {
  const weighted = Object.entries(acts).flatMap(([act, weight]) => Array<string>(weight).fill(act));
  return fc.array(
    fc
      .nat(weighted.length * 64 - 1)
      .map((n): Step => [weighted[n % weighted.length]!, Math.floor(n / weighted.length)]),
    { minLength: 1, maxLength, size: 'max' },
  );
}

export class World {
  readonly gateway = new Reference();
  readonly time: VirtualTime;
  readonly client: ReturnType<typeof connect>;
  /** Whether the app ends in the middle of all faults: some schedules look at what is left then. */
  readonly endsEarly: boolean;
  private wrong: unknown;
  /** What was said last of page and network, and has to be said again when faults end. */
  private readonly said = new Map<'page' | 'network' | 'app', string>();
  /** What comes of the next question for a token. */
  private tokens: 'late' | 'never' | 'fails' | undefined;
  private late: (() => void)[] = [];

  constructor(sdk: Sdk, seed: number, o: Partial<Options> = {}) {
    this.time = virtualTime(seed);
    this.endsEarly = seed % 4 === 3;
    this.client = sdk.connect('wss://gateway.test/v1/ws', {
      token: () => this.token(),
      transport: this.gateway.transport,
      env: this.gateway.surroundings.env,
      codec: asIs,
      ...o,
    });
  }

  /** Runs a check from inside of the SDK, which shields itself from whoever throws there; `verify` throws it. */
  check(look: () => void): void {
    try {
      look();
    } catch (error) {
      this.wrong ??= error;
    }
  }

  verify(): void {
    if (this.wrong) throw this.wrong;
  }

  async carry(): Promise<void> {
    await this.time.settle();
    this.gateway.carry();
    await this.time.settle();
    this.gateway.carry();
  }

  /** Lets time pass; the gateway beats, and frames are carried. */
  async pass(ms: number): Promise<void> {
    for (const resolve of this.late.splice(0)) resolve();
    for (let left = ms; left > 0; left -= 10_000) {
      await this.time.pass(Math.min(left, 10_000));
      this.gateway.beat();
      await this.carry();
    }
  }

  private async token(): Promise<string> {
    const { tokens } = this;
    this.tokens = undefined;
    if (tokens === 'fails') throw new Error('no token today');
    if (tokens) await new Promise<void>((resolve) => tokens === 'late' && this.late.push(resolve));
    return 'tok';
  }

  happens(what: Happening): void {
    if (what !== 'network-changed') this.said.set(/line/.test(what) ? 'network' : 'page', what);
    this.gateway.surroundings.happens(what);
  }

  /** What happens to links and pages. False: it is not one of these. */
  async act(act: string, n: number): Promise<boolean> {
    const { gateway, client } = this;
    const { way } = gateway;
    if (act === 'pass') await this.pass([50, 300, 1000, 5000, 11_000, 31_000, 60_000, 120_000][n % 8]!);
    else if (way && act in onWay) onWay[act]!(gateway, way, n);
    else if (act === 'fast') for (const each of gateway.ways) each.slow = false;
    else if (act === 'page') this.happens(happenings[n % happenings.length]!);
    else if (act === 'sleep') await this.sleep(n);
    else if (act === 'clock') this.time.setClock([7000, -7000, 3_700_000, -3_700_000][n % 4]!);
    else if (act === 'begins') gateway.begins = beginnings[n % beginnings.length]!;
    else if (act === 'token') this.tokens = (['late', 'never', 'fails'] as const)[n % 3];
    else if (act === 'pause' || act === 'resume') {
      this.said.set('app', act);
      client[act]();
    } else return act in onWay;
    return true;
  }

  /** The device sleeps, or the page is frozen; the link may die meanwhile. Timers fire late, before or after it is shown. */
  private async sleep(n: number): Promise<void> {
    const frozen = n % 2 === 0;
    if (frozen) this.happens('freeze');
    const { way } = this.gateway;
    this.time.sleep([2000, 20_000, 90_000, 1_000_000][(n >> 1) % 4]!);
    if (way && (n >> 3) % 2) way.mute = true;
    if ((n >> 4) % 2) await this.time.pass(0);
    if (frozen) this.happens('show');
    await this.time.pass(0);
  }

  /** The end of all faults. `quiet`: nothing more happens, so what was lost without a word has to come to light. */
  async heal(quiet = true): Promise<void> {
    const { gateway, client } = this;
    gateway.begins = {};
    this.tokens = undefined;
    // Nothing is said that is so already: it would wake a client that has to notice by itself.
    if (this.said.get('network') === 'offline') this.happens('online');
    if (['hide', 'freeze'].includes(this.said.get('page')!)) this.happens('show');
    if (this.said.get('app') === 'pause') client.resume();
    for (const way of gateway.ways) {
      way.slow = false;
      way.fate.length = 0;
      // A gateway that could not send a frame closes the socket.
      if (quiet && way.holed && !way.mute && !way.dropped) gateway.close(way, 4410);
    }
    await this.carry();
  }

  /** Faults have ended some time ago: the client tells the gateway's time. */
  checkClock(): void {
    const off = this.client.now() - gatewayNow();
    assert.ok(Math.abs(off) <= 2000, `the clock is ${off} ms off`);
  }

  /** Closes the client: nothing is to be left of it. */
  async close(): Promise<void> {
    const { gateway, client, time } = this;
    client.close();
    assert.equal(time.pending, 0, 'no timer is left');
    assert.equal(gateway.surroundings.listeners.size, 0, 'nobody listens to the page');
    for (const way of gateway.ways) assert.ok(way.dropped || way.mute, 'the link is let go');
    gateway.sees = () => this.check(() => assert.fail('a closed client sends something'));
    await this.pass(20_000);
    this.verify();
  }
}

const onWay: Record<string, (gateway: Reference, way: Way, n: number) => void> = {
  cut: (gateway, way, n) => gateway.close(way, [1006, 4300, 4410, 4408][n % 4]),
  mute(_, way) {
    way.mute = true;
  },
  slow(_, way) {
    way.slow = true;
  },
  reject: (gateway, way) => gateway.close(way, 4401),
  fate: (_, way, n) => way.fate.push(...fates[n % fates.length]!),
  drain: (_, way, n) => way.down.push({ t: 'drain', after: 100 * (n % 8), spread: 1000 }),
};

const fates: Fate[][] = [
  ['lost'],
  ['twice'],
  ['arrives', 'lost'],
  ['lost', 'lost'],
  ['twice', 'twice', 'twice'],
  ['arrives', 'twice', 'lost'],
];

const happenings: Happening[] = ['hide', 'show', 'offline', 'online', 'network-changed'];

/** A dial that does not come through, or only later. */
const beginnings: Reference['begins'][] = [{ slow: true }, { mute: true }];

export const linkActs = {
  pass: 8,
  cut: 5,
  mute: 1,
  slow: 3,
  fast: 4,
  fate: 6,
  drain: 1,
  page: 2,
  sleep: 2,
  clock: 1,
  begins: 2,
  token: 1,
  reject: 1,
  pause: 1,
  resume: 2,
};

/** ms in which all is whole again: the watchdog's 40 s, the longest back-offs of links and watches, the answer's 10 s. */
export const WHOLE_MS = 150_000;
