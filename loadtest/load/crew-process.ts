/** One process of the generator, as the conductor holds it. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { FromCrew, Part, ToCrew } from './messages.ts';
import type { Sample } from './tally.ts';

const END_MS = 10_000;

export class CrewProcess {
  readonly name: string;
  readonly part: Part;
  private readonly child: ChildProcess;
  private readonly waiting = new Map<FromCrew['t'], (message: FromCrew) => void>();
  private failed: (error: Error) => void = () => {};
  /** Rejects when it fails or ends too early. */
  readonly broken: Promise<never>;
  private ending = false;

  constructor(part: Part, sampled: (crew: string, sample: Sample) => void) {
    this.part = part;
    this.name = `${part.role}-${part.index + 1}`;
    const file = fileURLToPath(new URL('./crew.js', import.meta.url));
    this.child = fork(file, [], { serialization: 'advanced', execArgv: [] });
    this.broken = new Promise((_, reject) => {
      this.failed = reject;
    });
    this.broken.catch(() => {}); // looked at only while something is awaited
    this.child.on('message', (message: FromCrew) => {
      if (message.t === 'sample') return sampled(this.name, message.sample);
      if (message.t === 'failed') return this.failed(new Error(`${this.name}: ${message.message}`));
      this.waiting.get(message.t)?.(message);
    });
    this.child.on('exit', (code) => {
      if (!this.ending) this.failed(new Error(`${this.name} ended with ${code} in the middle of the run`));
    });
  }

  say(message: ToCrew): void {
    if (this.child.connected) this.child.send(message);
  }

  /** Says something and waits for the answer. */
  async ask<T extends FromCrew['t']>(message: ToCrew, answer: T): Promise<Extract<FromCrew, { t: T }>> {
    const answered = new Promise<FromCrew>((resolve) => this.waiting.set(answer, resolve));
    this.say(message);
    return (await Promise.race([answered, this.broken])) as Extract<FromCrew, { t: T }>;
  }

  /** Takes its last sample and ends it. */
  async end(): Promise<void> {
    this.ending = true;
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = new Promise((resolve) => this.child.once('exit', resolve));
    this.say({ t: 'end' });
    const late = setTimeout(() => this.child.kill('SIGKILL'), END_MS);
    await exited;
    clearTimeout(late);
  }

  kill(): void {
    this.ending = true;
    this.child.kill('SIGKILL');
  }
}
