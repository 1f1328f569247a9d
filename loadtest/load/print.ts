/** A report as a table of text. */
import { LANES, type Lane } from './plan.ts';
import type { LaneReport, LoadReport, Percentiles } from './report.ts';

const NAMES: Record<Lane, string> = {
  order: 'orders',
  partner: 'partners',
  zone: 'zones',
  slow: 'slow readers',
};
const MIB = 2 ** 20;

export function formatReport(report: LoadReport): string {
  const { pings, sockets, generator, orders } = report;
  const wanted = Object.entries(sockets.wanted).map(([role, count]) => `${count} ${role}`);
  const closes = Object.entries(sockets.closes).map(([code, count]) => `${count} × ${code}`);
  const rows: [string, string][] = [
    ['load', `${wanted.join(', ')}; ${report.measuredSeconds} s after a ramp of ${report.rampSeconds} s`],
    [
      'pings',
      `${pings.sent} sent, ${pings.acknowledged} acknowledged${counted(pings.refused, ', refused: ')}`,
    ],
  ];
  if (pings.resent + pings.givenUp > 0)
    rows.push(['', `${pings.resent} sent again, ${pings.givenUp} given up while there was no socket`]);
  for (const lane of LANES) {
    const found = report.lanes[lane];
    if (found !== undefined) rows.push(...laneRows(NAMES[lane], found));
  }
  // biome-ignore format: a table
  rows.push(
    ['sockets', `${sockets.connects} connects (${times(sockets.connectMs)}), ${sockets.reconnects} of them again, ${sockets.failed} failed`],
    ['', `closed by others: ${closes.join(', ') || 'none'}`],
    ['orders', `${orders.given} given, ${orders.ended} ended, ${orders.watchersTold} customers' sockets told`],
    ...processRows(report),
    ...generatorRows(generator, pings.lateMs),
  );
  const { shortfalls } = report;
  rows.push(['verdict', shortfalls.length === 0 ? 'all well' : `NOT WELL: ${shortfalls.join(', ')}`]);
  return rows.map(([name, text]) => `${name.padEnd(14)}${text}`).join('\n');
}

function laneRows(name: string, lane: LaneReport): [string, string][] {
  // biome-ignore format: a table
  return [
    [name, `${lane.shown} positions shown in ${lane.frames} frames, ${lane.bytesPerPosition ?? '–'} bytes each`],
    ['', `ping to watcher: ${times(lane.latencyMs)}`],
    ['', `age of what is shown: ${times(lane.ageMs)}`],
    ['', `lost ${lane.lost}, regressions ${lane.regressions}, duplicates ${lane.duplicates}, never seen ${lane.blind}, overtaken ${lane.overtaken}`],
  ];
}

function processRows({ processes, cpuSecondsPerMillionShown: perMillion }: LoadReport): [string, string][] {
  const used = Object.entries(processes).map(
    ([name, { cpuSeconds, rssMaxBytes }]) =>
      `${name} ${cpuSeconds?.toFixed(2) ?? '?'} CPU-seconds, ${rssMaxBytes === null ? '?' : Math.round(rssMaxBytes / MIB)} MiB`,
  );
  if (used.length === 0) return [['machine', 'gateways are elsewhere: CPU and memory not measured']];
  if (perMillion !== null) used.push(`${perMillion} CPU-seconds of gateways per million positions shown`);
  return used.map((text, i) => [i === 0 ? 'machine' : '', text]);
}

function generatorRows(
  { saturated, machineFull, crews }: LoadReport['generator'],
  late: Percentiles | null,
): [string, string][] {
  const list = crews.map(({ name, cpu }) => `${name} ${Math.round(cpu * 100)} %`);
  const rows: [string, string][] = [
    ['generator', `CPU ${list.join(', ')}`],
    ['', `pings late by ${times(late)}`],
  ];
  const hot = crews.filter(({ saturatedSeconds }) => saturatedSeconds > 0);
  if (saturated) {
    const seconds = hot.map((crew) => `${crew.name} in ${crew.saturatedSeconds} of ${crew.seconds} s`);
    rows.push([
      '',
      `THE GENERATOR WAS THE LIMIT (${seconds.join(', ')}): the gateway may be better than this; see --processes`,
    ]);
  }
  if (machineFull) rows.push(['', 'THE MACHINE WAS FULL: generator and gateway took CPU from each other']);
  return rows;
}

function times(found: Percentiles | null): string {
  if (found === null) return '–';
  return `p50 ${found.p50}, p90 ${found.p90}, p99 ${found.p99}, max ${found.max} ms`;
}

function counted(counts: Readonly<Record<string, number>>, before: string): string {
  const list = Object.entries(counts).map(([reason, count]) => `${count} ${reason}`);
  return list.length === 0 ? '' : before + list.join(', ');
}
