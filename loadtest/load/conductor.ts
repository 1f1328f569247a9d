/** Runs a load test: starts the processes of the generator, lets them play, and adds up what they say. */
import { setTimeout as pause } from 'node:timers/promises';
import { eachOf } from '../backend.ts';
import { Book } from './book.ts';
import { at, now } from './clock.ts';
import { Company } from './company.ts';
import { CrewProcess } from './crew-process.ts';
import { makeReport, type Verdict } from './findings.ts';
import { endMs, headcount, LANE_OF, type Lane, type Plan, ROLES, type Role } from './plan.ts';
import { Probes } from './probes.ts';
import type { LoadReport } from './report.ts';
import { openWallet } from './wallet.ts';

export interface Run {
  readonly plan: Plan;
  /** Processes of each role. */
  readonly processes: Readonly<Record<Role, number>>;
  /** Gateways and Redis on this machine, by name; a gateway's begins with `gateway`. */
  readonly pids: Readonly<Record<string, number>>;
  /** As they stand in the report. */
  readonly options: Readonly<Record<string, unknown>>;
  /** A line about how it goes, at every step, and once a second: then `passing`, the next one may take its place. */
  readonly progress: (line: string, passing?: boolean) => void;
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

/** Runs it and reports. Rejects if the gateway cannot be reached or refuses, or if a process of the generator fails. */
export async function conduct(run: Run): Promise<LoadReport> {
  const { plan, progress } = run;
  const startedAt = new Date();
  const company = new Company(plan, openWallet(plan));
  const book = new Book(plan);
  const crews = ROLES.flatMap((role) => {
    const of = Math.min(run.processes[role], headcount(plan, role));
    return Array.from({ length: of }, (_, index) => {
      return new CrewProcess({ role, index, of }, (crew, sample) => book.add(crew, sample));
    });
  });
  const riders = Array.from({ length: plan.riders }, (_, i) => i);
  try {
    progress(`${crews.length} processes get ready …`);
    await Promise.all(crews.map((crew) => crew.ask({ t: 'play', plan, part: crew.part }, 'ready')));
    progress(`${plan.riders} orders are created …`);
    await company.give(0); // the first refusal says it all
    await eachOf(riders.slice(1), WIDTH, (rider) => company.give(rider));
    await playAll(run, crews, book);
    const verdict = await judgeAll(plan, crews);
    progress('orders are ended …');
    const orders = await endAll(plan, company, crews);
    await Promise.all(crews.map((crew) => crew.end()));
    return makeReport({ plan, options: run.options, startedAt, book, verdict, orders });
  } finally {
    for (const crew of crews) crew.kill();
  }
}

/** From the start to the last ping. */
async function playAll(run: Run, crews: readonly CrewProcess[], book: Book): Promise<void> {
  const { plan, progress, enough } = run;
  const start = now() + LEAD_MS;
  const wall = Date.now() + LEAD_MS;
  for (const crew of crews) crew.say({ t: 'start', start, wall });
  await pause(LEAD_MS);
  const probes = new Probes(run.pids);
  let second = 1;
  let cancel = () => {};
  const probe = () => {
    const { uses, machine } = probes.take();
    book.probe(second, uses, machine);
    const phase = second * 1000 <= plan.rampMs ? 'ramp' : 'run ';
    const total = Math.ceil(endMs(plan) / 1000);
    if (second > 1) progress(`${phase} ${second} of ${total} s: ${book.line(second - 1)}`, true);
    second++;
    cancel = at(start + second * 1000, probe);
  };
  cancel = at(start + second * 1000, probe);
  const over = pause(start + endMs(plan) - now(), undefined, { signal: enough }).catch(() => {
    const ms = now() - start;
    book.end(ms);
    for (const crew of crews) crew.say({ t: 'stop', ms });
  });
  try {
    await Promise.race([over, ...crews.map((crew) => crew.broken)]);
    cancel();
    if (second * 1000 <= book.endMs) probe(); // the last one is due at this very moment
  } finally {
    cancel();
  }
}

/** Waits until all that was sent has had time to be shown, and lets the watchers judge. */
async function judgeAll(plan: Plan, crews: readonly CrewProcess[]): Promise<Verdict> {
  const newest = new Uint32Array(plan.riders);
  const riding = crews.filter(({ part }) => part.role === 'riders');
  const settled = riding.map((crew) => crew.ask({ t: 'settle', within: ANSWER_MS }, 'settled'));
  let [missing, unsent, denied] = [0, 0, 0];
  for (const theirs of await Promise.all(settled)) {
    for (const [rider, seq] of theirs.newest.entries()) if (seq > 0) newest[rider] = seq;
    missing += theirs.missing;
    unsent += theirs.unsent;
  }
  await pause(SETTLE_TICKS * plan.tickMs);
  const blind: Partial<Record<Lane, number>> = {};
  for (const crew of crews) {
    const { role } = crew.part;
    if (role === 'riders') continue;
    const { judged } = await crew.ask({ t: 'judge', newest }, 'judged');
    blind[LANE_OF[role]] = (blind[LANE_OF[role]] ?? 0) + judged.blind;
    denied += judged.denied;
    missing += judged.missing;
  }
  return { blind, denied, missing, unsent };
}

/** Ends every order, and asks the customers whether they were told. */
async function endAll(
  plan: Plan,
  company: Company,
  crews: readonly CrewProcess[],
): Promise<LoadReport['orders']> {
  const riders = Array.from({ length: plan.riders }, (_, i) => i);
  let ended = 0;
  const end = async (rider: number) => {
    try {
      await company.end(rider);
      ended++;
    } catch {
      // counted by what is missing
    }
  };
  await eachOf(riders, WIDTH, end);
  const customers = crews.filter(({ part }) => part.role === 'customers');
  const told = customers.map((crew) => crew.ask({ t: 'ended', within: ANSWER_MS }, 'ended'));
  let watchersTold = 0;
  for (const { watchers } of await Promise.all(told)) watchersTold += watchers;
  return { given: plan.riders, ended, watchersTold };
}
