/** The command: runs rows of the benchmark and says what they found. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import { parseArgs } from 'node:util';
import { cannotPin, LOAD_CORE, pin } from './cores.ts';
import { formatPage } from './page.ts';
import { playRow } from './play.ts';
import { type Circumstances, formatResult, type Result, resultOf } from './report.ts';
import type { Row } from './row.ts';
import { rows } from './rows/index.ts';

const HELP = `npm run bench -- [options]

Measures the gateway beside bare servers and other systems, all in the same hour on the same machine: the server on
one core, the load (and Redis) on another.

  --only A,B       rows by name (all); --list names them
  --runs N         how often each contender runs (5, with --quick 2)
  --quick          small and short: shows that it works, and nothing else
  --traces FILE    recorded traces, for the row that needs them
  --json FILE      all figures of all runs
  --from A,B       such files instead of new runs; of several results of a row the last counts
  --page FILE      also writes the results as a page of Markdown; rows that were not run stay on it as they are
  --list           what there is
  --help           this text

Exit code: 0 if it ran, whatever it found; 2 if it could not run.
`;

function readArguments() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      runs: { type: 'string' },
      quick: { type: 'boolean', default: false },
      traces: { type: 'string' },
      json: { type: 'string' },
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
  return only.split(',').map((wanted) => {
    const found = rows.find(({ name }) => name === wanted);
    if (found === undefined) throw new Error(`--only ${wanted}: no such row; see --list`);
    return found;
  });
}

/** Runs rows one after the other. */
async function playAll(chosen: readonly Row[], values: ReturnType<typeof readArguments>): Promise<Result[]> {
  const { quick, traces } = values;
  const runs = Number(values.runs ?? (quick ? 2 : 5));
  const why = cannotPin();
  if (why !== undefined) say(`processes share cores, and figures mean little: ${why}`);
  pin(process.pid, LOAD_CORE);
  const results: Result[] = [];
  for (const row of chosen) {
    const missing = row.missing?.({ traces });
    if (missing !== undefined) {
      say(`${row.name}: not run: ${missing}`);
      continue;
    }
    const played = await playRow(row, { quick, traces, say, runs });
    const result = resultOf(row, played, { runs: row.once ? 1 : runs, ...circumstances() });
    results.push(result);
    print(formatResult(result, row.columns));
  }
  return results;
}

function readResults(files: string): Result[] {
  const all = files.split(',').flatMap((file) => JSON.parse(readFileSync(file, 'utf8')) as Result[]);
  return [...new Map(all.map((result) => [result.row, result])).values()];
}

/** What is written by hand beside a row's figures. */
function noteOn(row: string): string | undefined {
  const file = new URL(`../../bench/notes/${row}.md`, import.meta.url);
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

function circumstances(): Omit<Circumstances, 'runs'> {
  const { stdout } = spawnSync('git', ['describe', '--always', '--dirty=+'], { encoding: 'utf8' });
  const memory = Math.round(totalmem() / 2 ** 30);
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, ${memory} GB, ${type()} ${/^\d+\.\d+/.exec(release())?.[0]}, Node ${process.versions.node}`;
  return { date: new Date().toISOString().slice(0, 10), commit: stdout?.trim() || 'unknown', machine };
}

const print = (text: string) => process.stdout.write(`${text}\n`);
const say = (line: string) => process.stderr.write(`${line}\n`);

async function main(): Promise<number> {
  const values = readArguments();
  const { only, json, from, page, list, help } = values;
  if (help) print(HELP);
  else if (list) for (const { name, title } of rows) print(`${name.padEnd(16)} ${title}`);
  if (help || list) return 0;
  const chosen = choose(only);
  const results = from === undefined ? await playAll(chosen, values) : readResults(from);
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(results, null, 1)}\n`);
  if (page !== undefined) {
    const before = existsSync(page) ? readFileSync(page, 'utf8') : '';
    writeFileSync(page, formatPage(results, rows, noteOn, before));
  }
  return 0;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130)); // takes all processes along

main().then(
  (code) => process.exit(code),
  (error: Error) => {
    process.stderr.write(`ridecast bench: ${error.message}\n`);
    process.exit(2);
  },
);
