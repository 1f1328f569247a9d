/** The process that is the load, from outside. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { coreSeconds, LOAD_CORE, pin } from './cores.ts';
import type { Answer, Crowd, Measured, Numbered, Order, Target } from './load/messages.ts';

/** What was measured, and the share of the server's core that went to others. */
export interface Window extends Measured {
  readonly others: number | null;
}

export class Loader {
  private readonly child: ChildProcess;
  /** Rejects when the process has ended. */
  private readonly ended: Promise<never>;
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private lastId = 0;

  constructor() {
    this.child = fork(fileURLToPath(new URL('./load/main.js', import.meta.url)));
    this.child.on('message', (answer: Answer) => {
      this.waiting.get(answer.id)?.(answer);
      this.waiting.delete(answer.id);
    });
    this.ended = once(this.child, 'exit').then(([code, signal]): never => {
      throw new Error(`the load ended with ${code ?? signal}`);
    });
    this.ended.catch(() => {});
    pin(this.child.pid!, LOAD_CORE);
  }

  /** Opens all sockets. Rejects with why one could not be. */
  async open(target: Target, crowd: Crowd): Promise<void> {
    await this.ask({ do: 'open', target, crowd });
  }

  /** The first so many riders ping at that rate each. */
  async ride(riders: number, hz: number): Promise<void> {
    await this.ask({ do: 'ride', riders, hz });
  }

  async rest(): Promise<void> {
    await this.ask({ do: 'rest' });
  }

  async tell(orders: readonly number[]): Promise<void> {
    await this.ask({ do: 'tell', orders });
  }

  /** The first so many watchers read no more. */
  async stall(watchers: number): Promise<void> {
    await this.ask({ do: 'stall', watchers });
  }

  async measure(seconds: number, pids: Readonly<Record<string, number>>): Promise<Window> {
    const before = coreSeconds();
    const measured = (await this.ask({ do: 'measure', seconds, pids }))!;
    const after = coreSeconds();
    const own = measured.cpu.server ?? null;
    const busy = before === null || after === null || own === null ? null : after - before - own;
    return { ...measured, others: busy === null ? null : Math.max(0, busy / measured.seconds) };
  }

  /** All there was since `open`, once nothing more comes. */
  async settle(): Promise<Measured> {
    return (await this.ask({ do: 'settle' }))!;
  }

  /** Ends the sockets opened last. */
  async close(): Promise<void> {
    await this.ask({ do: 'close' });
  }

  /** Ends all sockets, and the process. */
  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill('SIGKILL');
    await this.ended.catch(() => {});
  }

  private async ask(order: Order): Promise<Measured | undefined> {
    const id = ++this.lastId;
    const answered = new Promise<Answer>((resolve) => {
      this.waiting.set(id, resolve);
    });
    this.child.send({ id, order } satisfies Numbered);
    const { value, error } = await Promise.race([answered, this.ended]);
    if (error !== undefined) throw new Error(error);
    return value;
  }
}
