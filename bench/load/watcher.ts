/** A watcher: counts what it is shown, and on some sockets looks at it too. */
import type { Sight } from './clock.ts';
import type { Dialect } from './dialect.ts';
import { Wire } from './wire.ts';

/** What all watchers of a crowd have received. */
export interface Tally {
  frames: number;
  positions: number;
  bytes: number;
  events: number;
  /** Sockets that ended before their time, by the reason given. */
  readonly lost: Map<string, number>;
  /** When the last event came, ms since epoch. */
  lastEventAt: number;
}

export class Watcher {
  /** The number of the last event, and how many did not follow the one before. */
  event = 0;
  gaps = 0;
  private readonly dialect: Dialect;
  private readonly tally: Tally;
  private readonly sight: Sight | undefined;
  private wire: Wire | undefined;
  private handled = 0;
  private credited = 0;
  /** Bytes of the frames handled since. */
  private uncredited = 0;

  constructor(dialect: Dialect, tally: Tally, sight: Sight | undefined) {
    this.dialect = dialect;
    this.tally = tally;
    this.sight = sight;
  }

  /** Connects. Resolves when the system says that it watches. */
  open(url: string, index: number): Promise<void> {
    const { path, subprotocol, first, ready } = this.dialect.watcher(index);
    return new Promise((resolve, reject) => {
      let opening = true;
      const done = () => {
        opening = false;
        resolve();
      };
      this.wire = new Wire({
        url,
        path,
        subprotocol,
        opened: () => {
          for (const frame of first) this.wire!.send(frame);
          if (ready === undefined) done();
        },
        received: (buffer, from, to) => {
          if (!opening) return this.receive(buffer, from, to);
          try {
            if (!ready!(buffer, from, to)) return;
            if (this.sight !== undefined) this.dialect.introduce?.(buffer, from, to, this.sight);
            done();
          } catch (error) {
            reject(error as Error);
          }
        },
        lost: (why) => {
          if (opening) return reject(new Error(`a watcher could not begin: ${why}`));
          this.tally.lost.set(why, (this.tally.lost.get(why) ?? 0) + 1);
        },
      });
    });
  }

  get port(): number | undefined {
    return this.wire?.port;
  }

  stall(): void {
    this.wire?.stall();
  }

  resume(): void {
    this.wire?.resume();
  }

  end(): void {
    this.wire?.end();
  }

  private receive(buffer: Buffer, from: number, to: number): void {
    const { tally, dialect, sight } = this;
    tally.frames++;
    tally.bytes += to - from;
    const positions = dialect.count(buffer, from, to);
    if (positions === 0) return this.other(buffer, from, to);
    tally.positions += positions;
    if (sight !== undefined) dialect.see(buffer, from, to, sight.at(performance.now()));
    if (dialect.credit !== undefined) this.credit(dialect.credit, to - from);
  }

  private other(buffer: Buffer, from: number, to: number): void {
    const event = this.dialect.event(buffer, from, to);
    if (event === 0) return;
    this.tally.events++;
    this.tally.lastEventAt = Date.now();
    if (this.event > 0 && event !== this.event + 1) this.gaps++;
    this.event = event;
  }

  private credit({ frames, bytes, frame }: NonNullable<Dialect['credit']>, size: number): void {
    this.handled++;
    this.uncredited += size;
    if (this.handled - this.credited < frames && this.uncredited < bytes) return;
    this.credited = this.handled;
    this.uncredited = 0;
    this.wire!.send(frame(this.handled));
  }
}
