import { describe, expect, it } from 'vitest';
import { type Worker, WorkerEnded, Workers } from '../src/workers.ts';

/** A worker that does what the test says. */
class Puppet implements Worker {
  readonly index: number;
  serve!: () => void;
  exit!: (code: number | null) => void;
  draining = false;
  readonly ready = new Promise<void>((resolve) => {
    this.serve = resolve;
  });
  readonly ended = new Promise<number | null>((resolve) => {
    this.exit = resolve;
  });
  constructor(index: number) {
    this.index = index;
  }
  drain(): void {
    this.draining = true;
  }
}

function fleet(count: number) {
  const started: Puppet[] = [];
  const pauses: number[] = [];
  const workers = new Workers({
    count,
    start: (index) => {
      started.push(new Puppet(index));
      return started.at(-1)!;
    },
    log: { info() {}, warn() {} },
    pause: async (ms) => void pauses.push(ms),
  });
  return { pauses, started, workers };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

async function serving(count: number) {
  const made = fleet(count);
  const start = made.workers.start();
  for (const worker of made.started) worker.serve();
  await start;
  return made;
}

describe('workers', () => {
  it('start together, and the start is over when all of them serve', async () => {
    const { started, workers } = fleet(2);
    let over = false;
    const start = workers.start().then(() => {
      over = true;
    });
    started[0]!.serve();
    await settled();
    expect([started.map(({ index }) => index), over]).toEqual([[0, 1], false]);
    started[1]!.serve();
    await start;
  });

  it('that cannot start fail as a whole, with the exit code of the first', async () => {
    const { started, workers } = fleet(2);
    const start = workers.start();
    started[1]!.exit(78);
    await settled();
    expect(started[0]!.draining).toBe(true);
    started[0]!.exit(0);
    await expect(start).rejects.toEqual(new WorkerEnded(78));
    expect(started).toHaveLength(2);
  });

  it('are started again where one ends by itself, later and later while it does not serve', async () => {
    const { pauses, started } = await serving(2);
    started[1]!.exit(null);
    await settled();
    started[2]!.exit(1);
    await settled();
    started[3]!.exit(1);
    await settled();
    started[4]!.serve();
    await settled();
    started[4]!.exit(1);
    await settled();
    expect(started.map(({ index }) => index)).toEqual([0, 1, 1, 1, 1, 1]);
    expect(pauses).toEqual([500, 1000, 2000, 500]);
  });

  it('are replaced one by one', async () => {
    const { pauses, started, workers } = await serving(2);
    const restart = workers.restart();
    expect(workers.restart()).toBe(restart);
    expect(started.map(({ draining }) => draining)).toEqual([true, false]);
    started[0]!.exit(0);
    await settled();
    expect([started.length, started[1]!.draining]).toEqual([3, false]);
    started[2]!.serve();
    await settled();
    expect(started[1]!.draining).toBe(true);
    started[1]!.exit(0);
    await settled();
    started[3]!.serve();
    await restart;
    expect([started.map(({ index }) => index), pauses]).toEqual([[0, 1, 0, 1], []]);
  });

  it('stop for good, in the middle of a restart too', async () => {
    const { started, workers } = await serving(2);
    const restart = workers.restart();
    const stop = workers.stop();
    for (const worker of started) worker.exit(0);
    await Promise.all([restart, stop]);
    await settled();
    expect(started).toHaveLength(2);
  });
});
