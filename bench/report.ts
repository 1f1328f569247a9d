/** What is written about a row: figures of all runs for the machine, medians with their range for people. */
import { isNoisy, ratios, type Summary, summarize } from './figures.ts';
import type { Played, Series } from './play.ts';
import type { Column, Goal, Row } from './row.ts';

export interface LineResult {
  readonly contender: string;
  readonly at: string;
  readonly figures: Readonly<Record<string, Summary>>;
  readonly runs: readonly Readonly<Record<string, number | null>>[];
  /** Runs that found nothing, because the contender failed. */
  readonly failed: number;
  readonly doubts: readonly string[];
}

export interface GoalResult {
  readonly words: string;
  /** The figure or the ratio; undefined: it could not be told. */
  readonly value?: Summary;
  readonly met: boolean | null;
}

export interface Result {
  readonly row: string;
  readonly title: string;
  readonly lines: readonly LineResult[];
  readonly goals: readonly GoalResult[];
  /** Contenders that could not run here, and why. */
  readonly notRun: Readonly<Record<string, string>>;
  /** Why the figures are not to be trusted; none: they are. */
  readonly doubts: readonly string[];
  readonly seconds: number;
  /** How often each contender ran. */
  readonly runs: number;
  readonly date: string;
  readonly commit: string;
  readonly machine: string;
}

/** When and where a row was run. */
export type Circumstances = Pick<Result, 'runs' | 'date' | 'commit' | 'machine'>;

export function resultOf(row: Row, { series, notRun, seconds }: Played, at: Circumstances): Result {
  const lines = series.map((one) => lineResult(one, row.columns));
  const noisy = lines.filter(({ figures }) => figures[row.key] !== undefined && isNoisy(figures[row.key]!));
  const doubts = [
    ...noisy.map((line) => `too noisy to trust: ${nameOf(line)}`),
    ...lines.flatMap((line) => line.doubts.map((doubt) => `${nameOf(line)}: ${doubt}`)),
  ];
  const goals = row.goals.map((goal) => goalResult(goal, series));
  return {
    row: row.name,
    title: row.title,
    lines,
    goals,
    notRun,
    doubts,
    seconds: Math.round(seconds),
    ...at,
  };
}

export function nameOf({ contender, at }: Pick<LineResult, 'contender' | 'at'>): string {
  return at === '' ? contender : `${contender}, ${at}`;
}

function lineResult({ contender, at, lines }: Series, columns: readonly Column[]): LineResult {
  const there = lines.filter((line) => line !== null);
  const figures: Record<string, Summary> = {};
  for (const { figure } of columns) {
    const summary = summarize(there.map((line) => line.figures[figure]));
    if (summary !== undefined) figures[figure] = summary;
  }
  // A doubt counts when most runs had it; of each kind the last wording stands for all.
  const kinds = new Map<string, string[]>();
  for (const doubt of there.flatMap((line) => line.doubts)) {
    const kind = doubt.replace(/\d+/g, '#');
    kinds.set(kind, [...(kinds.get(kind) ?? []), doubt]);
  }
  const doubts = [...kinds.values()].filter((all) => all.length * 2 > there.length).map((all) => all.at(-1)!);
  return {
    contender,
    at,
    figures,
    runs: there.map((line) => line.figures),
    failed: lines.length - there.length,
    doubts,
  };
}

function goalResult(goal: Goal, series: readonly Series[]): GoalResult {
  const { words, most, least } = goal;
  const of = valuesOf(goal.of, goal, series);
  const values = goal.beside === undefined ? of : ratios(of, valuesOf(goal.beside, goal, series));
  const value = summarize(values);
  if (value === undefined) return { words, met: null };
  const met = (most === undefined || value.median <= most) && (least === undefined || value.median >= least);
  return { words, value, met };
}

function valuesOf(
  contender: string,
  { at = '', figure }: Goal,
  series: readonly Series[],
): (number | null)[] {
  const found = series.find((one) => one.contender === contender && one.at === at);
  return found?.lines.map((line) => line?.figures[figure] ?? null) ?? [];
}

/** A table for people, and what it amounts to. */
export function formatResult(result: Result, columns: readonly Column[]): string {
  const head = ['', ...columns.map(({ title }) => title)];
  const body = result.lines.map((line) => [
    nameOf(line),
    ...columns.map(({ figure, digits }) => formatSummary(line.figures[figure], digits)),
  ]);
  const widths = head.map((_, i) => Math.max(...[head, ...body].map((cells) => cells[i]!.length)));
  const text = [head, ...body].map((cells) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '),
  );
  return [
    `\n${result.title}  (${result.seconds} s)`,
    ...text,
    ...result.goals.map(formatGoal),
    ...result.doubts.map((doubt) => `  ! ${doubt}`),
    ...Object.entries(result.notRun).map(([name, why]) => `  ${name}: not run: ${why}`),
  ].join('\n');
}

/** The median, and the range if there is one. */
export function formatSummary(summary: Summary | undefined, digits: number): string {
  if (summary === undefined) return '–';
  const { median, low, high } = summary;
  const show = (value: number) => formatNumber(value, digits);
  return show(low) === show(high) ? show(median) : `${show(median)} [${show(low)}–${show(high)}]`;
}

export function formatNumber(value: number, digits: number): string {
  const text = value.toLocaleString('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return /^-[0.]+$/.test(text) ? text.slice(1) : text;
}

export function formatGoal({ words, value, met }: GoalResult): string {
  if (value === undefined) return `  goal: ${words}: not told`;
  return `  goal: ${words}: ${formatSummary(value, value.median < 1 ? 3 : 2)} ${met ? 'met' : 'MISSED'}`;
}
