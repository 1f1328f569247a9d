/** The command: starts Redis and gateways unless told where they are, plays the traces, prints the report. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { packedCodec } from '../src/protocol/codec.ts';
import { clientCodecs } from './connection.ts';
import { type Play, play } from './play.ts';
import { launchGateway, launchRedis, type Process } from './processes.ts';
import { formatReport, isBroken } from './report.ts';
import { readTraces, type Trace, zonesOver } from './traces.ts';

const HELP = `npm run replay -- --traces FILE [options]

Plays recorded traces as riders through real sockets, watches each rider as its customer and all of them by zone,
and reports what was shown, how late, and whether anything went back, came twice or stayed unseen.

  --traces FILE     NDJSON, .gz or not: {"id","t" (ms),"lat","lng"[,"rt","accuracy","heading","speed"]}, sorted by t
  --align           start all traces at once (by rt, ms since the trace's start, if given);
                    the default if they hardly overlap in time. --no-align plays them as recorded
  --speed N         N times faster than recorded (1)
  --spread S        spread the starts over S seconds: recorders that tick in step make bursts no city makes (0)
  --seconds S       stop after S seconds of the replay
  --nodes 1|2       gateways to start; of two, one has the riders and the other the watchers (1)
  --operators N     sockets that watch every zone (2)
  --codec NAME      json, msgpack, or packed: msgpack with packed positions (msgpack)
  --url URL         play to a gateway that runs already, instead of starting Redis and gateways; needs --secret
  --secret S        its AUTH_SECRET
  --zones A,B       its zones to watch, with --url (none)
  --json            one JSON object on stdout, progress on stderr
  --help            this text

Exit code: 0; 1 if a position went back, was shown twice, or a watcher stayed blind; 2 if it could not be played.
`;

const CODECS = { ...clientCodecs, packed: packedCodec };

/** Side of the square of zones over the traces. */
const ZONE_GRID = 2;

interface Site extends Pick<Play, 'riderUrl' | 'watcherUrl' | 'secret' | 'zones' | 'pids'> {
  stop(): Promise<void>;
}

class UsageError extends Error {}

function readArguments(args: string[]) {
  try {
    const { values } = parseArgs({
      args,
      allowNegative: true,
      options: {
        traces: { type: 'string' },
        align: { type: 'boolean' },
        speed: { type: 'string', default: '1' },
        seconds: { type: 'string' },
        spread: { type: 'string' },
        nodes: { type: 'string', default: '1' },
        operators: { type: 'string', default: '2' },
        codec: { type: 'string', default: 'msgpack' },
        url: { type: 'string' },
        secret: { type: 'string' },
        zones: { type: 'string', default: '' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    return values;
  } catch (error) {
    throw new UsageError((error as Error).message.split('. ')[0]);
  }
}

type Values = ReturnType<typeof readArguments>;

function positive(name: string, text: string): number {
  const value = Number(text);
  if (value > 0) return value;
  throw new UsageError(`--${name} ${text}: expected a number above 0`);
}

async function main(): Promise<number> {
  const values = readArguments(process.argv.slice(2));
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (values.traces === undefined) throw new UsageError('--traces FILE: expected a file of traces');
  const codec = CODECS[values.codec as keyof typeof CODECS];
  if (codec === undefined) throw new UsageError(`--codec ${values.codec}: expected json, msgpack or packed`);
  const speed = positive('speed', values.speed);
  const seconds = values.seconds === undefined ? undefined : positive('seconds', values.seconds);
  const spread = values.spread === undefined ? undefined : positive('spread', values.spread);
  const operators = Math.round(positive('operators', values.operators));
  const traces = await readTraces(values.traces);

  const say = (line: string) => (values.json ? process.stderr : process.stdout).write(`${line}\n`);
  say(`${traces.length} traces, ${traces.reduce((n, { fixes }) => n + fixes.length, 0)} fixes`);
  const site = values.url === undefined ? await ownSite(values, traces, speed) : foreignSite(values);
  try {
    const { align } = values;
    const report = await play({
      ...site,
      traces,
      codec,
      operators,
      align,
      speed,
      seconds,
      spread,
      progress: say,
    });
    process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : `\n${formatReport(report)}\n`);
    return isBroken(report) ? 1 : 0;
  } finally {
    await site.stop();
  }
}

function foreignSite({ url, secret, zones }: Values): Site {
  if (secret === undefined)
    throw new UsageError('--secret S: expected the AUTH_SECRET of the gateway at --url');
  const base = url!.replace(/\/+$/, '');
  const watched = zones.split(',').filter(Boolean);
  return { riderUrl: base, watcherUrl: base, secret, zones: watched, async stop() {} };
}

/** A Redis and gateways of our own, with zones drawn over the traces. */
async function ownSite(
  { nodes, secret: given }: Values,
  traces: readonly Trace[],
  speed: number,
): Promise<Site> {
  if (nodes !== '1' && nodes !== '2') throw new UsageError(`--nodes ${nodes}: expected 1 or 2`);
  const secret = given ?? randomBytes(32).toString('hex');
  const folder = mkdtempSync(join(tmpdir(), 'ridecast-replay-'));
  const started: Process<string>[] = [];
  const stop = async () => {
    for (const process of started.reverse()) await process.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const zones = zonesOver(traces, ZONE_GRID);
    const zonesFile = join(folder, 'zones.geojson');
    writeFileSync(zonesFile, zones.geojson);
    const redis = await launchRedis();
    started.push(redis);
    const env = {
      REDIS_URL: redis.ready,
      AUTH_SECRET: secret,
      ZONES_FILE: zonesFile,
      DRAIN_SPREAD_MS: '0',
      MAX_SESSIONS_PER_IP: '1000000', // all of them come from here
      // Limits are per second of a real rider's time.
      PINGS_PER_SECOND: `${Math.min(1000, Math.ceil(5 * Math.max(1, speed)))}`,
      FRAMES_PER_SECOND: `${Math.min(10_000, Math.ceil(20 * Math.max(1, speed)))}`,
    };
    const gateways: Process<string>[] = [];
    for (const name of ['a', 'b'].slice(0, Number(nodes))) {
      const gateway = await launchGateway(fileURLToPath(new URL('../src/main.js', import.meta.url)), {
        ...env,
        NODE_ID: name,
      });
      gateways.push(gateway);
      started.push(gateway);
    }
    const [first, last] = [gateways[0]!, gateways[gateways.length - 1]!];
    const pids = Object.fromEntries([
      ...gateways.map(({ pid }, i) => [`gateway-${i + 1}`, pid]),
      ['redis', redis.pid],
    ]);
    return { riderUrl: first.ready, watcherUrl: last.ready, secret, zones: zones.ids, pids, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130)); // takes the processes along

main().then(
  (code) => process.exit(code),
  (error: Error) => {
    const hint = error instanceof UsageError ? ' (see --help)' : '';
    process.stderr.write(`ridecast replay: ${error.message}${hint}\n`);
    process.exit(2);
  },
);
