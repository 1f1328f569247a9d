import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { citySquare } from '../loadtest/load/motion.ts';
import { helpText, type OptionsError, readOptions } from '../loadtest/load/options.ts';
import { dueMs, endMs, firstSeq, joinMs, type Plan } from '../loadtest/load/plan.ts';
import { recalling } from '../loadtest/load/recall.ts';
import { type LoadReport, shortfallsOf } from '../loadtest/load/report.ts';
import { isSaturated, spoils } from '../loadtest/load/saturation.ts';
import { SelfMeter } from '../loadtest/load/self.ts';
import { foreignSite, makePlan, processesFor } from '../loadtest/load/site.ts';
import { Durations, LaneTally } from '../loadtest/load/tally.ts';
import { View } from '../loadtest/load/view.ts';
import { zonesOver } from '../loadtest/traces.ts';
import type { Backbone } from '../src/backbone/backbone.ts';
import { memoryBackbone } from '../src/backbone/memory.ts';
import { decodeBus } from '../src/protocol/bus-messages.ts';
import { jsonCodec } from '../src/protocol/codec.ts';
import type { Block } from '../src/protocol/messages.ts';
import { startChromium } from './support/browser.ts';
import { SECRET, testGateway, token } from './support/gateway.ts';

const main = new URL('../dist/loadtest/load/main.js', import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'ridecast-loadtest-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string) => join(folder, name);
const url = 'http://127.0.0.1:1';

const words = (line: string) => line.split(' ').filter(Boolean);
const planOf = (line: string): Plan => {
  const all = readOptions(words(`--url ${url} --zones z1 ${line}`), { AUTH_SECRET: SECRET });
  return makePlan(all, foreignSite(all, SECRET));
};

/** Every ping that is due in a run: [rider, seq]. */
function pingsOf(plan: Plan): [rider: number, seq: number][] {
  const pings: [number, number][] = [];
  for (let rider = 0; rider < plan.riders; rider++) {
    let seq = firstSeq(plan, rider, joinMs(plan, 'riders', rider));
    for (; dueMs(plan, rider, seq) < endMs(plan); seq++) pings.push([rider, seq]);
  }
  return pings;
}

/** The command, running: what it says, and how it ends. */
class Command {
  output = '';
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  private wake = () => {};

  constructor(line: string, env: Record<string, string> = { AUTH_SECRET: SECRET }) {
    this.child = spawn(process.execPath, [main, ...words(line)], { env: { PATH: process.env.PATH, ...env } });
    for (const stream of [this.child.stdout!, this.child.stderr!])
      stream.on('data', (chunk: Buffer) => {
        this.output += chunk;
        this.wake();
      });
    this.ended = once(this.child, 'close').then(([code]) => code as number | null);
  }

  /** Resolves with what it has said once that matches. */
  async says(words: RegExp): Promise<void> {
    while (!words.test(this.output)) {
      const more = new Promise<void>((resolve) => {
        this.wake = resolve;
      });
      const ended = this.ended.then(() => {
        if (!words.test(this.output)) throw new Error(`it ended without saying ${words}:\n${this.output}`);
      });
      await Promise.race([more, ended]);
    }
  }
}

const reportIn = (name: string): LoadReport => JSON.parse(readFileSync(file(name), 'utf8'));

describe('a load test', () => {
  let report: LoadReport;
  let plan: Plan;
  let output: string;

  beforeAll(async () => {
    const zones = zonesOver([citySquare({ lat: 52.52, lng: 13.4 })], 1);
    writeFileSync(file('zones.geojson'), zones.geojson);
    const gateway = await testGateway({ ZONES_FILE: file('zones.geojson') });
    const load = '--riders 20 --customers-per-order 2 --seconds 4 --ramp 1';
    plan = planOf(load);
    try {
      const out = `--json ${file('small.json')} --html ${file('small.html')}`;
      const command = new Command(
        `--url ${gateway.url} --zones z1 --pid gateway=${process.pid} ${load} ${out}`,
      );
      expect([await command.ended, command.output]).toEqual([0, expect.any(String)]);
      output = command.output;
      report = reportIn('small.json');
    } finally {
      await gateway.stop();
    }
  });

  it('sends every ping that is due, and all are acknowledged', () => {
    const sent = pingsOf(plan).length;
    expect(sent).toBeGreaterThan(80);
    expect(report.pings).toMatchObject({
      sent,
      acknowledged: sent,
      resent: 0,
      refused: {},
      givenUp: 0,
      unsent: 0,
    });
  });

  it('shows each ping once to everybody who watches', () => {
    const sent = pingsOf(plan).length;
    const faultless = { lost: 0, regressions: 0, duplicates: 0, blind: 0 };
    expect(report.lanes.order).toMatchObject({ ...faultless, shown: 2 * sent });
    expect(report.lanes.partner).toMatchObject({
      ...faultless,
      shown: sent - report.lanes.partner!.overtaken,
    });
    expect(report.lanes.zone).toMatchObject(faultless);
    expect(report.lanes.zone!.shown).toBeGreaterThan(sent);
    expect(report.lanes.slow).toBeUndefined();
  });

  it('counts sockets, orders and their ends', () => {
    const { wanted, connects, reconnects, failed, closes, deniedWatches } = report.sockets;
    expect(wanted).toEqual({ riders: 20, customers: 40, partners: 2, operators: 2 });
    expect({ connects, reconnects, failed, closes, deniedWatches }).toEqual({
      connects: 64,
      reconnects: 0,
      failed: 0,
      closes: {},
      deniedWatches: 0,
    });
    expect(report.sockets.missing).toBe(0);
    expect(report.orders).toEqual({ given: 20, ended: 20, watchersTold: 40 });
  });

  it('measures times, bytes, CPU and memory', () => {
    for (const lane of Object.values(report.lanes)) {
      expect(lane.latencyMs!.p50).toBeGreaterThan(0);
      expect(lane.latencyMs!.max).toBeGreaterThanOrEqual(lane.latencyMs!.p99);
      expect(lane.ageMs!.max).toBeGreaterThanOrEqual(lane.ageMs!.p50);
      expect(lane.bytesPerPosition).toBeGreaterThan(10);
    }
    expect(report.processes.gateway!.cpuSeconds).toBeGreaterThan(0);
    expect(report.processes.gateway!.rssMaxBytes).toBeGreaterThan(2 ** 20);
    expect(report.generator.crews.map(({ name }) => name).sort()).toEqual([
      'customers-1',
      'operators-1',
      'partners-1',
      'riders-1',
    ]);
    expect(report.measuredSeconds).toBe(4);
  });

  it('has a column of every number, second by second', () => {
    expect(report.series.second).toEqual([1, 2, 3, 4, 5]);
    for (const name of [
      'sent',
      'open',
      'order.shown',
      'order.ageP99',
      'zone.latencyP50',
      'cpu.gateway',
      'generatorCpu.riders-1',
      'order.lost',
    ]) {
      expect([name, report.series[name]]).toEqual([name, expect.arrayContaining([expect.any(Number)])]);
      expect(report.series[name]).toHaveLength(5);
    }
    const sum = (column: readonly (number | null)[]) => column.reduce<number>((all, n) => all + (n ?? 0), 0);
    expect(sum(report.series.sent!)).toBe(report.pings.sent);
  });

  it('names what should not have happened, and nothing if all went well', () => {
    expect(report.shortfalls).toEqual([]);
    const { lanes, pings, sockets, orders } = report;
    const bad = {
      ...report,
      lanes: {
        order: { ...lanes.order!, lost: 1, regressions: 2 },
        zone: { ...lanes.zone!, lost: 3, blind: 1 },
      },
      pings: { ...pings, acknowledged: pings.sent - 4, unsent: 5 },
      sockets: { ...sockets, missing: 6, deniedWatches: 7 },
      orders: { ...orders, ended: orders.given - 8 },
    };
    expect(shortfallsOf(bad)).toEqual([
      '4 positions lost',
      '2 positions gone back',
      '1 riders never seen by a watcher',
      '4 pings not acknowledged',
      '5 pings not sent for want of a socket',
      '6 sockets not open at the end',
      '7 watches refused',
      '8 orders that could not be ended',
    ]);
  });

  it('keeps secrets out of what it writes', () => {
    const written =
      readFileSync(file('small.json'), 'utf8') + readFileSync(file('small.html'), 'utf8') + output;
    expect(written).not.toContain(SECRET);
    expect(written).not.toContain('eyJ');
  });

  it('prints a line a second, and a table', () => {
    expect(output).toMatch(/run {2}4 of 5 s: 64 sockets, \d+ pings\/s, \d+ shown\/s, p99 [\d.]+ ms/);
    expect(output).toContain(`pings         ${report.pings.sent} sent, ${report.pings.sent} acknowledged\n`);
    expect(output).toMatch(/orders +\d+ positions shown in \d+ frames, [\d.]+ bytes each/);
  });

  it.each(['light', 'dark'] as const)(
    'draws itself in a browser that is %s and knows no network',
    async (colorScheme) => {
      const browser = await startChromium();
      try {
        const page = await browser.newPage({ colorScheme });
        const asked: string[] = [];
        const failed: unknown[] = [];
        page.on('request', (request) => asked.push(request.url()));
        page.on('pageerror', (error) => failed.push(error));
        const address = pathToFileURL(file('small.html')).href;
        await page.goto(address);
        const charts = await page.$$eval('#charts article', (articles) =>
          articles.map((article) => ({
            title: article.querySelector('h2')!.textContent!,
            points: [...article.querySelectorAll('.curve')].map(
              (curve) => curve.getAttribute('points')!.split(' ').length,
            ),
            axes: [...article.querySelectorAll('.axis')].map((axis) => axis.textContent!),
            labels: article.querySelectorAll('text.y').length,
          })),
        );
        expect(charts.map(({ title }) => title)).toEqual(
          expect.arrayContaining([
            'Age of the positions shown',
            'Ping to watcher',
            'Positions shown',
            'CPU of gateways and Redis',
            'Memory of gateways and Redis',
          ]),
        );
        for (const { points, axes, labels } of charts) {
          expect(points.length).toBeGreaterThan(0);
          expect(Math.min(...points)).toBeGreaterThanOrEqual(2);
          expect(axes).toEqual(['seconds', expect.stringMatching(/./)]);
          expect(labels).toBeGreaterThan(2);
        }
        await page.hover('#charts svg');
        expect(await page.locator('#charts article .legend b').count()).toBeGreaterThan(0);
        expect(await page.locator('#tables table').first().textContent()).toContain(
          `orders${2 * report.pings.sent}`,
        );
        const back = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        const [red] = back.match(/\d+/)!;
        expect(Number(red) > 128).toBe(colorScheme === 'light');
        expect([asked, failed]).toEqual([[address], []]);
      } finally {
        await browser.close();
      }
    },
  );
});

/** A backbone that swallows every tenth position on its way to who watches the order. */
function leaky(): Backbone {
  const backbone = memoryBackbone();
  const publish = backbone.bus.publish.bind(backbone.bus);
  backbone.bus.publish = async (channel, payload) => {
    if (channel.startsWith('order:')) {
      const message = decodeBus(payload);
      if (message.kind === 'position' && message.position[2] % 10 === 0) return 1;
    }
    return publish(channel, payload);
  };
  return backbone;
}

describe('a load test that does not go well', () => {
  it('counts every position that a gateway loses, and ends with 1', async () => {
    const gateway = await testGateway({}, { backbone: leaky() });
    const load = '--riders 10 --hz 2 --seconds 6 --ramp 0.5';
    try {
      const command = new Command(`--url ${gateway.url} ${load} --json ${file('leaky.json')}`);
      expect([await command.ended, command.output]).toEqual([1, expect.any(String)]);
      const lost = pingsOf(planOf(load)).filter(([, seq]) => seq % 10 === 0).length;
      expect(lost).toBe(10);
      const { lanes, pings, series } = reportIn('leaky.json');
      expect(lanes.order).toMatchObject({ lost, shown: pings.sent - lost, regressions: 0, duplicates: 0 });
      expect(lanes.partner).toMatchObject({ lost: 0 });
      expect(Math.max(...series['order.lost']!.map(Number))).toBeGreaterThan(0);
      expect(command.output).toContain('NOT WELL: 10 positions lost\n');
    } finally {
      await gateway.stop();
    }
  });

  it('says that it was the limit if its processes could not keep up', async () => {
    const gateway = await testGateway();
    try {
      const load = '--riders 10 --seconds 3 --ramp 0 --partners 0';
      const command = new Command(`--url ${gateway.url} ${load} --json ${file('late.json')}`);
      await command.says(/run {2}2 of 3 s/);
      const crews = execFileSync('pgrep', ['-P', String(command.child.pid)])
        .toString()
        .trim()
        .split('\n')
        .map(Number);
      expect(crews).toHaveLength(2);
      for (const pid of crews) process.kill(pid, 'SIGSTOP');
      await new Promise((resolve) => setTimeout(resolve, 300)); // what they sleep through
      for (const pid of crews) process.kill(pid, 'SIGCONT');
      await command.ended;
      expect(command.output).toContain('THE GENERATOR WAS THE LIMIT');
      expect(reportIn('late.json').generator.saturated).toBe(true);
      expect(
        reportIn('late.json').generator.crews.map(({ saturatedSeconds }) => saturatedSeconds > 0),
      ).toEqual([true, true]);
    } finally {
      await gateway.stop();
    }
  });

  it('reads tokens from a file, and says which are missing', async () => {
    const gateway = await testGateway();
    try {
      const badges = await Promise.all(
        (['service', 'rider', 'rider', 'customer', 'partner'] as const).map(async (role, i) => {
          const sub = `${role}-${i}`;
          return JSON.stringify({ role, sub, token: await token(role, sub) });
        }),
      );
      writeFileSync(file('tokens.ndjson'), badges.join('\n'));
      const load = `--url ${gateway.url} --tokens ${file('tokens.ndjson')} --partners 1 --seconds 1 --ramp 0`;
      const enough = new Command(`${load} --riders 2 --json -`, {});
      expect([await enough.ended, enough.output]).toEqual([0, expect.any(String)]);
      const { pings, lanes } = JSON.parse(
        enough.output.split('\n').find((line) => line.startsWith('{'))!,
      ) as LoadReport;
      expect(pings.acknowledged).toBe(pings.sent);
      expect(lanes.order!.shown).toBe(pings.sent);
      const short = new Command(`${load} --riders 3`, {});
      expect(await short.ended).toBe(2);
      expect(short.output).toContain('expected at least 3 of role rider, found 2');
    } finally {
      await gateway.stop();
    }
  });

  it('starts gateways and a Redis of its own, and reports what it has on Ctrl-C', async () => {
    const load = '--nodes 2 --riders 5 --seconds 60 --ramp 0 --drops 1x0.5/1 --churn 30';
    const command = new Command(`${load} --json ${file('early.json')}`, {});
    await command.says(/run {2}3 of 60 s/);
    command.child.kill('SIGINT');
    expect([await command.ended, command.output]).toEqual([0, expect.any(String)]);
    const early = reportIn('early.json');
    expect(early.measuredSeconds).toBeLessThan(60);
    expect(early.pings.acknowledged).toBe(early.pings.sent);
    expect(early.sockets.reconnects).toBeGreaterThan(0);
    expect(early.lanes.order).toMatchObject({ lost: 0, regressions: 0, duplicates: 0 });
    expect(Object.keys(early.processes).sort()).toEqual(['gateway-1', 'gateway-2', 'redis']);
  });

  it('says why it cannot start', async () => {
    const gateway = await testGateway();
    try {
      const wrong = new Command(`--url ${gateway.url} --riders 1`, { AUTH_SECRET: 'x'.repeat(32) });
      expect(await wrong.ended).toBe(2);
      expect(wrong.output).toMatch(/PUT .* was answered 401/);
    } finally {
      await gateway.stop();
    }
    const nowhere = new Command(`--json ${file('no')}/x --html ${folder}`);
    expect(await nowhere.ended).toBe(2);
    expect(nowhere.output).toMatch(
      /--json .*no\/x: expected a file that can be written(.|\n)*--html .*: expected a file/,
    );
    const nobody = new Command(`--url ${gateway.url} --riders 1`);
    expect(await nobody.ended).toBe(2);
    expect(nobody.output).toContain(`${gateway.url}/v1/orders/`);
    expect(nobody.output).toContain('cannot be reached: does a gateway listen there?');
  });
});

describe('the options', () => {
  it('are all in the help', async () => {
    const help = new Command('--help');
    expect(await help.ended).toBe(0);
    expect(help.output).toBe(helpText());
    for (const name of Object.keys(readOptions([], {}))) expect(help.output).toContain(`--${name} `);
  });

  it('name all that is wrong at once', async () => {
    const bad = new Command(
      '--riders x --hz=0 --drops 3 --zonewatchers 4 --env A --slow 0.6 --dead 0.6 --tick',
    );
    expect(await bad.ended).toBe(2);
    expect(bad.output.trim().split('\n')).toEqual([
      'ridecast loadtest: the options cannot be used:',
      '  --zonewatchers: there is no such option; did you mean --zones?',
      '  4: expected an option, which begins with --',
      '  --tick: expected a value',
      '  --riders x: expected a whole number from 1 to 1000000',
      '  --hz 0: expected a number from 0.01 to 100',
      '  --drops 3: expected SHARExOFF/ON, seconds off and on, such as 0.3x5/20',
      '  --env A: expected KEY=VALUE',
      '  --slow and --dead: expected at most 1 together',
      'see --help',
    ]);
  });

  const wrong = (line: string): readonly string[] => {
    try {
      readOptions(words(line), {});
      return [];
    } catch (error) {
      return (error as OptionsError).problems;
    }
  };
  const there = `--url ${url} --tokens f`;

  it.each([
    ['--url ftp://x --tokens f', '--url ftp://x: expected http://host:port, or several with commas between'],
    [`--url ${url}`, '--url: expected AUTH_SECRET of that gateway in the environment, or --tokens FILE'],
    [`${there} --nodes 2`, '--nodes: expected no --url, or no --nodes'],
    ['--zones a', '--zones: expected --url with it'],
    [`${there} --operators 1`, '--operators 1: expected --zones with --url, to know what to watch'],
    [
      '--processes cooks=1',
      expect.stringMatching(/^--processes cooks=1: expected ROLE=N with a role of riders,/),
    ],
    ['--center 91,0', '--center 91,0: expected LAT,LNG in degrees, such as 52.52,13.40'],
    ['--traces f --center 1,1', '--center: expected no --traces, or no --center'],
    ['--codec xml', '--codec xml: expected json or msgpack'],
    [`${there} --pid gateway=x`, '--pid gateway=x: expected NAME=PID'],
    ['--help=1', '--help=1: expected no value'],
  ])('say what is wrong with %s', (line, problem) => {
    expect(wrong(line)).toEqual([problem]);
  });

  it('have defaults that need nothing', () => {
    expect(wrong('')).toEqual([]);
    expect(readOptions(['--drops', '0.3x5/20'], {}).drops).toEqual({ share: 0.3, offMs: 5000, onMs: 20_000 });
  });
});

describe('a view', () => {
  const riders = {
    numbers: new Map([
      ['r', 0],
      ['s', 1],
    ]),
    periodMs: 1000,
    from: () => 0,
  };
  const tuple = (ref: number, seq: number, freshness = 0) =>
    [ref, 1, seq, 0, 0, 0, freshness] as Block[2][number];
  const setUp = (rider: number | undefined, overtakingMs = 0) => {
    const lane = new LaneTally();
    const view = new View({ riders, lane, rider, overtakingMs });
    view.begin([1, 1, [], rider === undefined ? [[1, 'r', []]] : undefined] as Block, false);
    const see = (...tuples: Block[2]) => view.take([1, 0, tuples], 9000, false, undefined);
    return { lane, view, see };
  };
  const found = (lane: LaneTally) => {
    const { shown, duplicates, regressions, overtaken, gaps } = lane.take();
    return { shown, duplicates, regressions, overtaken, gaps };
  };
  const nothing = { shown: 0, duplicates: 0, regressions: 0, overtaken: 0, gaps: [] };

  it('sees what is missing between two pings, what goes back and what comes twice', () => {
    const { lane, see } = setUp(0);
    see(tuple(1, 3));
    see(tuple(1, 7));
    see(tuple(1, 6));
    see(tuple(1, 7));
    see(tuple(1, 7, 1));
    expect(found(lane)).toEqual({
      ...nothing,
      shown: 2,
      duplicates: 1,
      regressions: 1,
      gaps: [[0, 4, 6, 1]],
    });
  });

  it('sees at the end that the last are missing', () => {
    const { lane, view, see } = setUp(0);
    see(tuple(1, 3));
    view.judge([5]);
    expect(found(lane).gaps).toEqual([[0, 4, 5, 1]]);
  });

  it('lets newer positions overtake older ones within two ticks, or as an overloaded node says', () => {
    const { lane, view, see } = setUp(undefined, 2000);
    see(tuple(1, 1));
    see(tuple(1, 5));
    expect(found(lane)).toEqual({ ...nothing, shown: 2, overtaken: 2, gaps: [[0, 2, 2, 1]] });
    view.take([1, 0, [tuple(1, 9)]], 9000, false, 2000);
    expect(found(lane)).toEqual({ ...nothing, shown: 1, overtaken: 3 });
    see(tuple(1, 13));
    expect(found(lane)).toEqual({ ...nothing, shown: 1, overtaken: 3 });
    see(tuple(1, 17));
    expect(found(lane)).toEqual({ ...nothing, shown: 1, overtaken: 2, gaps: [[0, 14, 14, 1]] });
  });

  it('expects nothing of positions from before it watched', () => {
    const { lane, view } = setUp(undefined);
    view.begin([1, 1, [tuple(1, 4)]], true);
    view.take([1, 0, [tuple(2, 8)], [[2, 's', []]]], 9000, false, undefined);
    const { shown, latency, gaps } = lane.take();
    expect({ shown, latency, gaps }).toEqual({ shown: 2, latency: undefined, gaps: [] });
  });

  it('forgets who is in no part of a full block', () => {
    const { view, see } = setUp(undefined);
    see(tuple(1, 4));
    view.take([1, 1, [tuple(2, 8)], [[2, 's', []]]], 9000, true, undefined);
    expect([...view.riders()]).toEqual([0, 1]);
    view.take([1, 0, []], 9000, false, undefined);
    expect([...view.riders()]).toEqual([1]);
  });

  it('forgets who is out, and does not miss the pings meanwhile', () => {
    const { lane, view, see } = setUp(undefined);
    see(tuple(1, 4));
    view.take([1, 0, [], undefined, [[1, 'left']]], 9000, false, undefined);
    view.take([1, 0, [tuple(2, 9)], [[2, 'r', []]]], 9000, false, undefined);
    expect(found(lane)).toEqual({ ...nothing, shown: 2 });
  });
});

describe('the generator', () => {
  it('sends at the times planned, the same in every process', () => {
    const plan = planOf('--riders 7 --hz 2 --ramp 3');
    for (const [rider, seq] of pingsOf(plan)) {
      expect(dueMs(plan, rider, seq)).toBeGreaterThanOrEqual(joinMs(plan, 'riders', rider));
      expect(dueMs(plan, rider, seq + 1) - dueMs(plan, rider, seq)).toBeCloseTo(500);
    }
    const phases = Array.from({ length: 7 }, (_, rider) => dueMs(plan, rider, 1)).sort((a, b) => a - b);
    for (const [i, phase] of phases.slice(1).entries()) expect(phase - phases[i]!).toBeGreaterThan(20);
  });

  it('takes more processes for more load, and as many as it is told', () => {
    const few = processesFor(planOf('--riders 10'), {});
    expect(few).toEqual({ riders: 1, customers: 1, partners: 1, operators: 1 });
    const many = processesFor(planOf('--riders 100000'), { operators: 7 });
    expect(many.riders).toBeGreaterThanOrEqual(few.riders);
    expect(many.operators).toBe(7);
  });

  it('keeps durations as an HDR histogram does', () => {
    const durations = new Durations();
    for (const ms of [0.001, 1, 2.047, 2.048, 10, 999.9, 123_456, 1e9]) durations.add(ms);
    const histogram = decodeFromCompressedBase64(durations.take()!);
    expect(histogram.totalCount).toBe(8);
    for (const [p, ms] of [
      [12.5, 0.001],
      [25, 1],
      [37.5, 2.047],
      [50, 2.048],
      [62.5, 10],
      [75, 999.9],
      [87.5, 123_456],
      [100, 600_000],
    ] as const)
      expect(Math.abs(histogram.getValueAtPercentile(p) / 1000 / ms - 1)).toBeLessThan(0.001);
    expect(durations.take()).toBeUndefined();
  });

  it('decodes equal frames once, and others for themselves', () => {
    const codec = recalling(jsonCodec);
    const frame = (value: unknown) => jsonCodec.encode(value);
    const first = codec.decode(frame([1]));
    expect(codec.decode(frame([2]))).toEqual([2]);
    expect(codec.decode(frame([1]))).toBe(first);
  });

  it('knows when it slept', async () => {
    const meter = new SelfMeter();
    const until = performance.now() + 200;
    while (performance.now() < until);
    const sample = meter.take();
    meter.stop();
    expect(sample.lagMaxMs).toBeGreaterThan(150);
    expect(isSaturated(sample)).toBe(true);
  });

  it('is the limit if it was late or busy in more than a tenth of the seconds', () => {
    const calm = { cpu: 0.5, lagP99Ms: 3 };
    expect(spoils([...Array(9).fill(calm), { cpu: 0.95, lagP99Ms: 3 }])).toBe(false);
    expect(spoils([...Array(8).fill(calm), { cpu: 0.95, lagP99Ms: 3 }, { cpu: 0.1, lagP99Ms: 30 }])).toBe(
      true,
    );
  });
});
