/** The command: runs rows of the benchmark and says what they found. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { cannotPin, LOAD_CORE, pin } from './cores.ts';
import { playRow } from './play.ts';
import { formatResult, type Result, resultOf } from './report.ts';
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

async function main(): Promise<number> {
  const { only, runs, quick, traces, json, list, help } = readArguments();
  const print = (text: string) => process.stdout.write(`${text}\n`);
  const say = (line: string) => process.stderr.write(`${line}\n`);
  if (help) print(HELP);
  else if (list) for (const { name, title } of rows) print(`${name.padEnd(16)} ${title}`);
  if (help || list) return 0;
  const chosen = choose(only);
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
    const played = await playRow(row, { quick, traces, say, runs: Number(runs ?? (quick ? 2 : 5)) });
    const result = resultOf(row, played);
    results.push(result);
    print(formatResult(result, row.columns));
  }
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(results, null, 1)}\n`);
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
