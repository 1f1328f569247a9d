/** Runs a row: all its contenders in turn, and that several times, so that each meets the same hours of the machine. */
import { Loader } from './loader.ts';
import type { Contender, Line, Row, Run } from './row.ts';

export interface PlayOptions {
  readonly quick: boolean;
  readonly runs: number;
  readonly traces: string | undefined;
  readonly say: (line: string) => void;
}

/** All runs of one line of a contender, in the order they were made; null: that run failed. */
export interface Series {
  readonly contender: string;
  readonly at: string;
  readonly lines: readonly (Line | null)[];
}

export interface Played {
  readonly series: readonly Series[];
  /** Why contenders were not run. */
  readonly notRun: Readonly<Record<string, string>>;
  readonly seconds: number;
}

/** Whose turn it is: A B C A B C …, not A A B B C C. */
export function turns<T>(contenders: readonly T[], runs: number): [contender: T, run: number][] {
  return Array.from({ length: runs }, (_, run) => run).flatMap((run) =>
    contenders.map((contender): [T, number] => [contender, run]),
  );
}

export async function playRow(row: Row, options: PlayOptions): Promise<Played> {
  const startedAt = performance.now();
  const runs = row.once ? 1 : options.runs;
  const notRun: Record<string, string> = {};
  const memo = new Map<string, number>();
  for (const contender of row.contenders) {
    const why = contender.missing?.();
    if (why !== undefined) notRun[contender.name] = why;
  }
  const able = row.contenders.filter(({ name }) => notRun[name] === undefined);
  const found: { contender: string; run: number; lines: readonly Line[] }[] = [];
  for (const [contender, run] of turns(able, runs)) {
    options.say(`${row.name}: ${contender.name}, run ${run + 1} of ${runs}`);
    const lines = await tryRun(contender, { ...options, memo }, options.say);
    found.push({ contender: contender.name, run, lines });
  }
  return { series: seriesOf(found, runs), notRun, seconds: (performance.now() - startedAt) / 1000 };
}

/** A system that breaks under its load is a finding, not the end of all. */
async function tryRun(
  contender: Contender,
  given: Omit<Run, 'loader'>,
  say: (line: string) => void,
): Promise<readonly Line[]> {
  const loader = new Loader();
  try {
    return await contender.run({ ...given, loader });
  } catch (error) {
    say(`  ${contender.name} failed: ${(error as Error).message}`);
    return [];
  } finally {
    await loader.end();
  }
}

function seriesOf(
  found: readonly { contender: string; run: number; lines: readonly Line[] }[],
  runs: number,
): Series[] {
  const byLine = new Map<string, { contender: string; at: string; lines: (Line | null)[] }>();
  for (const { contender, run, lines } of found) {
    for (const line of lines) {
      const key = `${contender}\n${line.at}`;
      let series = byLine.get(key);
      if (series === undefined) {
        series = { contender, at: line.at, lines: Array.from({ length: runs }, () => null) };
        byLine.set(key, series);
      }
      series.lines[run] = line;
    }
  }
  return [...byLine.values()];
}
