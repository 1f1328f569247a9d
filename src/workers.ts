/**
 * Several gateway processes on one port, for machines with more cores than one. They share nothing but Redis: the
 * kernel hands each new connection to one of them, and a watcher may come back to any.
 */

import { fork } from 'node:child_process';

/** A process, as far as it matters here. */
export interface Worker {
  /** Resolves when it serves. */
  readonly ready: Promise<void>;
  /** Resolves with its exit code, null if a signal ended it. */
  readonly ended: Promise<number | null>;
  /** Asks it to drain and end. */
  drain(): void;
}

export interface WorkersParts {
  /** How many. */
  readonly count: number;
  readonly start: (index: number) => Worker;
  readonly log: { info(message: string): void; warn(message: string): void };
  readonly pause?: (ms: number) => Promise<void>;
}

/**
 * Starts workers as processes of their own.
 * @param main the program of one gateway
 * @param env its configuration; each worker has a name and an admin port of its own
 */
export function forked(
  main: string,
  env: Readonly<Record<string, string | undefined>>,
  { nodeId, adminPort }: { readonly nodeId: string; readonly adminPort: number },
): (index: number) => Worker {
  return (index) => {
    const own = {
      WORKERS: '1',
      SHARE_PORT: 'true',
      NODE_ID: `${nodeId}-${index}`,
      ADMIN_PORT: String(adminPort === 0 ? 0 : adminPort + index),
    };
    const child = fork(main, { env: { ...env, ...own } });
    return {
      ready: new Promise((resolve) => child.once('message', () => resolve())),
      ended: new Promise((resolve) => {
        child.once('exit', resolve);
        child.once('error', () => resolve(1));
      }),
      drain: () => void child.kill('SIGTERM'),
    };
  };
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** ms before a worker that ended by itself is started again; doubled each time up to the most, until one served. */
const AGAIN_MS = 500;
const AGAIN_MOST_MS = 30_000;

export class Workers {
  private readonly parts: WorkersParts;
  private readonly workers: Worker[] = [];
  /** Those whose end is wanted. */
  private readonly leaving = new Set<Worker>();
  private restarting: Promise<void> | undefined;
  private stopped = false;

  constructor(parts: WorkersParts) {
    this.parts = parts;
  }

  /** Starts all. Rejects with the exit code of the first that ends before it serves; then none is left. */
  async start(): Promise<void> {
    const all = Array.from({ length: this.parts.count }, (_, index) => this.launch(index));
    const failed = all.map((worker) =>
      worker.ended.then((code) => {
        throw new WorkerEnded(code);
      }),
    );
    const served = Promise.all(all.map((worker) => worker.ready));
    for (const failure of failed) failure.catch(() => {});
    try {
      await Promise.race([served, ...failed]);
    } catch (error) {
      await this.stop();
      throw error;
    }
    for (const [index, worker] of all.entries()) void this.keep(index, worker);
  }

  /** Replaces the workers one by one: each is drained and another serves in its place before the next one's turn. */
  restart(): Promise<void> {
    this.restarting ??= this.roll().finally(() => {
      this.restarting = undefined;
    });
    return this.restarting;
  }

  /** Drains all of them. Resolves when none is left. */
  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.all(this.workers.map((worker) => this.end(worker)));
  }

  private async roll(): Promise<void> {
    for (let index = 0; index < this.parts.count && !this.stopped; index++) {
      await this.end(this.workers[index]!);
      if (this.stopped) return;
      const next = this.launch(index);
      void this.keep(index, next);
      await Promise.race([next.ready, next.ended]);
    }
    this.parts.log.info('all workers were replaced');
  }

  private launch(index: number): Worker {
    const worker = this.parts.start(index);
    worker.ready.catch(() => {});
    this.workers[index] = worker;
    return worker;
  }

  private end(worker: Worker): Promise<unknown> {
    this.leaving.add(worker);
    worker.drain();
    return worker.ended;
  }

  /** Starts another one whenever the worker in that place ends without having been asked to. */
  private async keep(index: number, worker: Worker): Promise<void> {
    let wait = AGAIN_MS;
    let current = worker;
    for (;;) {
      let served = false;
      current.ready.then(
        () => {
          served = true;
        },
        () => {},
      );
      const code = await current.ended;
      if (this.leaving.delete(current) || this.stopped) return;
      wait = served ? AGAIN_MS : Math.min(AGAIN_MOST_MS, wait * 2);
      this.parts.log.warn(
        `worker ${index} ended with ${code ?? 'a signal'}: another one starts in ${wait} ms`,
      );
      await (this.parts.pause ?? pause)(wait);
      if (this.stopped || this.workers[index] !== current) return;
      current = this.launch(index);
    }
  }
}

/** A worker ended while it was started. */
export class WorkerEnded extends Error {
  readonly code: number;
  constructor(code: number | null) {
    super(`a worker ended with ${code ?? 'a signal'} before it served`);
    this.code = code ?? 1;
  }
}
