/**
 * Every option: name, default, unit and meaning on its line. An option `maxWatches` is read from the environment
 * variable `MAX_WATCHES`. All that is wrong is reported at once, at start.
 */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { ID_PATTERN } from './protocol/channel.ts';
import { parseRedisUrl, REDIS_URL_FORMS } from './protocol/redis-url.ts';

const whole = (value: number, min: number, max: number, meaning: string) =>
  z.coerce.number().int().min(min).max(max).default(value).describe(meaning);
const text = (value: string, meaning: string) => z.string().default(value).describe(meaning);
const maybe = (meaning: string) => z.string().optional().describe(meaning);
const names = (value: string, meaning: string) =>
  z
    .string()
    .default(value)
    .transform((s) => s.split(',').map((part) => part.trim()).filter(Boolean))
    .describe(meaning); // biome-ignore format: one option, one place
const flag = (meaning: string) => z.stringbool().default(false).describe(meaning);

function isRedisUrl(text: string, problems: z.RefinementCtx): void {
  try {
    parseRedisUrl(text);
  } catch (error) {
    problems.addIssue((error as Error).message);
  }
}

const schema = z.object({
  host: text('0.0.0.0', 'address the public port listens on'),
  port: whole(8080, 0, 65535, 'public port: WebSocket, HTTP API, static files; 0 picks a free one'),
  sharePort: flag('let other processes listen on the same port; workers do'),
  workers: whole(1, 1, 256, 'gateway processes on this port, for machines with more cores than one; needs REDIS_URL. Worker n has ADMIN_PORT + n; SIGHUP replaces them one by one'),
  adminHost: text('127.0.0.1', 'address the admin port listens on; keep it private'),
  adminPort: whole(8081, 0, 65535, 'admin port: /healthz, /readyz, /metrics; 0 picks a free one'),
  nodeId: z
    .string()
    .regex(ID_PATTERN)
    .default(() => `n${randomBytes(3).toString('hex')}`)
    .describe('name of this node in logs and metrics; random by default'),
  logLevel: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info').describe('least severe line that is logged'),

  redisUrl: z.string().superRefine(isRedisUrl).optional().describe(`Redis of the fleet: ${REDIS_URL_FORMS}; without it one node with a memory of its own`),
  redisPrefix: text('ridecast:', 'put before every key and channel'),
  redisTimeoutMs: whole(2000, 50, 60_000, 'ms a Redis command may take'),
  redisProbeMs: whole(5000, 100, 60_000, 'ms between looks at whether Redis answers and messages arrive; a deaf link is cut after two'),

  authSecret: z.string().min(32, 'at least 32 characters').optional().describe('shared secret of HS256 tokens'),
  authJwksUrl: z.url({ protocol: /^https?$/, hostname: /./, error: 'expected http://… or https://…' }).optional().describe('where the public keys of RS256, ES256 and EdDSA tokens are'),
  authIssuer: maybe('required `iss` of tokens'),
  authAudience: maybe('required `aud` of tokens'),
  allowedOrigins: names('', 'exact Origins browsers may connect from, comma separated; empty: any (tokens, not cookies, decide)'),
  trustProxy: flag('take the client address from the last X-Forwarded-For entry: only behind a proxy that sets it'),

  zonesFile: maybe('GeoJSON of Polygons and MultiPolygons with properties.id: the zones'),
  staticDir: maybe('folder whose files are served over HTTP, read once at start'),

  heartbeatMs: whole(15_000, 1000, 120_000, 'ms of silence after which a session gets a beat'),
  idleTimeoutS: whole(60, 8, 960, 's without a frame or pong after which a socket is dropped'),
  helloTimeoutMs: whole(5000, 500, 60_000, 'ms a new socket has for its hello'),
  frameBytes: whole(65_536, 1024, 1_048_576, 'largest frame or HTTP body taken, bytes'),
  framesPerSecond: whole(20, 1, 10_000, 'frames a second a session may send, sustained; ten seconds of it at once'),
  maxWatches: whole(200, 1, 10_000, 'watches a session may hold'),
  maxSessions: whole(100_000, 1, 10_000_000, 'sessions on this node'),
  connectsPerSecond: whole(5000, 1, 1_000_000, 'new sessions a second, sustained, and at once; the rest is answered 503 with Retry-After'),
  maxSessionsPerSubject: whole(50, 1, 1_000_000, 'sessions of one subject and role on this node'),
  maxSessionsPerIp: whole(5000, 1, 10_000_000, 'sessions from one address on this node'),
  sendBufferBytes: whole(65_536, 4096, 16_777_216, 'bytes waiting for one socket before it counts as lagging'),
  creditFrames: whole(8, 1, 1000, 'position frames in flight to a client that sends credit'),
  creditBytes: whole(65_536, 1024, 16_777_216, 'bytes of such frames in flight; the frame that passes it is sent whole'),

  groupTickMs: whole(250, 10, 10_000, 'ms between position frames of zones and partners'),
  lingerMs: whole(1000, 0, 60_000, 'ms a channel stays subscribed after its last watcher left'),
  blockPositions: whole(1000, 10, 100_000, 'positions of one channel in one frame, packed changes eight times as many; the rest follows'),
  staleAfterMs: whole(30_000, 1000, 3_600_000, 'ms of silence after which a rider is shown as stale'),
  lostAfterMs: whole(120_000, 2000, 86_400_000, 'ms of silence after which a rider is shown as lost'),
  positionTtlMs: whole(300_000, 10_000, 86_400_000, 'ms a position is kept after the rider was last heard'),
  checkMs: whole(10_000, 100, 600_000, 'ms between looks at whether every watched order still stands where the store says; zones and partners: six times as long'),
  maxReplay: whole(100, 1, 1000, 'events replayed to one watcher; more: a reset with the snapshot'),

  pingsPerSecond: whole(5, 1, 1000, 'ping frames a second a rider may send, sustained; four seconds of it at once'),
  keepAliveMs: whole(10_000, 0, 300_000, 'ms between shown pings of a rider that has not moved; 0 shows every ping'),
  minMoveM: z.coerce.number().min(0).max(1000).default(1).describe('metres below which a rider has not moved'),
  zoneHysteresisM: whole(15, 0, 1000, 'metres a rider must be outside a zone before it has left'),

  orderStatuses: names('assigned,picked_up,arriving,delivered,cancelled', 'statuses of an order after `created`, in order; `assigned` must be the first'),
  orderEndStatuses: names('delivered,cancelled', 'statuses that end an order'),
  customerFrom: text('picked_up', 'status from which a customer sees the rider'),
  partnerFrom: text('assigned', 'status from which a partner sees the rider'),
  nearFrom: maybe('status from which the rider is about to arrive: on an overloaded node such orders wait last; default: the last status that does not end an order'),
  orderTtlMs: whole(86_400_000, 60_000, 2_592_000_000, 'ms an order is kept after its last event'),
  endedTtlMs: whole(3_600_000, 1000, 2_592_000_000, 'ms an ended order is kept'),

  reconnectAfterMs: whole(0, 0, 60_000, 'ms before a client dials again after an unannounced loss'),
  reconnectSpreadMs: whole(3000, 0, 600_000, 'ms over which those dials are spread'),
  drainSpreadMs: whole(5000, 0, 600_000, 'ms over which sessions are told to leave when the node stops'),
}); // biome-ignore format: a table

