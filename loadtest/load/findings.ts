/** Makes the report of a run out of its book. */
import { availableParallelism } from 'node:os';
import type { Book } from './book.ts';
import { headcount, type Lane, type Plan, ROLES, type Role } from './plan.ts';
import { type CrewReport, type LoadReport, shortfallsOf } from './report.ts';
import { isFull, isSaturated, spoils } from './saturation.ts';

/** What the watchers said at the end. */
export interface Verdict {
  readonly blind: Partial<Record<Lane, number>>;
  readonly denied: number;
  readonly missing: number;
  readonly unsent: number;
}

export interface Found {
  readonly plan: Plan;
  readonly options: Readonly<Record<string, unknown>>;
  readonly startedAt: Date;
  readonly book: Book;
  readonly verdict: Verdict;
  readonly orders: LoadReport['orders'];
}

export function makeReport({ plan, options, startedAt, book, verdict, orders }: Found): LoadReport {
  const { lanes, series } = book.finish(verdict.blind);
  const { counts } = book;
  const report = {
    ridecastLoadtest: 1 as const,
    at: startedAt.toISOString(),
    options,
    machine: { cores: availableParallelism(), node: process.version, platform: process.platform },
    rampSeconds: plan.rampMs / 1000,
    measuredSeconds: rounded(Math.max(0, book.endMs - plan.rampMs) / 1000),
    pings: {
      sent: counts.sent ?? 0,
      acknowledged: counts.acknowledged ?? 0,
      resent: counts.resent ?? 0,
      refused: book.refused,
      givenUp: counts.givenUp ?? 0,
      unsent: verdict.unsent,
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
      deniedWatches: verdict.denied,
      missing: verdict.missing,
    },
    orders,
    processes: processes(book),
    cpuSecondsPerMillionShown: perMillion(book, series),
    generator: {
      saturated: [...book.crews.values()].some(spoils),
      machineFull: isFull(book.machine),
      crews: crews(book),
    },
    series,
  };
  return { ...report, shortfalls: shortfallsOf(report) };
}

function processes(book: Book): LoadReport['processes'] {
  const found: Record<string, { cpuSeconds: number | null; rssMaxBytes: number | null }> = {};
  for (const [name, uses] of book.uses) {
    const gone = uses.some(({ cpu }) => cpu === null);
    const cpu = uses.reduce((sum, use) => sum + (use.cpu ?? 0), 0); // cores, each for one second
    const rss = Math.max(...uses.map(({ rssBytes }) => rssBytes ?? 0));
    found[name] = { cpuSeconds: gone ? null : rounded(cpu), rssMaxBytes: rss === 0 ? null : rss };
  }
  return found;
}

function crews(book: Book): CrewReport[] {
  return [...book.crews].map(([name, samples]) => ({
    name,
    cpu: rounded(samples.reduce((sum, { cpu }) => sum + cpu, 0) / samples.length),
    lagMaxMs: rounded(Math.max(...samples.map(({ lagMaxMs }) => lagMaxMs))),
    saturatedSeconds: samples.filter(isSaturated).length,
    seconds: samples.length,
  }));
}

/** CPU-seconds of the gateways, per million positions shown in the same seconds. */
function perMillion(book: Book, series: LoadReport['series']): number | null {
  let [cpu, shown] = [0, 0];
  for (const [i, second] of series.second!.entries()) {
    if (!book.isMeasured(second!)) continue;
    for (const [name, column] of Object.entries(series)) {
      if (name.startsWith('cpu.gateway')) cpu += column[i] ?? 0;
      if (/^\w+\.shown$/.test(name)) shown += column[i] ?? 0;
    }
  }
  return cpu === 0 || shown === 0 ? null : rounded((cpu / shown) * 1e6);
}

const rounded = (value: number): number => Math.round(value * 100) / 100;
