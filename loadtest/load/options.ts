/** The options of `npm run loadtest`: one table that reads them, explains them, and says all that is wrong at once. */
import { parseArgs } from 'node:util';
import { clientCodecs } from '../connection.ts';
import { type Plan, ROLES, type Role } from './plan.ts';

/** Says everything that is wrong with the options, one line each. */
export class OptionsError extends Error {
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(`the options cannot be used:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.problems = problems;
  }
}

interface Option<T> {
  /** What the value looks like, in the help. */
  readonly value: string;
  readonly meaning: string;
  readonly initial: string | undefined;
  /** @throws Error saying what was expected */
  readonly read: (text: string) => T;
}

function expect(ok: boolean, expected: string): void {
  if (!ok) throw new Error(`expected ${expected}`);
}

const number = (text: string) => (text.trim() === '' ? Number.NaN : Number(text));

const whole = (initial: number, min: number, max: number, meaning: string): Option<number> => ({
  value: 'N',
  meaning,
  initial: String(initial),
  read(text) {
    const n = number(text);
    expect(Number.isInteger(n) && n >= min && n <= max, `a whole number from ${min} to ${max}`);
    return n;
  },
});

const decimal = (
  value: string,
  initial: number,
  min: number,
  max: number,
  meaning: string,
): Option<number> => ({
  value,
  meaning,
  initial: String(initial),
  read(text) {
    const n = number(text);
    expect(n >= min && n <= max, `a number from ${min} to ${max}`);
    return n;
  },
});

const share = (meaning: string) => decimal('SHARE', 0, 0, 1, meaning);

const file = (meaning: string): Option<string | undefined> => ({
  value: 'FILE',
  meaning,
  initial: undefined,
  read(text) {
    expect(text !== '' && !text.startsWith('--'), 'the name of a file');
    return text;
  },
});

const text = <T>(value: string, initial: string, meaning: string, read: (text: string) => T): Option<T> => ({
  value,
  meaning,
  initial,
  read,
});

function urls(list: string): string[] {
  const found = list
    .split(',')
    .map((url) => url.trim().replace(/\/+$/, ''))
    .filter(Boolean);
  expect(
    found.every((url) => /^https?:$/.test(URL.canParse(url) ? new URL(url).protocol : '')),
    'http://host:port, or several with commas between',
  );
  return found;
}

function drops(spec: string): Plan['drops'] {
  if (spec === '') return undefined;
  const match = /^([\d.]+)x([\d.]+)\/([\d.]+)$/.exec(spec);
  const [share, off, on] = (match ?? []).slice(1).map(Number);
  expect(
    match !== null && share! <= 1 && off! > 0 && on! > 0,
    'SHARExOFF/ON, seconds off and on, such as 0.3x5/20',
  );
  return { share: share!, offMs: off! * 1000, onMs: on! * 1000 };
}

function center(spec: string): Plan['center'] {
  const [lat, lng] = spec.split(',').map(number);
  expect(Math.abs(lat!) <= 80 && Math.abs(lng!) <= 179, 'LAT,LNG in degrees, such as 52.52,13.40');
  return { lat: lat!, lng: lng! };
}

function processes(spec: string): Partial<Record<Role, number>> {
  const found: Partial<Record<Role, number>> = {};
  for (const part of spec.split(',').filter(Boolean)) {
    const [role, count] = part.split('=');
    expect(
      ROLES.includes(role as Role) && /^[1-9]\d?$/.test(count ?? ''),
      `ROLE=N with a role of ${ROLES.join(', ')} and N from 1 to 99, such as customers=2,operators=4`,
    );
    found[role as Role] = Number(count);
  }
  return found;
}

function codec(name: string): Plan['codec'] {
  expect(Object.hasOwn(clientCodecs, name), Object.keys(clientCodecs).join(' or '));
  return name as Plan['codec'];
}

// biome-ignore format: a table
const TABLE = {
  url: text('URL', '', 'gateways that run already, with commas between; needs AUTH_SECRET or --tokens (none: starts its own)', urls),
  tokens: file('tokens instead of AUTH_SECRET: lines of {"role","sub","token"}, one of role service'),
  zones: text('A,B', '', 'with --url: its zones, for --operators and --zone-watchers', (list) => list.split(',').map((zone) => zone.trim()).filter(Boolean)),
  nodes: whole(1, 1, 16, 'gateways to start; more than one share a redis-server, which is started too'),

  riders: whole(100, 1, 1_000_000, 'riders, each with an order of its own'),
  hz: decimal('HZ', 1, 0.01, 100, 'pings a second of each rider'),
  'customers-per-order': whole(1, 0, 1000, 'sockets that watch each order'),
  partners: whole(2, 0, 100_000, 'dashboards; the orders are dealt out among them'),
  operators: whole(2, 0, 100_000, 'sockets that watch every zone'),
  'zone-watchers': whole(0, 0, 1_000_000, 'sockets that watch one zone each'),
  ramp: decimal('S', 5, 0, 3600, 'seconds over which all of them join'),
  seconds: decimal('S', 30, 1, 86_400, 'seconds measured after that'),

  churn: decimal('SHARE', 0, 0, 60, 'share of the watchers that leave and come back, per minute'),
  slow: share('share of the watchers that read 1 kB/s'),
  dead: share('share of the watchers that stop reading, and never close'),
  drops: text('SPEC', '', 'networks that come and go: 0.3x5/20 is 30 % of riders and customers, 5 s off, 20 s on', drops),

  traces: file('recorded traces for the riders to drive along: see npm run replay (a synthetic city)'),
  center: text('LAT,LNG', '52.52,13.40', 'where the synthetic city is', center),
  seed: whole(1, 0, 2 ** 31, 'another number, another course of chance; the same, the same'),
  codec: text('NAME', 'json', 'json or msgpack', codec),
  tick: whole(250, 10, 10_000, "the gateway's GROUP_TICK_MS; one that is started gets it"),
  processes: text('ROLE=N', '', 'processes of the generator, such as customers=2,operators=4 (as the load needs)', processes),

  json: file('write the report as JSON; - is stdout'),
  html: file('write the report as one HTML page with charts'),
} satisfies Record<string, Option<unknown>>;

const FLAGS = {
  redis: 'start a redis-server for one node too',
  help: 'this text',
} as const;

// biome-ignore format: a table
const LISTS = {
  env: { value: 'KEY=VALUE', meaning: 'configuration of the gateways that are started; may be repeated' },
  pid: { value: 'NAME=PID', meaning: 'with --url: a process of this machine whose CPU and memory to measure; may be repeated' },
} as const;

type Table = { [K in keyof typeof TABLE]: ReturnType<(typeof TABLE)[K]['read']> };
export type Options = Table & {
  redis: boolean;
  help: boolean;
  env: Record<string, string>;
  pid: Record<string, number>;
};

const EXAMPLES = `npm run loadtest                                            a small run, to see what it does
npm run loadtest -- --riders 1000 --seconds 60 --html load.html
npm run loadtest -- --nodes 2 --riders 2000 --customers-per-order 2 --drops 0.2x5/30 --churn 0.5
npm run loadtest -- --riders 500 --customers-per-order 0 --partners 0 --operators 1000 --processes operators=2
AUTH_SECRET=… npm run loadtest -- --url http://10.0.0.7:8080 --zones mitte,pankow --json load.json`;

export function helpText(): string {
  const line = (name: string, value: string, meaning: string, initial?: string) =>
    `  ${`--${name} ${value}`.padEnd(28)}${meaning}${initial ? ` (${initial})` : ''}`;
  return [
    'npm run loadtest -- [options]',
    '',
    'Riders ping, and customers, partners and operators watch, each kind in processes of its own; reports how late and how old',
    'positions are, whether any were lost, and what that cost. It needs nothing: it starts a gateway unless --url names one.',
    '',
    ...Object.entries(TABLE).map(([name, { value, meaning, initial }]) =>
      line(name, value, meaning, initial),
    ),
    ...Object.entries(LISTS).map(([name, { value, meaning }]) => line(name, value, meaning)),
    ...Object.entries(FLAGS).map(([name, meaning]) => line(name, '', meaning)),
    '',
    'Ctrl-C ends the run early and reports; twice ends it at once.',
    '',
    EXAMPLES,
    '',
    'Exit code: 0 if all went well; 1 if something was lost, went back, came twice, or was cut off; 2 if it could not be run.',
    'docs/loadtest.md explains every number.',
    '',
  ].join('\n');
}

/** @throws OptionsError naming every option that is wrong and what was expected */
export function readOptions(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Options {
  const problems: string[] = [];
  const given = tokenize(args, problems);
  const options: Record<string, unknown> = {};
  for (const [name, option] of Object.entries(TABLE)) {
    const value = given.one.get(name) ?? option.initial;
    if (value === undefined) continue;
    try {
      options[name] = option.read(value);
    } catch (error) {
      problems.push(`--${name} ${value}: ${(error as Error).message}`);
    }
  }
  for (const name of Object.keys(FLAGS)) options[name] = given.flags.has(name);
  options.env = pairs('env', given.many.get('env') ?? [], /^[A-Z][A-Z0-9_]*$/, (value) => value, problems);
  const pid = (value: string) => (/^[1-9]\d*$/.test(value) ? Number(value) : undefined);
  options.pid = pairs('pid', given.many.get('pid') ?? [], /^[\w-]+$/, pid, problems);
  if (options.help === true) return options as unknown as Options;
  const named = new Set([...given.one.keys(), ...given.many.keys(), ...given.flags]);
  problems.push(...contradictions(options as unknown as Options, named, env));
  if (problems.length > 0) throw new OptionsError(problems);
  return options as unknown as Options;
}

interface Given {
  readonly one: Map<string, string>;
  readonly many: Map<string, string[]>;
  readonly flags: Set<string>;
}

function tokenize(args: readonly string[], problems: string[]): Given {
  const takesValue = [...Object.keys(TABLE), ...Object.keys(LISTS)];
  const { tokens } = parseArgs({
    args: [...args],
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: Object.fromEntries([
      ...takesValue.map((name) => [name, { type: 'string' as const }]),
      ...Object.keys(FLAGS).map((name) => [name, { type: 'boolean' as const }]),
    ]),
  });
  const given: Given = { one: new Map(), many: new Map(), flags: new Set() };
  for (const token of tokens) {
    if (token.kind === 'positional')
      problems.push(`${token.value}: expected an option, which begins with --`);
    if (token.kind !== 'option') continue;
    const { name, value, rawName } = token;
    if (Object.hasOwn(FLAGS, name)) {
      if (value === undefined) given.flags.add(name);
      else problems.push(`${rawName}=${value}: expected no value`);
    } else if (!takesValue.includes(name)) problems.push(`${rawName}: there is no such option${like(name)}`);
    else if (value === undefined) problems.push(`${rawName}: expected a value`);
    else if (Object.hasOwn(LISTS, name)) given.many.set(name, [...(given.many.get(name) ?? []), value]);
    else given.one.set(name, value);
  }
  return given;
}

/** `; did you mean --x?`, if there is an option that begins alike. */
function like(name: string): string {
  const all = [...Object.keys(TABLE), ...Object.keys(LISTS), ...Object.keys(FLAGS)];
  const near = all.find((known) => known.startsWith(name.slice(0, 3)) || name.startsWith(known));
  return name.length >= 2 && near !== undefined ? `; did you mean --${near}?` : '; see --help';
}

function pairs<T>(
  option: string,
  list: readonly string[],
  key: RegExp,
  read: (value: string) => T | undefined,
  problems: string[],
): Record<string, T> {
  const found: Record<string, T> = {};
  for (const pair of list) {
    const cut = pair.indexOf('=');
    const value = cut < 1 ? undefined : read(pair.slice(cut + 1));
    if (value === undefined || !key.test(pair.slice(0, cut)))
      problems.push(`--${option} ${pair}: expected ${LISTS[option as keyof typeof LISTS].value}`);
    else found[pair.slice(0, cut)] = value;
  }
  return found;
}

/** What no single option can see. */
function contradictions(
  options: Options,
  given: ReadonlySet<string>,
  env: Readonly<Record<string, string | undefined>>,
): string[] {
  const problems: string[] = [];
  const foreign = given.has('url');
  for (const name of foreign ? ['nodes', 'redis', 'env'] : ['zones', 'pid', 'tokens']) {
    if (!given.has(name)) continue;
    problems.push(
      foreign ? `--${name}: expected no --url, or no --${name}` : `--${name}: expected --url with it`,
    );
  }
  if (foreign && options.tokens === undefined && !env.AUTH_SECRET)
    problems.push('--url: expected AUTH_SECRET of that gateway in the environment, or --tokens FILE');
  for (const name of ['operators', 'zone-watchers'] as const) {
    if (foreign && options.zones?.length === 0 && given.has(name) && options[name] > 0)
      problems.push(`--${name} ${options[name]}: expected --zones with --url, to know what to watch`);
  }
  if (options.slow + options.dead > 1) problems.push('--slow and --dead: expected at most 1 together');
  if (given.has('traces') && given.has('center'))
    problems.push('--center: expected no --traces, or no --center');
  return problems;
}
