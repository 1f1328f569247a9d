/**
 * Every message on the wire, as zod schemas; PROTOCOL.md says what they mean. The client SDK imports the types
 * only. A test pins the hash of these schemas to PROTOCOL_VERSION.
 */
import { z } from 'zod';
import { CHANNEL_PATTERN, ID_PATTERN } from './channel.ts';

export const PROTOCOL_VERSION = 1;
export const SUBPROTOCOLS = { json: 'ridecast.v1.json', msgpack: 'ridecast.v1.msgpack' } as const;

/** The most pings one `ping` message may carry. */
export const MAX_PINGS = 500;
/** No ping is longer on the wire, as JSON with every digit of a double. */
export const PING_BYTES = 256;
/** The most watches a `hello` may carry; the configured limit per session may be lower. */
export const MAX_HELLO_WATCHES = 1000;

export const id = z
  .string()
  .regex(ID_PATTERN, 'an id: 1 to 64 of A-Z a-z 0-9 _ . ~ - starting with a letter or digit');
const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const time = z.number().min(0).max(8.64e15);
const duration = z.number().min(0);

export const roles = ['rider', 'customer', 'partner', 'operator', 'service'] as const;
export type Role = (typeof roles)[number];

// ---- objects --------------------------------------------------------------------------------------------------

export const cursor = z.object({
  epoch: z.string().min(1).max(32),
  offset: count,
  id: z.string().min(1).max(32),
});
export type Cursor = z.infer<typeof cursor>;

export const point = z.object({ lat: z.number().min(-90).max(90), lng: z.number().min(-180).max(180) });
export type Point = z.infer<typeof point>;

/** An order as one audience may see it. */
export const order = z.object({
  id,
  status: z.string(),
  at: time,
  version: count,
  assignment: count,
  ended: z.boolean(),
  eta: time.optional(),
  zone: id.optional(),
  partner: id.optional(),
  customer: id.optional(),
  rider: id.optional(),
  pickup: point.optional(),
  destination: point.optional(),
  data: z.record(z.string(), z.unknown()).optional(),
});
export type Order = z.infer<typeof order>;

export const orderEvent = z.object({
  offset: count,
  id: z.string(),
  prev: z.string(),
  at: time,
  type: z.string(),
  order,
});
export type OrderEvent = z.infer<typeof orderEvent>;

export const resetReasons = ['epoch', 'ahead', 'trimmed', 'diverged', 'limit', 'lost', 'unknown'] as const;
export type ResetReason = (typeof resetReasons)[number];

/** What a rider sends. Degrees, m/s, metres, ms since the epoch. */
export const ping = z.object({
  seq: z
    .int()
    .min(1)
    .max(2 ** 48),
  lat: z.number().min(-90).max(90),
  lng: z.number().min(-180).max(180),
  at: time.optional(),
  heading: z.number().min(0).max(360).optional(),
  speed: z.number().min(0).max(1000).optional(),
  accuracy: z.number().min(0).max(1e6).optional(),
  mocked: z.boolean().optional(),
  battery: z.number().min(0).max(1).optional(),
});
export type Ping = z.infer<typeof ping>;

const nullable = z.number().nullable();
/** [ref, session, seq, lat·1e5, lng·1e5, age ms, freshness, heading °, speed dm/s, accuracy m, verdict bits] */
export const positionTuple = z
  .tuple([count, count, count, z.int(), z.int(), z.number().min(0), z.int().min(0).max(2)])
  .rest(nullable);
export type PositionTuple = z.infer<typeof positionTuple>;

export const outReasons = ['left', 'expired', 'ended', 'hidden'] as const;
export type OutReason = (typeof outReasons)[number];

/** [channel, full, positions, riders?, out?, orders?] */
export const block = z.tuple([
  count,
  z.union([z.literal(0), z.literal(1)]),
  z.array(positionTuple),
  z.array(z.tuple([count, id, z.array(id)])).optional(),
  z.array(z.tuple([count, z.enum(outReasons)])).optional(),
  z.array(order).optional(),
]);
export type Block = z.infer<typeof block>;

// ---- client -> gateway ----------------------------------------------------------------------------------------

const watchNumber = z.int().min(1).max(2147483647);
const watchFields = {
  w: watchNumber,
  channel: z.string().regex(CHANNEL_PATTERN, 'order:ID, zone:ID or partner:ID'),
  since: cursor.optional(),
  maxHz: z.number().min(0.01).max(60).optional(),
  maxError: z.number().min(0).max(100_000).optional(),
};
const token = z.string().min(1).max(8192);

