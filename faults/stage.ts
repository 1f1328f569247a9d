/** Where a row plays: starts the real things, notes when the fault came and went, and stops all of it. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { launch } from '../loadtest/processes.ts';
import { type RedisServer, startRedis } from '../test/support/redis.ts';
import { Audience } from './audience.ts';
import { Company, whoOf } from './company.ts';
import { type Figures, judge } from './judge.ts';
import { Ledger } from './ledger.ts';
import { Namespace } from './namespace.ts';
import { Phone } from './phone.ts';
import { FaultProxy } from './proxy.ts';
import { Riders } from './riders.ts';
import { RssSampler } from './rss.ts';
import { type AppSpec, type ClientProtection, clientProtections } from './sights.ts';
import { switches } from './switches.ts';

/** The short times of a run: what is detected is held against these. */
export const TIMES = {
  CHECK_MS: 1000,
  REDIS_PROBE_MS: 500,
  REDIS_TIMEOUT_MS: 500,
  HEARTBEAT_MS: 1000,
  RECONNECT_SPREAD_MS: 500,
  DRAIN_SPREAD_MS: 1000,
} as const;

export interface GatewayNode {
  readonly name: string;
  readonly url: string;
  readonly port: number;
  readonly adminUrl: string;
  readonly pid: number;
  signal(signal: NodeJS.Signals): void;
  stop(): Promise<void>;
}

/** A fleet over one Redis, its backend, and orders. */
export interface Site {
  readonly redis: RedisServer;
  readonly nodes: readonly GatewayNode[];
  readonly urls: readonly string[];
  readonly company: Company;
  readonly orders: readonly string[];
}

export interface SiteOptions {
  readonly nodes?: number;
  readonly orders?: number;
  readonly env?: Record<string, string>;
  readonly redisArgs?: readonly string[];
}

export interface StageOptions {
  readonly seed: number;
  readonly quick: boolean;
  readonly slack: number;
  /** What the twin runs without. */
  readonly without: readonly string[];
}

const LOOK_MS = 10;
/** A twin may never come right: in a short run nobody waits for longer. */
const QUICK_TWIN_MS = 4000;

export class Stage {
  readonly secret = randomBytes(24).toString('hex');
  readonly ledger = new Ledger();
  readonly audience = new Audience();
  /** Apps the run let go of on purpose. */
  readonly gone = new Set<number>();
  /** Fewer apps and shorter stretches. */
  readonly quick: boolean;
  /** Times may be so many times as long. */
  readonly slack: number;
  private readonly off: ReadonlySet<string>;
  private readonly undo: (() => Promise<void>)[] = [];
  private readonly sampler = new RssSampler();
  private state: number;
  private injectedAt = 0;
  private healedAt = 0;

  constructor({ seed, quick, slack, without }: StageOptions) {
    this.quick = quick;
    this.slack = slack;
    this.state = seed;
    this.off = new Set(without);
    this.undo.push(() => this.audience.stop());
    this.undo.push(() => this.sampler.stop());
  }

  /** Whether this is the twin, and that protection is off. */
  without(protection: string): boolean {
    return this.off.has(protection);
  }

  get isTwin(): boolean {
    return this.off.size > 0;
  }

