/** Runs a load test: starts the processes of the generator, lets them play, and adds up what they say. */
import { type ChildProcess, fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { eachOf } from '../backend.ts';
import { Book } from './book.ts';
import { at, now } from './clock.ts';
import { Company } from './company.ts';
import type { FromCrew, Part, ToCrew } from './messages.ts';
import { endMs, headcount, LANE_OF, type Lane, type Plan, ROLES, type Role } from './plan.ts';
import { Probes } from './probes.ts';
import type { LoadReport } from './report.ts';
import { isFull, isSaturated, spoils } from './saturation.ts';
import { openWallet } from './wallet.ts';

export interface Run {
  readonly plan: Plan;
  /** Processes of each role. */
  readonly processes: Readonly<Record<Role, number>>;
  /** Gateways and Redis on this machine, by name; a gateway's begins with `gateway`. */
  readonly pids: Readonly<Record<string, number>>;
  readonly options: Readonly<Record<string, unknown>>;
  /** A line about how it goes, once a second and at every step. */
  readonly progress: (line: string) => void;
  /** Aborted: the pings end now, and what was found is reported. */
  readonly enough: AbortSignal;
}

/** HTTP calls at once. */
const WIDTH = 50;
/** Between the order to start and the start: every process has heard it by then. */
const LEAD_MS = 300;
const ANSWER_MS = 10_000;
/** A last position may wait for a tick of the rider's node and one of the watcher's. */
const SETTLE_TICKS = 6;

/** One process of the generator. */
class Crew {
  readonly name: string;
  readonly part: Part;
  private readonly child: ChildProcess;
  private readonly waiting = new Map<FromCrew['t'], (message: FromCrew) => void>();
  private failed: (error: Error) => void = () => {};
  /** Rejects when it fails or ends too early. */
  readonly broken: Promise<never>;
  private ending = false;

  constructor(part: Part, sampled: (message: FromCrew & { t: 'sample' }) => void) {
    this.part = part;
    this.name = `${part.role}-${part.index + 1}`;
    const file = fileURLToPath(new URL('./crew.js', import.meta.url));
    this.child = fork(file, [], { serialization: 'advanced', execArgv: [] });
    this.broken = new Promise((_, reject) => {
      this.failed = reject;
    });
    this.broken.catch(() => {}); // looked at only while something is awaited
    this.child.on('message', (message: FromCrew) => {
      if (message.t === 'sample') return sampled(message);
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
    const late = setTimeout(() => this.child.kill('SIGKILL'), ANSWER_MS);
    await exited;
    clearTimeout(late);
  }

  kill(): void {
    this.ending = true;
    this.child.kill('SIGKILL');
  }
}

/** Runs it and reports. Rejects if the gateway cannot be reached or refuses, or if a process of the generator fails. */
export async function conduct(run: Run): Promise<LoadReport> {
  const { plan, progress } = run;
  const startedAt = new Date();
  const wallet = openWallet(plan);
  const company = new Company(plan, wallet);
  const book = new Book(plan);
  const crews = ROLES.flatMap(
    (role) =>
    Array.from({ length: Math.min(run.processes[role], headcount(plan, role)) }, (_, index) => ({ role, index, of: Math.min(run.processes[role], headcount(plan, role)) })), // biome-ignore format: one part
  ).map((part): Crew => new Crew(part, ({ sample }) => book.add(`${part.role}-${part.index + 1}`, sample)));
  const riders = Array.from({ length: plan.riders }, (_, i) => i);
  try {
    progress(`${plan.riders} orders are created …`);
    await company.give(0); // the first refusal says it all
    await eachOf(riders.slice(1), WIDTH, (rider) => company.give(rider));
    progress(`${crews.length} processes get ready …`);
    await Promise.all(crews.map((crew) => crew.ask({ t: 'play', plan, part: crew.part }, 'ready')));
    await playAll(run, crews, book);
    const judged = await judgeAll(plan, crews);
    progress('orders are ended …');
    let ended = 0;
    await eachOf(riders, WIDTH, (rider) => company.end(rider).then(() => void ended++, () => {})); // biome-ignore format: one step
    const customers = crews.filter(({ part }) => part.role === 'customers');
    const told = await Promise.all(
      customers.map((crew) => crew.ask({ t: 'ended', within: ANSWER_MS }, 'ended')),
    );
    await Promise.all(crews.map((crew) => crew.end()));
    const watchersTold = told.reduce((sum, { watchers }) => sum + watchers, 0);
    const orders = { given: plan.riders, ended, watchersTold };
    return makeReport(run, startedAt, book, { ...judged, orders });
  } finally {
    for (const crew of crews) crew.kill();
  }
}

/** From the start to the last ping. */
async function playAll(
  { plan, pids, progress, enough }: Run,
  crews: readonly Crew[],
  book: Book,
): Promise<void> {
  const start = now() + LEAD_MS;
  const wall = Date.now() + LEAD_MS;
  for (const crew of crews) crew.say({ t: 'start', start, wall });
  await pause(LEAD_MS);
  const probes = new Probes(pids);
  const total = endMs(plan) / 1000;
  let cancel = () => {};
  const look = (second: number) => {
    cancel = at(start + second * 1000, () => {
      const { uses, machine } = probes.take();
      book.probe(second, uses, machine);
      const phase = second * 1000 <= plan.rampMs ? 'ramp' : 'run ';
      if (second > 1) progress(`${phase} ${second} of ${Math.ceil(total)} s: ${book.line(second - 1)}`);
      look(second + 1);
    });
  };
  look(1);
  const over = pause(start + endMs(plan) - now(), undefined, { signal: enough }).catch(() => {
    for (const crew of crews) crew.say({ t: 'stop', ms: now() - start });
  });
  try {
    await Promise.race([over, ...crews.map((crew) => crew.broken)]);
  } finally {
    cancel();
  }
}

interface Verdict {
  readonly blind: Partial<Record<Lane, number>>;
  readonly denied: number;
}

/** Waits until all that was sent has had time to be shown, and lets the watchers judge. */
async function judgeAll(plan: Plan, crews: readonly Crew[]): Promise<Verdict> {
  const newest = new Uint32Array(plan.riders);
  const riding = crews.filter(({ part }) => part.role === 'riders');
  for (const settled of await Promise.all(
    riding.map((crew) => crew.ask({ t: 'settle', within: ANSWER_MS }, 'settled')),
  ))
    settled.newest.forEach((seq, rider) => {
      if (seq > 0) newest[rider] = seq;
    });
  await pause(SETTLE_TICKS * plan.tickMs);
  const blind: Partial<Record<Lane, number>> = {};
  let denied = 0;
  for (const crew of crews) {
    const { role } = crew.part;
    if (role === 'riders') continue;
    const { judged } = await crew.ask({ t: 'judge', newest }, 'judged');
    blind[LANE_OF[role]] = (blind[LANE_OF[role]] ?? 0) + judged.blind;
    denied += judged.denied;
  }
  return { blind, denied };
}

function makeReport(
  { plan, options }: Run,
  startedAt: Date,
  book: Book,
  found: Verdict & { readonly orders: LoadReport['orders'] },
): LoadReport {
  const { lanes, series } = book.finish(found.blind);
  const { counts } = book;
  const processes = Object.fromEntries(
    [...book.uses].map(([name, uses]) => [
      name,
      {
        cpuSeconds: uses.some(({ cpu }) => cpu === null)
          ? null
          : rounded(uses.reduce((sum, { cpu }) => sum + cpu!, 0)),
        rssMaxBytes: Math.max(...uses.map(({ rssBytes }) => rssBytes ?? 0)) || null,
      },
    ]),
  );
  const crews = [...book.crews].map(([name, samples]) => ({
    name,
    cpu: rounded(samples.reduce((sum, { cpu }) => sum + cpu, 0) / samples.length),
    lagMaxMs: rounded(Math.max(...samples.map(({ lagMaxMs }) => lagMaxMs))),
    saturatedSeconds: samples.filter(isSaturated).length,
    seconds: samples.length,
  }));
  return {
    ridecastLoadtest: 1,
    at: startedAt.toISOString(),
    options,
    machine: { cores: availableParallelism(), node: process.version, platform: process.platform },
    rampSeconds: plan.rampMs / 1000,
    measuredSeconds: plan.measuredMs / 1000,
    pings: {
      sent: counts.sent ?? 0,
      acknowledged: counts.acknowledged ?? 0,
      resent: counts.resent ?? 0,
      refused: book.refused,
      givenUp: counts.givenUp ?? 0,
      lateMs: book.late.percentiles(),
    },
    lanes,
    sockets: {
      wanted: Object.fromEntries(ROLES.map((role) => [role, headcount(plan, role)])) as Record<Role, number>,
      connects: counts.connects ?? 0,
      connectMs: book.connect.percentiles(),
      reconnects: counts.reconnects ?? 0,
      failed: counts.failed ?? 0,
      closes: book.closes,
      deniedWatches: found.denied,
    },
    orders: found.orders,
    processes,
    cpuSecondsPerMillionShown: perMillion(book, series),
    generator: {
      saturated: [...book.crews.values()].some(spoils),
      machineFull: isFull(book.machine),
      crews,
    },
    series,
  };
}

/** CPU-seconds of the gateways, per million positions shown in the same seconds. */
function perMillion(book: Book, series: Record<string, (number | null)[]>): number | null {
  let [cpu, shown] = [0, 0];
  for (const [i, second] of series.second!.entries()) {
    if (!book.isMeasured(second!)) continue;
    for (const [name, column] of Object.entries(series)) {
      if (name.startsWith('cpu.gateway')) cpu += column[i] ?? 0;
      if (/^\w+\.shown$/.test(name)) shown += column[i] ?? 0;
    }
  }
  return cpu === 0 || shown === 0 ? null : Math.round((cpu / shown) * 1e8) / 100;
}

const rounded = (value: number): number => Math.round(value * 100) / 100;