export const clientMessages = {
  hello: z.object({
    t: z.literal('hello'),
    token: token.optional(),
    watch: z.array(z.object(watchFields)).max(MAX_HELLO_WATCHES).optional(),
    rider: z.object({ session: count.optional() }).optional(),
    credit: z.boolean().optional(),
    packed: z.boolean().optional(),
    client: z.string().max(64).optional(),
  }),
  refresh: z.object({ t: z.literal('refresh'), token }),
  watch: z.object({ t: z.literal('watch'), ...watchFields }),
  unwatch: z.object({ t: z.literal('unwatch'), w: watchNumber }),
  credit: z.object({ t: z.literal('credit'), n: count }),
  ack: z.object({ t: z.literal('ack'), w: watchNumber, offset: count }),
  ping: z.object({ t: z.literal('ping'), pings: z.array(ping).min(1).max(MAX_PINGS) }),
  beat: z.object({ t: z.literal('beat') }),
} as const;
export type ClientMessages = { [K in keyof typeof clientMessages]: z.infer<(typeof clientMessages)[K]> };
export type ClientMessage = ClientMessages[keyof ClientMessages];
export type Watch = Omit<ClientMessages['watch'], 't'>;

// ---- gateway -> client ----------------------------------------------------------------------------------------

export const errorCodes = [
  'bad_frame',
  'bad_field',
  'unknown_type',
  'not_found',
  'not_allowed',
  'too_many_watches',
  'watch_exists',
  'unavailable',
  'degraded',
  'recovered',
] as const;
export type ErrorCode = (typeof errorCodes)[number];

export const refusals = ['rate', 'range'] as const;
export type Refusal = (typeof refusals)[number];

export const gatewayMessages = {
  welcome: z.object({
    t: z.literal('welcome'),
    session: z.string(),
    node: z.string(),
    now: time,
    role: z.enum(roles),
    sub: z.string(),
    heartbeat: duration,
    tokenTtl: duration,
    limits: z.object({ frameBytes: count, framesPerSecond: count, watches: count, pingsPerFrame: count }),
    reconnect: z.object({ after: duration, spread: duration }),
    rider: z.object({ session: count, seq: count }).optional(),
    credit: z.object({ frames: count, bytes: count }).optional(),
    packed: z.boolean(),
  }),
  refreshed: z.object({ t: z.literal('refreshed'), tokenTtl: duration }),
  watching: z.object({
    t: z.literal('watching'),
    w: watchNumber,
    channel: z.string(),
    c: count,
    cursor: cursor.optional(),
    order: order.optional(),
    events: z.array(orderEvent).optional(),
    reset: z.enum(resetReasons).optional(),
    missed: count.optional(),
    at: time,
    block,
    more: z.boolean().optional(),
  }),
  positions: z.object({
    t: z.literal('positions'),
    at: time,
    b: z.array(block),
    more: z.array(count).optional(),
    every: duration.optional(),
  }),
  event: z.object({ t: z.literal('event'), c: count, ...orderEvent.shape }),
  closed: z.object({
    t: z.literal('closed'),
    w: watchNumber,
    reason: z.enum(['ended', 'denied']),
    order: order.optional(),
  }),
  pinged: z.object({
    t: z.literal('pinged'),
    seq: count,
    refused: z.array(z.tuple([count, z.enum(refusals)])).optional(),
  }),
  pace: z.object({
    t: z.literal('pace'),
    intervalMs: duration,
    minMoveM: z.number().min(0),
    accuracy: z.enum(['high', 'balanced', 'low']),
    until: time.optional(),
  }),
  beat: z.object({ t: z.literal('beat'), now: time }),
  drain: z.object({ t: z.literal('drain'), after: duration, spread: duration }),
  error: z.object({
    t: z.literal('error'),
    code: z.enum(errorCodes),
    message: z.string(),
    field: z.string().optional(),
    expected: z.string().optional(),
    of: z.string().optional(),
    w: z.int().optional(),
    retryable: z.boolean().optional(),
  }),
} as const;
export type GatewayMessages = { [K in keyof typeof gatewayMessages]: z.infer<(typeof gatewayMessages)[K]> };
export type GatewayMessage = GatewayMessages[keyof GatewayMessages];
