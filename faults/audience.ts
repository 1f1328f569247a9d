/** The apps of a run, in processes of their own, so that what they see is not delayed by what the run does. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { AppSpec, Order, Report, Sight } from './sights.ts';

/** What is to be known of apps while a run goes on. */
interface Live {
  link: boolean;
  /** Newest number seen, by order. */
  readonly known: Map<string, number>;
  readonly ended: Set<string>;
}

export class Audience {
  readonly sights: Sight[] = [];
  /** When light watchers opened sockets, ms since epoch. */
  readonly dials: number[] = [];
  readonly apps = new Map<number, AppSpec>();
  private readonly live = new Map<number, Live>();
  private readonly crowds: { readonly child: ChildProcess; readonly ids: Set<number> }[] = [];
  private readonly calls = new Map<number, () => void>();
  private lastCall = 0;
  private lastApp = 0;

  /**
   * Opens apps in one more process. Gives their ids; they may not be connected yet.
   * @param program what runs in it: SDK clients, or light watchers
   * @param exec the beginning of a command line that the process is run by
   */
  open(
    specs: readonly Omit<AppSpec, 'id'>[],
    program: 'crowd' | 'swarm' = 'crowd',
    exec: readonly string[] = [],
  ): number[] {
    const apps = specs.map((spec) => ({ ...spec, id: ++this.lastApp }));
    const [execPath, ...execArgv] = [...exec, process.execPath];
    const file = fileURLToPath(new URL(`./${program}.js`, import.meta.url));
    const child = fork(file, { stdio: 'inherit', execPath, execArgv });
    const end = () => child.kill('SIGKILL');
    process.once('exit', end);
    child.once('exit', () => process.off('exit', end));
    child.on('message', (report: Report) => this.hear(report));
    child.once('disconnect', () => {
      for (const told of this.calls.values()) told();
    });
    this.crowds.push({ child, ids: new Set(apps.map(({ id }) => id)) });
    for (const app of apps) {
      this.apps.set(app.id, app);
      this.live.set(app.id, { link: false, known: new Map(), ended: new Set() });
    }
    child.send({ do: 'open', apps } satisfies Order);
    return apps.map(({ id }) => id);
  }

  pause(ids: readonly number[]): void {
    this.order({ do: 'pause', ids });
  }

  resume(ids: readonly number[]): void {
    this.order({ do: 'resume', ids });
  }

  close(ids: readonly number[]): void {
    this.order({ do: 'close', ids });
  }

  /** The fault comes now. */
  mark(): void {
    const at = Date.now();
    for (const { child } of this.crowds) child.send({ do: 'mark', at } satisfies Order);
  }

  /** Whether every one of these is live and has a state of each of its orders. */
  ready(ids: Iterable<number> = this.apps.keys()): boolean {
    for (const id of ids) {
      const { link, known } = this.live.get(id)!;
      if (!link || this.apps.get(id)!.orders.some((order) => !known.has(order))) return false;
    }
    return true;
  }

  /** Whether it is live now, as far as was heard. */
  linked(id: number): boolean {
    return this.live.get(id)!.link;
  }

  /** The newest number an app knows of an order. */
  known(id: number, order: string): number | undefined {
    return this.live.get(id)!.known.get(order);
  }

  ended(id: number, order: string): boolean {
    return this.live.get(id)!.ended.has(order);
  }

  /** Resolves when everything seen until now is in `sights`. */
  async collect(): Promise<void> {
    await Promise.all(
      this.crowds.map(({ child }) => {
        const call = ++this.lastCall;
        return new Promise<void>((resolve) => {
          if (!child.connected) return resolve();
          this.calls.set(call, resolve);
          child.send({ do: 'tell', call } satisfies Order);
        });
      }),
    );
  }

  async stop(): Promise<void> {
    for (const { child } of this.crowds) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }
  }

  /** Their watches are closed. */
  unwatch(ids: readonly number[]): void {
    this.order({ do: 'unwatch', ids });
  }

  /** Closed watches are opened again from where they stood. */
  rewatch(ids: readonly number[]): void {
    this.order({ do: 'rewatch', ids });
  }

  private order(order: Extract<Order, { ids: readonly number[] }>): void {
    for (const { child, ids } of this.crowds) {
      const mine = order.ids.filter((id) => ids.has(id));
      if (mine.length > 0) child.send({ ...order, ids: mine } satisfies Order);
    }
  }

  private hear(report: Report): void {
    if ('told' in report) {
      this.calls.get(report.told)?.();
      this.calls.delete(report.told);
      return;
    }
    for (const sight of report.sights) {
      const [app, at, what, order, n] = sight;
      if (what === 'dial') {
        this.dials.push(at);
        continue;
      }
      this.sights.push(sight);
      const live = this.live.get(app)!;
      if (what === 'link') live.link = n === 1;
      else if (what === 'ended') live.ended.add(order);
      else if (what === 'snapshot' || what === 'reset' || what === 'event' || what === 'jump')
        live.known.set(order, n);
    }
  }
}
