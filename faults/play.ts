/** Plays one row: as it is, and once more without its protection. */
import type { Figures } from './judge.ts';
import { type Extra, problemsOf, type Row } from './row.ts';
import { Stage } from './stage.ts';

export interface Playing {
  readonly seed: number;
  readonly quick: boolean;
  readonly twins: boolean;
  /** Times may be so many times as long. */
  readonly slack: number;
  readonly say: (line: string) => void;
}

/** How one run of a row went. Without figures it broke before it could be judged. */
export interface Played {
  readonly figures?: Figures;
  readonly rssSlope: number;
  readonly extra: Extra;
  readonly seconds: number;
  /** Empty: it passed. */
  readonly problems: readonly string[];
}

export type Outcome = { readonly missing: string } | { readonly run: Played; readonly twin?: Played };

/** ms after which a row is broken off. */
const LONGEST_MS = 600_000;

export async function playRow(row: Row, { seed, quick, twins, slack, say }: Playing): Promise<Outcome> {
  const missing = row.missing?.();
  if (missing !== undefined) {
    say(`${row.number} ${row.name}: not run: ${missing}`);
    return { missing };
  }
  say(`${row.number} ${row.name}: ${row.fault}`);
  const run = await play(row, new Stage({ seed, quick, slack, without: [] }));
  say(`  ${run.problems.length === 0 ? 'passed' : `FAILED: ${run.problems.join('; ')}`} (${run.seconds} s)`);
  if (!twins || row.without.length === 0) return { run };
  const twin = await play(row, new Stage({ seed, quick, slack, without: row.without }));
  const said = { broken: 'TWIN BROKE OFF', passed: 'TWIN PASSED', failed: 'twin failed, as it must' }[
    fateOf(twin)
  ];
  say(`  ${said}: ${twin.problems.join('; ') || 'nothing was wrong'} (${twin.seconds} s)`);
  return { run, twin };
}

/** A twin that broke off proves as little as one that passed. */
export function fateOf({ figures, problems }: Played): 'broken' | 'passed' | 'failed' {
  if (figures === undefined) return 'broken';
  return problems.length === 0 ? 'passed' : 'failed';
}

async function play(row: Row, stage: Stage): Promise<Played> {
  const startedAt = performance.now();
  const seconds = () => Math.round((performance.now() - startedAt) / 100) / 10;
  let late: NodeJS.Timeout | undefined;
  try {
    const tooLong = new Promise<never>((_, reject) => {
      late = setTimeout(() => reject(new Error(`not over in ${LONGEST_MS / 1000} s`)), LONGEST_MS);
    });
    const extra = await Promise.race([row.run(stage), tooLong]);
    const figures = await stage.judge(row.resets ?? 0);
    const problems = problemsOf(row, figures, extra, stage);
    return { figures, extra, rssSlope: stage.rssSlope(), seconds: seconds(), problems };
  } catch (error) {
    const problems = [`broke off: ${(error as Error).message.replace(/\s*\n\s*/g, ' | ').slice(0, 400)}`];
    return { extra: {}, rssSlope: 0, seconds: seconds(), problems };
  } finally {
    clearTimeout(late);
    await stage.clear();
  }
}
