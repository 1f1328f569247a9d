/** What a replay found, and how it reads. */
import type { Lane } from './lane.ts';

export interface LaneReport {
  readonly shown: number;
  readonly frames: number;
  readonly duplicates: number;
  readonly regressions: number;
  /** Watchers (order lane) or pairs of operator and rider (zone lane) that saw nothing, though there was something. */
  readonly blind: number;
  /** ms from just before the ping was sent to when the frame came; null if nothing was shown. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly bytesPerPosition: number | null;
}

export interface Report {
  readonly riders: number;
  readonly pings: {
    readonly sent: number;
    readonly acknowledged: number;
    readonly refused: Readonly<Record<string, number>>;
    /** Due while a rider's socket was lost. */
    readonly skipped: number;
  };
  readonly order: LaneReport;
  /** null: no zone was watched. */
  readonly zone: LaneReport | null;
  /** Order watches that were told of the end of their order. */
  readonly ended: number;
  /** Sockets lost and dialled again. */
  readonly lostSockets: number;
  /** CPU-seconds while the replay ran, by process. */
  readonly cpuSeconds: Readonly<Record<string, number | null>>;
  readonly wallSeconds: number;
  readonly generator: {
    readonly cpuSeconds: number;
    readonly lagP99Ms: number;
    /** The numbers above say more about this process than about the gateway. */
    readonly limited: boolean;
  };
}

export function laneReport(lane: Lane, blind: number): LaneReport {
  const { shown, frames, duplicates, regressions } = lane;
  const bytesPerPosition = shown === 0 ? null : Math.round((lane.bytes / shown) * 10) / 10;
  const [p50Ms, p99Ms] = [lane.percentile(50), lane.percentile(99)];
  return { shown, frames, duplicates, regressions, blind, p50Ms, p99Ms, bytesPerPosition };
}

/** Whether a promise of the position lane was broken. */
export function isBroken(report: Report): boolean {
  const lanes = [report.order, ...(report.zone === null ? [] : [report.zone])];
  return lanes.some((lane) => lane.regressions > 0 || lane.duplicates > 0 || lane.blind > 0);
}

export function formatReport(report: Report): string {
  const { pings, generator } = report;
  const refused = Object.entries(pings.refused).map(([reason, count]) => `${count} ${reason}`);
  const cpu = Object.entries(report.cpuSeconds).map(
    ([name, s]) => `${name} ${s === null ? '?' : s.toFixed(2)}`,
  );
  // biome-ignore format: a table
  const rows: [string, string][] = [
    ['riders', `${report.riders}`],
    ['pings', `${pings.sent} sent, ${pings.acknowledged} acknowledged, refused: ${refused.join(', ') || 'none'}`],
    ...(pings.skipped > 0 ? [['', `${pings.skipped} not sent: no socket`] as [string, string]] : []),
    ...laneRows('order lane', report.order),
    ...(report.zone === null ? [['zone lane', 'not watched'] as [string, string]] : laneRows('zone lane', report.zone)),
    ['orders ended', `${report.ended} of ${report.riders} watchers were told`],
    ['sockets lost', `${report.lostSockets}`],
    ['CPU-seconds', cpu.join(', ') || 'not measured'],
    ['wall', `${report.wallSeconds.toFixed(1)} s`],
    ['generator', `${generator.cpuSeconds.toFixed(2)} CPU-seconds, event loop late by ${generator.lagP99Ms} ms (p99)`],
  ];
  if (generator.limited) rows.push(['', 'THE GENERATOR WAS THE LIMIT: the gateway may be better than this']);
  return rows.map(([name, text]) => `${name.padEnd(14)}${text}`).join('\n');
}

function laneRows(name: string, lane: LaneReport): [string, string][] {
  return [
    [
      name,
      `${lane.shown} positions shown in ${lane.frames} frames, ${lane.bytesPerPosition ?? '–'} bytes each`,
    ],
    ['', `p50 ${lane.p50Ms ?? '–'} ms, p99 ${lane.p99Ms ?? '–'} ms from ping to watcher`],
    ['', `regressions ${lane.regressions}, duplicates ${lane.duplicates}, blind watchers ${lane.blind}`],
  ];
}
