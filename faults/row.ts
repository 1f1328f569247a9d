/** What a row of the fault matrix is: one exported object in a file of faults/rows. */
import type { Figures } from './judge.ts';
import type { ClientProtection } from './sights.ts';
import type { Stage } from './stage.ts';
import type { SwitchName } from './switches.ts';

/** Off in the gateways, off in the apps, or off by how the row itself runs: `stage.without(name)` says so. */
export type Protection = SwitchName | ClientProtection | (string & {});

/** What a row adds to the judge's figures; they stand in the report beside them. */
export type Extra = Readonly<Record<string, number | string | boolean | null>>;

export interface Row {
  /** Names it on the command line. */
  readonly name: string;
  /** Its number in the matrix. */
  readonly number: string;
  /** The fault, in a few words. */
  readonly fault: string;
  /** What must hold, in words, with the configured times it is held against. */
  readonly pass: string;
  /** What the twin runs without; the same scenario must then fail. */
  readonly without: readonly Protection[];
  /** What the twin's failing proves, in words. */
  readonly twin: string;
  /** Resets each app must be told of, per order; 0 if not given. More are false ones. */
  readonly resets?: number;
  readonly limits: Limits;
  /** Why it cannot run on this machine; undefined: it can. */
  missing?(): string | undefined;
  /** Injects the fault under load. Returns when all that is to be judged has happened. */
  run(stage: Stage): Promise<Extra>;
  /** What is wrong beyond the limits, one phrase each. */
  problems?(figures: Figures, extra: Extra, stage: Stage): string[];
}

/** Nothing may be lost, doubled, out of order, undone and kept, or go back; these are the rest. */
export interface Limits {
  /** ms an app may be wrong without being told, in one stretch. */
  readonly detectMs: number;
  /** ms from the end of the fault until 99 % of the apps are live and right. */
  readonly convergeMs: number;
}

/** Everything that is wrong with a run. None: it passed. */
export function problemsOf(row: Row, figures: Figures, extra: Extra, stage: Stage): string[] {
  const problems: string[] = [];
  for (const name of ['lost', 'dup', 'ooo', 'phantom', 'false_resync', 'regressions', 'outdated'] as const) {
    if (figures[name] > 0) problems.push(`${name} ${figures[name]}`);
  }
  const [detectMs, convergeMs] = [stage.slack * row.limits.detectMs, stage.slack * row.limits.convergeMs];
  if (figures.t_detect_ms > detectMs) problems.push(`wrong and not told for ${figures.t_detect_ms} ms`);
  const { t_converge_p99_ms: converge } = figures;
  if (converge === null) problems.push('never right again');
  else if (converge > convergeMs) problems.push(`right again only after ${converge} ms`);
  return [...problems, ...(row.problems?.(figures, extra, stage) ?? [])];
}
