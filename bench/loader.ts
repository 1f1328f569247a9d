/** The process that is the load, from outside. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { coreSeconds, LOAD_CORE, pin } from './cores.ts';
import type { Answer, Crowd, Measured, Order, Target } from './load/messages.ts';

/** What was measured, and the share of the server's core that went to others. */
export interface Window extends Measured {
  readonly others: number | null;
}

export class Loader {
  private readonly child: ChildProcess;

  constructor() {
    this.child = fork(fileURLToPath(new URL('./load/main.js', import.meta.url)));
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

  /** Ends all sockets, and the process. */
  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await exited;
  }

  private async ask(order: Order): Promise<Measured | undefined> {
    const answered = once(this.child, 'message') as Promise<[Answer]>;
    const ended = once(this.child, 'exit').then(([code, signal]): never => {
      throw new Error(`the load ended with ${code ?? signal}`);
    });
    ended.catch(() => {});
    this.child.send(order);
    const [{ value, error }] = await Promise.race([answered, ended]);
    if (error !== undefined) throw new Error(error);
    return value;
  }
}
