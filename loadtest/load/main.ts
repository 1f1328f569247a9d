/** The command: reads the options, finds or starts gateways, runs the load, prints and writes the report. */
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { conduct } from './conductor.ts';
import { htmlReport } from './html.ts';
import { helpText, type Options, OptionsError, readOptions } from './options.ts';
import { formatReport } from './print.ts';
import { foreignSite, makePlan, ownSite, processesFor } from './site.ts';

/** To stderr, because stdout is the report's. In a terminal a passing line is written over by the next. */
function say(line: string, passing = false): void {
  const { isTTY, columns } = process.stderr;
  const short = passing && columns > 0 ? line.slice(0, columns - 1) : line;
  process.stderr.write(isTTY ? `\r\x1b[K${short}${passing ? '' : '\n'}` : `${line}\n`);
}

/** Signals this close together are one, s. */
const SAME_SIGNAL_S = 0.5;
let abortedAt = 0;

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2), process.env);
  if (options.help) {
    process.stdout.write(helpText());
    return 0;
  }
  mustBeWritable(options);
  const enough = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stopEarly(enough));
  const site =
    options.url.length > 0 ? foreignSite(options, process.env.AUTH_SECRET) : await ownSite(options);
  try {
    const plan = makePlan(options, site);
    const report = await conduct({
      plan,
      processes: processesFor(plan, options.processes),
      pids: site.pids,
      options: shown(options),
      progress: say,
      enough: enough.signal,
    });
    const { json, html } = options;
    if (json !== undefined && json !== '-') writeFileSync(json, `${JSON.stringify(report)}\n`);
    if (html !== undefined) writeFileSync(html, htmlReport(report));
    process.stdout.write(json === '-' ? `${JSON.stringify(report)}\n` : `\n${formatReport(report)}\n`);
    return report.shortfalls.length > 0 ? 1 : 0;
  } finally {
    await site.stop();
  }
}

/** Better now than after an hour. @throws OptionsError naming the files that cannot be written */
function mustBeWritable(options: Options): void {
  const problems: string[] = [];
  for (const name of ['json', 'html'] as const) {
    const file = options[name];
    if (file === undefined || (name === 'json' && file === '-')) continue;
    try {
      closeSync(openSync(file, 'a'));
    } catch (error) {
      problems.push(`--${name} ${file}: expected a file that can be written (${(error as Error).message})`);
    }
  }
  if (problems.length > 0) throw new OptionsError(problems);
}

/** The options as the report may show them: no secrets. */
function shown(options: Options): Record<string, unknown> {
  const env = Object.entries(options.env).filter(([name]) => !/SECRET|URL/.test(name));
  return { ...options, env: Object.fromEntries(env) };
}

/** The first time: report what there is. The second: go. */
function stopEarly(enough: AbortController): void {
  if (enough.signal.aborted) {
    // Some shells pass one Ctrl-C on twice; a second one by a person means: at once.
    if (process.uptime() - abortedAt > SAME_SIGNAL_S) process.exit(130); // takes the processes along
    return;
  }
  abortedAt = process.uptime();
  say('ending early …');
  enough.abort();
}

main().then(
  (code) => process.exit(code),
  (error: Error) => {
    const hint = error instanceof OptionsError ? '\nsee --help' : '';
    process.stderr.write(`ridecast loadtest: ${error.message}${hint}\n`);
    process.exit(2);
  },
);
