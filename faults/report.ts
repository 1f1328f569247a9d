/** What is written about a row: a line of JSON, a line for people. */
import type { Figures } from './judge.ts';
import { fateOf, type Outcome } from './play.ts';
import type { Extra, Row } from './row.ts';

export interface Result extends Partial<Figures> {
  readonly fault: string;
  readonly number: string;
  readonly title: string;
  readonly seed: number;
  readonly commit: string;
  readonly date: string;
  readonly passed: boolean;
  /** Why it was not run, or what is wrong. */
  readonly notRun?: string;
  readonly problems?: readonly string[];
  readonly rss_slope?: number;
  readonly seconds?: number;
  readonly extra?: Extra;
  /** What went wrong without the protection: there must be something. */
  readonly twin?: { readonly without: readonly string[]; readonly problems: readonly string[] };
}

export function resultOf(row: Row, outcome: Outcome, at: Pick<Result, 'seed' | 'commit' | 'date'>): Result {
  const head = { fault: row.name, number: row.number, title: row.fault, ...at };
  if ('missing' in outcome) return { ...head, passed: true, notRun: outcome.missing };
  const { run, twin } = outcome;
  const passed = run.problems.length === 0 && (twin === undefined || fateOf(twin) === 'failed');
  return {
    ...head,
    passed,
    ...run.figures,
    rss_slope: run.rssSlope,
    seconds: Math.round(run.seconds + (twin?.seconds ?? 0)),
    extra: run.extra,
    problems: run.problems,
    ...(twin === undefined ? {} : { twin: { without: row.without, problems: twin.problems } }),
  };
}

/** One line for people. */
export function formatLine(result: Result): string {
  const { number, fault, passed, notRun, problems, twin } = result;
  const name = `${number.padStart(3)} ${fault.padEnd(18)}`;
  if (notRun !== undefined) return `${name} not run: ${notRun}`;
  const word = passed ? 'ok    ' : 'FAILED';
  const { lost, dup, ooo, silent_s, t_detect_ms, t_converge_p99_ms } = result;
  const figures = `lost ${lost} dup ${dup} ooo ${ooo} silent ${silent_s} s detect ${t_detect_ms} ms converge p99 ${t_converge_p99_ms} ms`;
  const wrong = problems!.length > 0 ? `; ${problems!.join('; ')}` : '';
  const without = twin === undefined ? '' : `; twin: ${twin.problems.join(', ') || 'PASSED, and must not'}`;
  return `${name} ${word} ${figures}${wrong}${without}`;
}
