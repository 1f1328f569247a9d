/** All sockets of one run at one system, and what they tell. */
import { eachOf } from '../../loadtest/backend.ts';
import { SelfMeter } from '../../loadtest/load/self.ts';
import { cpuSeconds } from '../../loadtest/processes.ts';
import { SentTimes, Sight, Times } from './clock.ts';
import type { Crowd, Dialect } from './dialect.ts';
import { Feeder } from './feeder.ts';
import type { Measured } from './messages.ts';
import { type Tally, Watcher } from './watcher.ts';

/** Sockets being opened at once. */
const WIDTH = 200;
/** On a zone so many watchers look at what they are shown; on orders, where that is cheap, all do. */
const EYES_ON_ZONE = 4;
const LOOK_MS = 50;
const QUIET_MS = 700;
/** The longest that late messages are waited for, ms. */
const SETTLE_MS = 20_000;

type Marks = Pick<Tally, 'frames' | 'positions' | 'bytes' | 'events'> & { sent: number };

export class Party {
  private readonly url: string;
  private readonly crowd: Crowd;
  private readonly tally: Tally = {
    frames: 0,
    positions: 0,
    bytes: 0,
    events: 0,
    lost: new Map(),
    lastEventAt: 0,
  };
  private readonly delays = new Times();
  private readonly ages = new Times();
  private readonly watchers: Watcher[] = [];
  private readonly sights: Sight[] = [];
  private readonly feeder: Feeder;
  private readonly looking: NodeJS.Timeout;
  private nextLook = 0;

  constructor(url: string, dialect: Dialect, crowd: Crowd) {
    this.url = url;
    this.crowd = crowd;
    const sent = new SentTimes(crowd.riders);
    const eyesEvery = crowd.channel === 'zone' ? Math.max(1, Math.floor(crowd.watchers / EYES_ON_ZONE)) : 1;
    for (let i = 0; i < crowd.watchers; i++) {
      const rider = crowd.channel === 'zone' ? undefined : Math.floor(i / crowd.perOrder);
      const looks = i % eyesEvery === 0;
      const sight = looks ? new Sight(rider, crowd.riders, sent, this.delays) : undefined;
      if (sight !== undefined) this.sights.push(sight);
      this.watchers.push(new Watcher(dialect, this.tally, sight));
    }
    this.feeder = new Feeder(dialect, crowd.riders, sent, this.tally.lost);
    this.looking = setInterval(() => this.look(), LOOK_MS);
  }

  /** Connects all. Rejects with why the first failed. */
  async open(): Promise<void> {
    await eachOf(this.watchers, WIDTH, (watcher, i) => watcher.open(this.url, i));
    const riders = Array.from({ length: this.crowd.riders }, (_, i) => i);
    await eachOf(riders, WIDTH, (i) => this.feeder.open(this.url, i));
  }

  ride(riders: number, hz: number): void {
    this.feeder.ride(riders, hz);
  }

  rest(): void {
    this.feeder.rest();
  }

  tell(orders: readonly number[]): void {
    this.feeder.tell(orders);
  }

  stall(watchers: number): void {
    for (const watcher of this.watchers.slice(0, watchers)) watcher.stall();
  }

  async measure(seconds: number, pids: Readonly<Record<string, number>>): Promise<Measured> {
    this.delays.clear();
    this.ages.clear();
    this.feeder.late.clear();
    const before = this.marks();
    const cpuBefore = cpuOf(pids);
    const startedAt = performance.now();
    const self = new SelfMeter();
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    const { cpu, lagP99Ms } = self.take();
    self.stop();
    const cpuAfter = cpuOf(pids);
    const took = (performance.now() - startedAt) / 1000;
    return {
      seconds: took,
      ...this.since(before),
      cpu: Object.fromEntries(
        Object.entries(cpuAfter).map(([name, now]) => [
          name,
          now === null ? null : now - (cpuBefore[name] ?? 0),
        ]),
      ),
      load: { cpu, lagP99Ms, lateP99Ms: this.feeder.late.percentile(99) ?? 0 },
    };
  }

  /** Waits until nothing more comes; tells all there was. */
  async settle(): Promise<Measured> {
    const startedAt = performance.now();
    for (let seen = -1; seen !== this.tally.frames && performance.now() - startedAt < SETTLE_MS; ) {
      seen = this.tally.frames;
      await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    }
    const nothing = { frames: 0, positions: 0, bytes: 0, events: 0, sent: 0 };
    return { seconds: 0, ...this.since(nothing), cpu: {}, load: { cpu: 0, lagP99Ms: 0, lateP99Ms: 0 } };
  }

  close(): void {
    clearInterval(this.looking);
    this.feeder.end();
    for (const watcher of this.watchers) watcher.end();
  }

  private marks(): Marks {
    const { frames, positions, bytes, events } = this.tally;
    return { frames, positions, bytes, events, sent: this.feeder.sent };
  }

  private since(before: Marks): Omit<Measured, 'seconds' | 'cpu' | 'load'> {
    const now = this.marks();
    return {
      sent: now.sent - before.sent,
      frames: now.frames - before.frames,
      shown: now.positions - before.positions,
      events: now.events - before.events,
      bytes: now.bytes - before.bytes,
      lastEventAt: this.tally.lastEventAt,
      gaps: this.watchers.reduce((sum, { gaps }) => sum + gaps, 0),
      delayP50: this.delays.percentile(50),
      delayP99: this.delays.percentile(99),
      ageP50: this.ages.percentile(50),
      ageP99: this.ages.percentile(99),
      wentBack: this.sights.reduce((sum, { wentBack }) => sum + wentBack, 0),
      lost: Object.fromEntries(this.tally.lost),
    };
  }

  /** On a zone all that is shown to one of those who look; on orders a twentieth of the watchers in turn. */
  private look(): void {
    const now = performance.now();
    const { sights } = this;
    const many = this.crowd.channel === 'zone' ? 1 : Math.ceil(sights.length / 20);
    for (let i = 0; i < many; i++) sights[this.nextLook++ % sights.length]?.ages(now, this.ages);
  }
}

function cpuOf(pids: Readonly<Record<string, number>>): Record<string, number | null> {
  return Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, cpuSeconds(pid)]));
}
