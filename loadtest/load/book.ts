/** Keeps what the generator's processes say, second by second, and adds it up. */
import { build, decodeFromCompressedBase64, type Histogram } from 'hdr-histogram-js';
import { endMs, LANES, type Lane, type Plan } from './plan.ts';
import type { Use } from './probes.ts';
import type { LaneReport, Percentiles } from './report.ts';
import { isSaturated } from './saturation.ts';
import type { Gap, LaneSample, Pings, Sample, SelfSample } from './tally.ts';

/** Samples of a second that come later than this many seconds after it still count, but in no chart. */
const LATE_S = 10;

/** Many crews' durations as one histogram, which is not there before the first. */
class Merged {
  histogram: Histogram | undefined;

  add(text: string | undefined): void {
    if (text !== undefined) this.merge(decodeFromCompressedBase64(text));
  }

  merge(other: Histogram | undefined): void {
    if (other === undefined) return;
    this.histogram ??= build({ highestTrackableValue: 600_000_000, numberOfSignificantValueDigits: 3 });
    this.histogram.add(other);
  }

  percentiles(): Percentiles | null {
    const { histogram } = this;
    if (histogram === undefined) return null;
    const ms = (micros: number) => Math.round(micros / 10) / 100;
    const [p50, p90, p99] = [50, 90, 99].map((p) => ms(histogram.getValueAtPercentile(p)));
    return { p50: p50!, p90: p90!, p99: p99!, max: ms(histogram.maxValue) };
  }
}

interface LaneBook {
  frames: number;
  bytes: number;
  shown: number;
  duplicates: number;
  regressions: number;
  overtaken: number;
  readonly latency: Merged;
  readonly age: Merged;
}

const COUNTS = ['frames', 'bytes', 'shown', 'duplicates', 'regressions', 'overtaken'] as const;
const laneBook = (): LaneBook => ({
  frames: 0,
  bytes: 0,
  shown: 0,
  duplicates: 0,
  regressions: 0,
  overtaken: 0,
  latency: new Merged(),
  age: new Merged(),
});

/** What of a gap nothing excuses, and what something does: pings, times watchers. */
interface Loss {
  readonly lane: Lane;
  readonly second: number;
  readonly pings: number;
  readonly excused: number;
}

/** One second of the run, while samples of it may still come. */
interface Page {
  readonly lanes: Partial<Record<Lane, LaneBook>>;
  readonly counts: Record<string, number>;
  readonly crews: Record<string, SelfSample>;
  uses: Record<string, Use>;
  machine: number | null;
}

export class Book {
  readonly lanes: Partial<Record<Lane, LaneBook>> = {};
  readonly counts: Record<string, number> = {};
  readonly closes: Record<string, number> = {};
  readonly refused: Record<string, number> = {};
  readonly connect = new Merged();
  readonly late = new Merged();
  /** By crew, its samples of the seconds after the ramp. */
  readonly crews = new Map<string, SelfSample[]>();
  /** By process, what it used in the seconds after the ramp. */
  readonly uses = new Map<string, Use[]>();
  readonly machine: number[] = [];
  /** When the last ping was due, ms after the start. */
  endMs: number;
  private readonly plan: Plan;
  private readonly pages = new Map<number, Page>();
  private readonly rows = new Map<number, Record<string, number | null>>();
  private readonly gaps: { readonly lane: Lane; readonly second: number; readonly gap: Gap }[] = [];
  private readonly excused = new Map<number, [from: number, to: number][]>();

  constructor(plan: Plan) {
    this.plan = plan;
    this.endMs = endMs(plan);
  }

  /** It ends earlier than planned. */
  end(ms: number): void {
    this.endMs = Math.min(this.endMs, ms);
  }