export type Config = z.infer<typeof schema>;

/** Name in the environment, default and meaning of every option: what the README's table is made of. */
export function describeConfig(): { name: string; value: string; meaning: string }[] {
  return Object.entries(schema.shape).map(([key, option]) => {
    const parsed = key === 'nodeId' ? { success: false as const } : option.safeParse(undefined);
    const value = parsed.success && parsed.data !== undefined ? String(parsed.data) : '';
    return { name: envName(key), value, meaning: option.description ?? '' };
  });
}

/** Says everything that is wrong with a configuration, one line each. */
export class ConfigError extends Error {
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(`the configuration cannot be used:\n${problems.map((p) => `  ${p}`).join('\n')}`);
    this.problems = problems;
  }
}

/**
 * Reads the configuration from environment variables; blank ones count as absent.
 * @throws ConfigError naming every variable that is wrong and what was expected
 */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const input: Record<string, string> = {};
  for (const key of Object.keys(schema.shape)) {
    const value = env[envName(key)];
    if (value !== undefined && value.trim() !== '') input[key] = value;
  }
  const parsed = schema.safeParse(input);
  const problems = parsed.success
    ? []
    : parsed.error.issues.map((i) => `${envName(String(i.path[0]))}: ${i.message}`);
  problems.push(...contradictions(parsed.success ? parsed.data : undefined, input));
  if (!parsed.success || problems.length > 0) throw new ConfigError([...new Set(problems)]);
  return parsed.data;
}

/** What no single option can see. Checks what it can even when other options are wrong. */
function contradictions(config: Config | undefined, input: Record<string, string>): string[] {
  const problems: string[] = [];
  if (input.authSecret === undefined && input.authJwksUrl === undefined) {
    problems.push(
      'AUTH_SECRET or AUTH_JWKS_URL: expected one of them (without, only the demo starts: npm start)',
    );
  }
  if (config === undefined) return problems;
  const { orderStatuses, orderEndStatuses } = config;
  if (orderStatuses[0] !== 'assigned') problems.push('ORDER_STATUSES: expected `assigned` as the first');
  if (new Set(orderStatuses).size !== orderStatuses.length)
    problems.push('ORDER_STATUSES: expected no status twice');
  if (orderStatuses.includes('created'))
    problems.push('ORDER_STATUSES: expected no `created`, which every order begins with');
  if (orderEndStatuses.includes('assigned'))
    problems.push('ORDER_END_STATUSES: expected no `assigned`, which begins a delivery');
  for (const [name, values] of [
    ['ORDER_END_STATUSES', orderEndStatuses],
    ['CUSTOMER_FROM', [config.customerFrom]],
    ['PARTNER_FROM', [config.partnerFrom]],
    ['NEAR_FROM', config.nearFrom === undefined ? [] : [config.nearFrom]],
  ] as const) {
    for (const value of values) {
      if (!orderStatuses.includes(value))
        problems.push(`${name}: expected one of ORDER_STATUSES, got ${value}`);
    }
  }
  if (orderEndStatuses.length === 0) problems.push('ORDER_END_STATUSES: expected at least one status');
  if (config.workers > 1 && config.redisUrl === undefined)
    problems.push('REDIS_URL: expected with WORKERS above 1, which share nothing else');
  if (config.workers > 1 && config.port === 0)
    problems.push('PORT: expected a number with WORKERS above 1, as all of them listen there');
  if (config.lostAfterMs <= config.staleAfterMs)
    problems.push('LOST_AFTER_MS: expected more than STALE_AFTER_MS');
  if (config.positionTtlMs < config.lostAfterMs)
    problems.push('POSITION_TTL_MS: expected at least LOST_AFTER_MS');
  if (config.keepAliveMs >= config.staleAfterMs)
    problems.push('KEEP_ALIVE_MS: expected less than STALE_AFTER_MS');
  return problems;
}

/** maxWatches -> MAX_WATCHES */
function envName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}