  /** 0 up to 1, the same sequence for the same seed. */
  random(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A redis-server in a folder of its own: a replica writes what it was sent, and a later server would load that. */
  async redis(args: readonly string[] = []): Promise<RedisServer> {
    return this.owned(await startRedis(['--dir', this.folder(), ...args]));
  }

  /** A new folder, removed at the end, however the run ends. */
  folder(): string {
    const folder = mkdtempSync(join(tmpdir(), 'ridecast-faults-'));
    const remove = () => rmSync(folder, { recursive: true, force: true });
    process.once('exit', remove);
    this.undo.push(async () => {
      process.off('exit', remove);
      remove();
    });
    return folder;
  }

  /** @param target the port it leads to, or where to ask for it at every connection */
  async proxy(target: number | (() => number), host?: string): Promise<FaultProxy> {
    return this.owned(await FaultProxy.start(typeof target === 'number' ? () => target : target, host));
  }

  namespace(): Namespace {
    return this.owned(Namespace.create());
  }

  /** A gateway process; what the twin runs without is off in it. `env` adds to and overrides the times of a run. */
  async gateway(
    name: string,
    redisUrl: string,
    env: Record<string, string> = {},
    inside?: Namespace,
  ): Promise<GatewayNode> {
    const host = inside?.inner ?? '127.0.0.1';
    const main = fileURLToPath(new URL('./gateway.js', import.meta.url));
    const numbers = Object.fromEntries(Object.entries(TIMES).map(([key, ms]) => [key, String(ms)]));
    const all = {
      PATH: process.env.PATH,
      HOST: host,
      ADMIN_HOST: host,
      PORT: '0',
      ADMIN_PORT: '0',
      NODE_ID: name,
      AUTH_SECRET: this.secret,
      REDIS_URL: redisUrl,
      KEEP_ALIVE_MS: '0',
      PINGS_PER_SECOND: '50',
      MAX_SESSIONS_PER_IP: '1000000',
      MAX_SESSIONS_PER_SUBJECT: '1000000',
      FAULTS_OFF: [...this.off].filter((protection) => protection in switches).join(','),
      ...numbers,
      ...env,
    };
    const [file, ...args] = [...(inside?.exec ?? []), process.execPath, main];
    const started = await launch(file!, args, all, (line) =>
      line.includes('ridecast listens')
        ? (JSON.parse(line) as { port: number; adminPort: number })
        : undefined,
    );
    const { port, adminPort } = started.ready;
    this.sampler.follow(started.pid);
    return this.owned({
      name,
      url: `http://${host}:${port}`,
      port,
      adminUrl: `http://${host}:${adminPort}`,
      pid: started.pid,
      signal: (signal) => void process.kill(started.pid, signal),
      stop: () => {
        this.sampler.forget(started.pid);
        return started.stop();
      },
    });
  }

  /** What most rows begin with. */
  async site({ nodes = 2, orders = 10, env, redisArgs }: SiteOptions = {}): Promise<Site> {
    const redis = await this.redis(redisArgs);
    const started = await Promise.all(
      Array.from({ length: nodes }, (_, i) => this.gateway(`node-${i + 1}`, redis.url, env)),
    );
    const company = this.company(started);
    const urls = started.map(({ url }) => url);
    return { redis, nodes: started, urls, company, orders: await this.give(company, orders) };
  }

  company(nodes: readonly { readonly url: string }[]): Company {
    return new Company(nodes.map(({ url }) => url), this.secret, this.ledger); // biome-ignore format: short
  }

  /** Orders given to riders. */
  async give(company: Company, count: number): Promise<string[]> {
    const orders = Array.from({ length: count }, (_, i) => `order-${i + 1}`);
    await Promise.all(orders.map((order) => company.give(order)));
    return orders;
  }

  /** Apps in one process more: number i watches order i, or begins again, and dials url i first. Resolves when all are live. */
  async watch(
    company: Company,
    orders: readonly string[],
    count: number,
    urls: readonly string[],
    more: Partial<AppSpec> = {},
    inside?: Namespace,
  ): Promise<number[]> {
    const specs = Array.from({ length: count }, async (_, i) => {
      const order = orders[i % orders.length]!;
      const token = await company.mint('customer', whoOf(order).customer);
      const without = [...this.off].filter((name): name is ClientProtection => name in clientProtections);
      return { urls, first: i, token, orders: [order], without, ...more };
    });
    const ids = this.audience.open(await Promise.all(specs), 'crowd', inside?.exec);
    await this.until('every app is live', () => this.audience.ready(ids), 30_000);
    return ids;
  }

  /** The riders of these orders, connected to that gateway. */
  async riders(company: Company, orders: readonly string[], url: string): Promise<Riders> {
    return this.owned(await Riders.start(company, orders, url));
  }

  /** The phone of an order's rider, connected to that gateway. */
  async phone(company: Company, order: string, url: string): Promise<Phone> {
    const phone = this.owned(new Phone(url, await company.mint('rider', whoOf(order).rider)));
    await phone.start();
    return phone;
  }

  /** The fault begins. */
  injected(): void {
    this.injectedAt = Date.now();
  }

  /** The fault is over. */
  healed(): void {
    this.healedAt = Date.now();
  }

  /** Seconds, or less of them in a short run. */
  seconds(long: number, short = long / 2): number {
    return this.quick ? short : long;
  }

  pause(ms: number): Promise<void> {
    return pause(ms);
  }

  /** Waits until something holds. Rejects after so many ms, naming it. */
  async until(what: string, holds: () => boolean | Promise<boolean>, ms: number): Promise<void> {
    const late = Date.now() + ms;
    while (!(await holds())) {
      if (Date.now() > late) throw new Error(`${what}: not in ${ms} ms`);
      await pause(LOOK_MS);
    }
  }

  /** Waits until every app that is still there knows the newest of its orders, but not for longer than that. */
  async quiet(ms: number): Promise<void> {
    const settled = () =>
      [...this.audience.apps.values()].every(
        ({ id, orders }) =>
          this.gone.has(id) ||
          orders.every(
            (order) =>
              this.audience.ended(id, order) ||
              (this.audience.linked(id) && this.audience.known(id, order) === this.ledger.newest(order)),
          ),
      );
    const late = Date.now() + (this.quick && this.isTwin ? Math.min(ms, QUICK_TWIN_MS) : ms);
    while (!settled() && Date.now() < late) await pause(LOOK_MS);
    await this.audience.collect();
  }

  async judge(resets: number): Promise<Figures> {
    await this.audience.collect();
    const { ledger, gone, injectedAt } = this;
    const healedAt = this.healedAt || injectedAt;
    const sights = this.audience.sights;
    return judge({ ledger, sights, injectedAt, healedAt, endedAt: Date.now(), resets, gone });
  }

  /** How the gateways' memory grew, MB a minute. */
  rssSlope(): number {
    return this.sampler.slope();
  }

  /**
   * A number of a gateway's metrics, over all labels. NaN if it does not answer.
   * @param name of the metric, or the beginning of its line: `name{label="value"`
   */
  async metric(node: GatewayNode, name: string): Promise<number> {
    const text = await fetch(`${node.adminUrl}/metrics`, { signal: AbortSignal.timeout(1000) }).then(
      (response) => response.text(),
      () => undefined,
    );
    if (text === undefined) return Number.NaN;
    const lines = text
      .split('\n')
      .filter((line) => line.startsWith(name) && /^[{ ,}]/.test(line.slice(name.length)));
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  /** Waits until these gateways say that they have their backbone. */
  async healthy(nodes: readonly GatewayNode[]): Promise<void> {
    const all = async () => {
      const states = await Promise.all(nodes.map((node) => this.metric(node, 'ridecast_backbone_healthy')));
      return states.every((state) => state === 1);
    };
    await this.until('every gateway has its backbone', all, 10_000);
  }

  /** To be undone at the end, latest first. */
  owned<T extends { stop(): Promise<void> }>(thing: T): T {
    this.undo.push(() => thing.stop());
    return thing;
  }

  /** Runs at the end, before what was started earlier is stopped. */
  finally(undo: () => Promise<void>): void {
    this.undo.push(undo);
  }

  /** Stops all that was started. */
  async clear(): Promise<void> {
    for (const undo of this.undo.splice(0).reverse()) await undo().catch(() => {});
  }
}