  add(crew: string, sample: Sample): void {
    const { second } = sample;
    const page = this.page(second);
    page.crews[crew] = sample.self;
    for (const lane of LANES) {
      const counted = sample.lanes[lane];
      if (counted !== undefined) this.addLane(lane, second, page, counted);
    }
    const { sockets, riders } = sample;
    page.counts.open = (page.counts.open ?? 0) + sockets.open;
    for (const name of ['connects', 'reconnects', 'failed'] as const) this.count(page, name, sockets[name]);
    for (const [code, n] of Object.entries(sockets.closes)) {
      this.closes[code] = (this.closes[code] ?? 0) + n;
      this.count(page, 'closes', n);
    }
    this.connect.add(sockets.connect);
    if (riders === undefined) return;
    for (const name of ['sent', 'resent', 'acknowledged', 'givenUp'] as const)
      this.count(page, name, riders[name]);
    for (const [reason, n] of Object.entries(riders.refused))
      this.refused[reason] = (this.refused[reason] ?? 0) + n;
    for (const pings of riders.excused) this.excuse(pings);
    if (this.isMeasured(second)) this.late.add(riders.late);
  }

  probe(second: number, uses: Record<string, Use>, machine: number | null): void {
    const page = this.page(second);
    page.uses = uses;
    page.machine = machine;
    for (const old of [...this.pages.keys()]) if (old < second - LATE_S) this.close(old);
  }

  /** Whether a second lies between the end of the ramp and the last ping. */
  isMeasured(second: number): boolean {
    return (second - 1) * 1000 >= this.plan.rampMs && second * 1000 <= this.endMs;
  }

  /** One line on the second just over. */
  line(second: number): string {
    const row = this.row(this.page(second));
    const value = (name: string) => row[name] ?? 0;
    const shown = LANES.map((lane) => value(`${lane}.shown`)).reduce((sum, n) => sum + n, 0);
    const slowest = LANES.map((lane) => row[`${lane}.latencyP99`] ?? null).filter((ms) => ms !== null);
    const p99 = slowest.length === 0 ? '–' : Math.max(...slowest).toFixed(1);
    return `${value('open')} sockets, ${value('sent')} pings/s, ${shown} shown/s, p99 ${p99} ms`;
  }

  /** Columns by name, and lanes with their losses. Nothing is added afterwards. */
  finish(blind: Partial<Record<Lane, number>>): {
    series: Record<string, (number | null)[]>;
    lanes: Partial<Record<Lane, LaneReport>>;
  } {
    for (const second of [...this.pages.keys()].sort((a, b) => a - b)) this.close(second);
    const lost = this.losses();
    const last = Math.floor(this.endMs / 1000);
    const seconds = [...this.rows.keys()].filter((second) => second <= last).sort((a, b) => a - b);
    const names = new Set(seconds.flatMap((second) => Object.keys(this.rows.get(second)!)));
    const series: Record<string, (number | null)[]> = { second: seconds };
    for (const name of names) series[name] = seconds.map((second) => this.rows.get(second)![name] ?? null);
    const lanes: Partial<Record<Lane, LaneReport>> = {};
    for (const lane of LANES) {
      const mine = lost.filter((loss) => loss.lane === lane);
      const report = this.laneReport(lane, mine, blind[lane] ?? 0);
      if (report === undefined) continue;
      lanes[lane] = report;
      const bySecond = new Map<number, number>();
      for (const { second, pings } of mine) bySecond.set(second, (bySecond.get(second) ?? 0) + pings);
      series[`${lane}.lost`] = seconds.map((second) => bySecond.get(second) ?? 0);
    }
    return { series, lanes };
  }

  private laneReport(lane: Lane, losses: readonly Loss[], blind: number): LaneReport | undefined {
    const book = this.lanes[lane];
    if (book === undefined) return undefined;
    const { frames, bytes, shown, overtaken, regressions, duplicates, latency, age } = book;
    return {
      frames,
      shown,
      lost: losses.reduce((sum, { pings }) => sum + pings, 0),
      overtaken: overtaken + losses.reduce((sum, { excused }) => sum + excused, 0),
      regressions,
      duplicates,
      blind,
      bytesPerPosition: shown === 0 ? null : Math.round((bytes / shown) * 10) / 10,
      latencyMs: latency.percentiles(),
      ageMs: age.percentiles(),
    };
  }

