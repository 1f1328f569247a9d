/** The riders: each pings at its own moment of the period, whatever became of the pings before. */
import type { SentTimes } from './clock.ts';
import { Times } from './clock.ts';
import type { Dialect } from './dialect.ts';
import { Drive } from './motion.ts';
import { Wire } from './wire.ts';

const EVERY_MS = 1;

export class Feeder {
  sent = 0;
  /** How much later than due pings went out, ms. */
  readonly late = new Times();
  private readonly dialect: Dialect;
  private readonly sentTimes: SentTimes;
  private readonly wires: Wire[] = [];
  private readonly drives: Drive[] = [];
  private readonly seqs: Int32Array;
  private readonly told: Int32Array;
  private readonly lost: Map<string, number>;
  private timer: NodeJS.Timeout | undefined;
  private active = 0;
  private hz = 0;
  private startedAt = 0;
  /** Pings that were due since `startedAt`; number n is of rider n % active. */
  private due = 0;

  constructor(dialect: Dialect, riders: number, sentTimes: SentTimes, lost: Map<string, number>) {
    this.dialect = dialect;
    this.sentTimes = sentTimes;
    this.seqs = new Int32Array(riders);
    this.told = new Int32Array(riders);
    this.lost = lost;
  }

  /** Connects rider number `index`. Resolves when the system takes its pings. */
  open(url: string, index: number): Promise<void> {
    const { path, subprotocol, first, ready } = this.dialect.rider(index);
    this.drives[index] = new Drive(index);
    return new Promise((resolve, reject) => {
      let opening = ready !== undefined;
      const wire = new Wire({
        url,
        path,
        subprotocol,
        opened: () => {
          for (const frame of first) wire.send(frame);
          if (!opening) resolve();
        },
        received: (buffer, from, to) => {
          if (!opening || !ready!(buffer, from, to)) return;
          opening = false;
          resolve();
        },
        lost: (why) => {
          reject(new Error(`a rider could not begin: ${why}`));
          this.lost.set(why, (this.lost.get(why) ?? 0) + 1);
        },
      });
      this.wires[index] = wire;
    });
  }

  /** Lets the first `riders` of them ping `hz` times a second each, evenly spread. */
  ride(riders: number, hz: number): void {
    this.rest();
    this.active = riders;
    this.hz = hz;
    this.startedAt = performance.now();
    this.due = 0;
    this.timer = setInterval(() => this.send(), EVERY_MS);
  }

  /** The next event of each of these riders' orders. */
  tell(orders: readonly number[]): void {
    for (const order of orders) this.wires[order]!.send(this.dialect.tell!(++this.told[order]!));
  }

  rest(): void {
    clearInterval(this.timer);
  }

  end(): void {
    this.rest();
    for (const wire of this.wires) wire?.end();
  }

  private send(): void {
    const now = performance.now();
    const everyMs = 1000 / (this.active * this.hz);
    const epoch = Date.now();
    for (let due = this.startedAt + this.due * everyMs; due <= now; due += everyMs) {
      const rider = this.due++ % this.active;
      const seq = ++this.seqs[rider]!;
      const place = this.drives[rider]!.move(1 / this.hz);
      const frame = this.dialect.ping(rider, seq, place, epoch);
      const at = performance.now();
      this.late.add(at - due);
      this.sentTimes.set(rider, seq, at);
      this.wires[rider]!.send(frame);
      this.sent++;
    }
  }
}
