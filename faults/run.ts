/** The command: runs rows of the fault matrix and their twins, one JSON line each. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { formatPage } from './page.ts';
import { playRow } from './play.ts';
import { formatLine, type Result, resultOf } from './report.ts';
import type { Row } from './row.ts';
import { rows } from './rows/index.ts';

const HELP = `npm run faults -- [options]

Breaks real gateways, a real Redis and the network between them, and looks at what real clients are shown.
Every row runs a second time with the protection it is about switched off, and must then fail.

  --only A,B    rows by name or number (all); --list names them
  --quick       fewer clients and shorter stretches
  --slack N     times may be N times as long: for a machine that does other things too (1)
  --no-twins    without the second runs
  --seed N      (1)
  --json        one JSON object a row on stdout, progress on stderr
  --from FILE   the JSON of an earlier run instead of a new one; of several lines of a row the last counts
  --page FILE   also writes the results as a page of Markdown
  --list        what there is
  --help        this text

Exit code: 0 if every row passed and every twin failed; 1 if not; 2 if it could not run.
`;

function readArguments() {
  const { values } = parseArgs({
    allowNegative: true,
    options: {
      only: { type: 'string' },
      quick: { type: 'boolean', default: false },
      slack: { type: 'string', default: '1' },
      twins: { type: 'boolean', default: true },
      seed: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
      from: { type: 'string' },
      page: { type: 'string' },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  return values;
}

function choose(only: string | undefined): readonly Row[] {
  if (only === undefined) return rows;
  return only.split(',').flatMap((wanted) => {
    const found = rows.filter(({ name, number }) => name === wanted || number === wanted);
    if (found.length === 0) throw new Error(`--only ${wanted}: no such row; see --list`);
    return found;
  });
}

/** The commit at hand; with a + if files differ from it. */
function commit(): string {
  const { stdout } = spawnSync('git', ['describe', '--always', '--dirty=+'], { encoding: 'utf8' });
  return stdout?.trim() || 'unknown';
}

async function main(): Promise<number> {
  const values = readArguments();
  if (values.help) return print(HELP);
  if (values.list) return print(listOf(rows));
  const chosen = choose(values.only);
  const results =
    values.from === undefined ? await playAll(chosen, values) : readResults(values.from, chosen);
  if (values.page !== undefined) writeFileSync(values.page, formatPage(results, chosen));
  return results.every(({ passed }) => passed) ? 0 : 1;
}

async function playAll(chosen: readonly Row[], values: ReturnType<typeof readArguments>): Promise<Result[]> {
  const { quick, twins, json } = values;
  const seed = Number(values.seed);
  const at = { seed, commit: commit(), date: new Date().toISOString().slice(0, 10) };
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const results: Result[] = [];
  for (const row of chosen) {
    const outcome = await playRow(row, { seed, quick, twins, slack: Number(values.slack), say });
    const result = resultOf(row, outcome, at);
    results.push(result);
    print(json ? `${JSON.stringify(result)}\n` : `${formatLine(result)}\n`);
  }
  return results;
}

function readResults(file: string, chosen: readonly Row[]): Result[] {
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
  const byName = new Map(
    lines.map((line) => JSON.parse(line) as Result).map((result) => [result.fault, result]),
  );
  return chosen.flatMap(({ name }) => byName.get(name) ?? []);
}

function listOf(all: readonly Row[]): string {
  return all
    .map(({ number, name, fault }) => `${number.padStart(3)}  ${name.padEnd(18)} ${fault}\n`)
    .join('');
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130)); // takes all processes along

main().then(
  (code) => process.exit(code),
  (error: Error) => {
    process.stderr.write(`ridecast faults: ${error.message}\n`);
    process.exit(2);
  },
);