  private addLane(lane: Lane, second: number, page: Page, sample: LaneSample): void {
    page.lanes[lane] ??= laneBook();
    const book = page.lanes[lane];
    for (const name of COUNTS) book[name] += sample[name];
    book.latency.add(sample.latency);
    book.age.add(sample.age);
    for (const gap of sample.gaps) this.gaps.push({ lane, second, gap });
  }

  private count(page: Page, name: string, n: number): void {
    page.counts[name] = (page.counts[name] ?? 0) + n;
    this.counts[name] = (this.counts[name] ?? 0) + n;
  }

  private excuse([rider, from, to]: Pings): void {
    const known = this.excused.get(rider);
    const last = known?.[known.length - 1];
    if (last !== undefined && from === last[1] + 1) last[1] = to;
    else if (known !== undefined) known.push([from, to]);
    else this.excused.set(rider, [[from, to]]);
  }

  private page(second: number): Page {
    let page = this.pages.get(second);
    if (page === undefined) {
      page = { lanes: {}, counts: {}, crews: {}, uses: {}, machine: null };
      this.pages.set(second, page);
    }
    return page;
  }

  /** Nothing more is expected of this second: its numbers become a row, and part of the totals. */
  private close(second: number): void {
    const page = this.pages.get(second)!;
    this.pages.delete(second);
    if (!this.rows.has(second)) this.rows.set(second, this.row(page));
    const isMeasured = this.isMeasured(second);
    for (const lane of LANES) {
      const counted = page.lanes[lane];
      if (counted === undefined) continue;
      this.lanes[lane] ??= laneBook();
      const total = this.lanes[lane];
      for (const name of COUNTS) total[name] += counted[name];
      if ((second - 1) * 1000 >= this.plan.rampMs) total.latency.merge(counted.latency.histogram);
      if (isMeasured) total.age.merge(counted.age.histogram);
    }
    if (!isMeasured) return;
    for (const [crew, self] of Object.entries(page.crews)) push(this.crews, crew, self);
    for (const [name, use] of Object.entries(page.uses)) push(this.uses, name, use);
    if (page.machine !== null) this.machine.push(page.machine);
  }

  private row(page: Page): Record<string, number | null> {
    const row: Record<string, number | null> = { ...page.counts };
    for (const [lane, book] of Object.entries(page.lanes)) {
      for (const name of COUNTS) row[`${lane}.${name}`] = book[name];
      for (const [name, merged] of [
        ['latency', book.latency],
        ['age', book.age],
      ] as const) {
        const found = merged.percentiles();
        row[`${lane}.${name}P50`] = found?.p50 ?? null;
        row[`${lane}.${name}P99`] = found?.p99 ?? null;
        row[`${lane}.${name}Max`] = found?.max ?? null;
      }
    }
    for (const [name, { cpu, rssBytes }] of Object.entries(page.uses)) {
      row[`cpu.${name}`] = cpu === null ? null : Math.round(cpu * 1000) / 1000;
      row[`rss.${name}`] = rssBytes;
    }
    row.machine = page.machine === null ? null : Math.round(page.machine * 1000) / 1000;
    for (const [crew, self] of Object.entries(page.crews)) {
      row[`generatorCpu.${crew}`] = Math.round(self.cpu * 1000) / 1000;
      row[`generatorLag.${crew}`] = Math.round(self.lagMaxMs * 10) / 10;
      row.saturated = (row.saturated ?? 0) + (isSaturated(self) ? 1 : 0);
    }
    return row;
  }

  /** What of the gaps nothing excuses. */
  private losses(): Loss[] {
    return this.gaps.map(({ lane, second, gap: [rider, from, to, watchers] }) => {
      let excused = 0;
      for (const [first, last] of this.excused.get(rider) ?? [])
        excused += Math.max(0, Math.min(to, last) - Math.max(from, first) + 1);
      excused = Math.min(excused, to - from + 1);
      return { lane, second, pings: (to - from + 1 - excused) * watchers, excused: excused * watchers };
    });
  }
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, [value]);
  else known.push(value);
}
