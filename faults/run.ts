/** The command: runs rows of the fault matrix and their twins, one JSON line each. */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { playRow } from './play.ts';
import { formatLine, type Result, resultOf } from './report.ts';
import type { Row } from './row.ts';
import { rows } from './rows/index.ts';

const HELP = `npm run faults -- [options]

Breaks real gateways, a real Redis and the network between them, and looks at what real clients are shown.
Every row runs a second time with the protection it is about switched off, and must then fail.

  --only A,B    rows by name or number (all); --list names them
  --quick       fewer clients and shorter stretches
  --no-twins    without the second runs
  --seed N      (1)
  --json        one JSON object a row on stdout, progress on stderr
  --markdown F  also writes the table to that file
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
      twins: { type: 'boolean', default: true },
      seed: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
      markdown: { type: 'string' },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  return values;
}

function chosen(only: string | undefined): readonly Row[] {
  if (only === undefined) return rows;
  return only.split(',').flatMap((wanted) => {
    const found = rows.filter(({ name, number }) => name === wanted || number === wanted);
    if (found.length === 0) throw new Error(`--only ${wanted}: no such row; see --list`);
    return found;
  });
}

function commit(): string {
  const { stdout } = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' });
  return stdout?.trim() || 'unknown';
}

async function main(): Promise<number> {
  const values = readArguments();
  if (values.help) return print(HELP);
  if (values.list) return print(rows.map(({ number, name, fault }) => `${number.padStart(3)}  ${name.padEnd(18)} ${fault}\n`).join('')); // biome-ignore format: short
  const { quick, twins, json } = values;
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const at = commit();
  const results: Result[] = [];
  for (const row of chosen(values.only)) {
    const played = await playRow(row, { seed: Number(values.seed), quick, twins, say });
    const result = resultOf(row, played, { seed: Number(values.seed), commit: at });
    results.push(result);
    process.stdout.write(json ? `${JSON.stringify(result)}\n` : `${formatLine(result)}\n`);
  }
  return results.every(({ passed }) => passed) ? 0 : 1;
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
