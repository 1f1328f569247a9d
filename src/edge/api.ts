/** The HTTP API for backends: section 8 of PROTOCOL.md. */
import { z } from 'zod';
import type { Store } from '../backbone/store.ts';
import {
  type Grant,
  maySeeOrder,
  mayWatch,
  subjectOf,
  type Windows,
  windowOpen,
} from '../fanout/visibility.ts';
import type { Ingest } from '../ingest/ingest.ts';
import { type Counts, tally } from '../observe/metrics.ts';
import { audienceOf, OrderConflict, viewOf } from '../orders/order.ts';
import type { Orders, Outcome } from '../orders/orders.ts';
import { ID_PATTERN } from '../protocol/channel.ts';
import { id, MAX_PINGS, ping, point, type Role, roles } from '../protocol/messages.ts';
import { type Ages, freshnessOf, type Position, UNITS_PER_DEGREE } from '../protocol/positions.ts';
import { check } from '../protocol/validate.ts';
import { type Auth, KeysError, TokenError } from './auth.ts';
import { type Answer, type Call, problem, type Route } from './http.ts';
import { splitPings } from './pings.ts';
import type { Revocations } from './revocations.ts';

export interface ApiParts {
  readonly auth: Auth;
  readonly orders: Orders;
  readonly ingest: Pick<Ingest, 'receive'>;
  readonly store: Pick<Store, 'getPositions' | 'zonePositions'>;
  readonly windows: Windows;
  readonly statuses: readonly string[];
  readonly ages: Ages;
  readonly revocations: Pick<Revocations, 'revoke'>;
  readonly counts: Counts;
  readonly now: () => number;
}

/** Deeper, and no watcher could be sent it: codecs on both sides recurse. */
const MAX_DATA_LEVELS = 32;
const data = z
  .record(z.string(), z.unknown())
  .refine((value) => levels(value, MAX_DATA_LEVELS), `at most ${MAX_DATA_LEVELS} levels deep`);
const time = z.number().min(0).max(8.64e15);
const newOrder = z.object({
  customer: id,
  partner: id,
  zone: id.optional(),
  rider: id.optional(),
  pickup: point.optional(),
  destination: point.optional(),
  eta: time.optional(),
  data: data.optional(),
});
const assignment = z.object({ rider: id });
const subject = z.object({ role: z.enum(roles), sub: id });
const pings = z.object({ session: z.int().min(0).optional(), pings: z.array(ping).min(1).max(MAX_PINGS) });
const frame = z.object({
  token: z.string().optional(),
  session: pings.shape.session,
  pings: z.array(z.unknown()).min(1).max(MAX_PINGS),
});
const KEY_PATTERN = /^[\x21-\x7e]{1,128}$/;

/** Thrown to answer at once. */
class Refusal extends Error {
  readonly answer: Answer;
  constructor(answer: Answer) {
    super('refused');
    this.answer = answer;
  }
}

/** What an error thrown by a route becomes. */
export function toAnswer(error: unknown): Answer {
  if (error instanceof Refusal) return error.answer;
  if (error instanceof OrderConflict)
    return problem(409, 'conflict', error.message, { expected: error.expected });
  if (error instanceof KeysError)
    return problem(503, 'unavailable', 'the keys of tokens cannot be fetched: try again, with the same key');
  return problem(503, 'unavailable', 'the backbone does not answer: try again, with the same key');
}

export function apiRoutes(parts: ApiParts): Route[] {
  return [...commandRoutes(parts), readOrder(parts), ...positionRoutes(parts), revokeRoute(parts)];
}

/** Voids all tokens a subject has. */
function revokeRoute({ auth, now, revocations }: ApiParts): Route {
  return {
    method: 'post',
    path: '/v1/revocations',
    async handle(call) {
      await allow(auth, call, 'service');
      const { role, sub } = body(subject, call);
      const before = now();
      await revocations.revoke({ subject: subjectOf({ role, sub }), before });
      return { status: 200, body: { role, sub, before } };
    },
  };
}

/** What changes orders. */
function commandRoutes({ auth, orders, counts, statuses }: ApiParts): Route[] {
  const event = z.object({
    status: z.enum(statuses),
    at: time.optional(),
    eta: time.optional(),
    data: data.optional(),
  });
  const done = (outcome: Outcome | undefined): Answer => {
    if (outcome === undefined) return noOrder();
    tally(counts.orderEvents, outcome.result);
    return {
      status: 200,
      body: { order: viewOf(outcome.order, 'operator'), cursor: outcome.cursor, result: outcome.result },
    };
  };
  return [
    {
      method: 'put',
      path: '/v1/orders/:id',
      async handle(call) {
        await allow(auth, call, 'service');
        const { rider, ...content } = body(newOrder, call);
        const created = await orders.create(param(call, 'the order'), content);
        // A rider named here counts for an order that has none yet: a PUT repeated later must not take it from another.
        if (rider === undefined || created.order.rider !== undefined || created.order.ended)
          return done(created);
        const assigned = await orders.assign(created.order.id, rider, 'create');
        return done(assigned);
      },
    },
    {
      method: 'post',
      path: '/v1/orders/:id/assign',
      async handle(call) {
        await allow(auth, call, 'service');
        const { rider } = body(assignment, call);
        return done(await orders.assign(param(call, 'the order'), rider, key(call)));
      },
    },
    {
      method: 'post',
      path: '/v1/orders/:id/events',
      async handle(call) {
        await allow(auth, call, 'service');
        const to = body(event, call);
        return done(await orders.advance(param(call, 'the order'), to, key(call)));
      },
    },
  ];
}

/** One order, and its rider's position while the audience may see it. */
function readOrder(parts: ApiParts): Route {
  const { auth, orders, store, windows } = parts;
  return {
    method: 'get',
    path: '/v1/orders/:id',
    async handle(call) {
      const grant = await allow(auth, call, 'service', 'operator', 'partner', 'customer');
      const found = await orders.read(param(call, 'the order'));
      if (found === undefined || !maySeeOrder(grant, found.order)) return noOrder();
      const audience = audienceOf(grant.role)!;
      const { order, cursor } = found;
      const seen = windowOpen(windows, audience, order) ? await store.getPositions([order.rider!]) : [];
      const position = seen[0] === undefined ? undefined : publicPosition(seen[0], parts);
      return {
        status: 200,
        body: {
          order: viewOf(order, audience),
          cursor,
          position: audience === 'customer' ? anonymous(position) : position,
        },
      };
    },
  };
}

const REPLACED = problem(409, 'replaced', 'a newer session of this rider exists', {
  field: 'session',
  expected: 'no session, to start a new one',
});

/** Pings in, a zone's positions out. */
function positionRoutes(parts: ApiParts): Route[] {
  const { auth, ingest, store, orders } = parts;
  return [
    {
      method: 'post',
      path: '/v1/riders/:id/pings',
      async handle(call) {
        const grant = await allow(auth, call, 'service', 'rider');
        const rider = param(call, 'the rider');
        if (grant.role === 'rider' && grant.sub !== rider)
          return problem(403, 'not_allowed', 'a rider pings as itself only');
        const given = body(pings, call);
        const received = await ingest.receive(rider, given.session, given.pings);
        return received === undefined ? REPLACED : { status: 200, body: received };
      },
    },
    {
      method: 'post',
      path: '/v1/pings',
      async handle(call) {
        const given = body(frame, call);
        const grant = await allow(auth, { ...call, token: call.token ?? given.token }, 'rider');
        const { good, refused } = splitPings(given.pings);
        for (const _ of refused) tally(parts.counts.pings, 'range');
        const received = good.length > 0 && (await ingest.receive(grant.sub, given.session, good));
        if (received === undefined) return REPLACED;
        const { seq, refused: late } = received || { seq: 0, refused: [] };
        return { status: 200, body: { t: 'pinged', seq, refused: [...refused, ...late] } };
      },
    },
    {
      method: 'get',
      path: '/v1/zones/:id/positions',
      async handle(call) {
        const grant = await allow(auth, call, 'service', 'operator');
        const zone = param(call, 'the zone');
        if (!mayWatch(grant, { kind: 'zone', id: zone }))
          return problem(403, 'not_allowed', 'this token does not cover that zone');
        const found = await store.zonePositions(zone);
        const positions = await Promise.all(
          found.map(async (position) => ({
            ...publicPosition(position, parts),
            orders: (await orders.active('rider', position.rider)).map((order) => order.id),
          })),
        );
        return { status: 200, body: { positions } };
      },
    },
  ];
}

async function allow(auth: Auth, call: Call, ...allowed: Role[]): Promise<Grant> {
  if (call.token === undefined) {
    throw new Refusal(problem(401, 'token', 'send the token as Authorization: Bearer …'));
  }
  let grant: Grant;
  try {
    grant = await auth(call.token);
  } catch (error) {
    if (error instanceof TokenError) throw new Refusal(problem(401, 'token', error.message));
    throw error;
  }
  if (allowed.includes(grant.role)) return grant;
  throw new Refusal(problem(403, 'not_allowed', `this call takes a token of role ${allowed.join(' or ')}`));
}

function param(call: Call, what: string): string {
  const value = call.params[0]!;
  if (ID_PATTERN.test(value)) return value;
  throw new Refusal(
    problem(400, 'bad_field', `the id of ${what} in the path is not an id`, {
      field: 'id',
      expected: '1 to 64 of A-Z a-z 0-9 _ . ~ -, starting with a letter or digit',
    }),
  );
}

function body<T>(schema: z.ZodType<T>, call: Call): T {
  let json: unknown;
  try {
    json = JSON.parse(call.body, HALF_PAIR.test(call.body) ? wellFormed : undefined);
  } catch {
    throw new Refusal(problem(400, 'bad_body', 'the body is not JSON'));
  }
  const checked = check(schema, json);
  if (checked.ok) return checked.value;
  const { code, message, field, expected } = checked.problem;
  throw new Refusal(problem(400, code, message, { field, expected }));
}

/** The escape of one half of a surrogate pair, as a string cut in the middle of an emoji has it. */
const HALF_PAIR = /\\u[dD][89a-fA-F]/;

/** Half a pair cannot be sent as UTF-8: it becomes U+FFFD. */
function wellFormed(_: string, value: unknown): unknown {
  return typeof value === 'string' ? Buffer.from(value).toString() : value;
}

/** Whether nothing in the value is nested deeper than that. */
function levels(value: unknown, most: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return most > 0 && Object.values(value).every((inner) => levels(inner, most - 1));
}

function key(call: Call): string {
  if (call.idempotencyKey !== undefined && KEY_PATTERN.test(call.idempotencyKey)) return call.idempotencyKey;
  const more = { field: 'Idempotency-Key', expected: '1 to 128 visible characters' };
  throw new Refusal(
    problem(
      400,
      'bad_field',
      'Idempotency-Key: name this command, so that a retry is not a second one',
      more,
    ),
  );
}

function noOrder(): Answer {
  return problem(404, 'not_found', 'no such order');
}

function publicPosition(p: Position, parts: ApiParts) {
  return {
    rider: p.rider,
    lat: p.lat / UNITS_PER_DEGREE,
    lng: p.lng / UNITS_PER_DEGREE,
    at: p.fixAt,
    heading: p.heading,
    speed: p.speed === null ? null : p.speed / 10,
    accuracy: p.accuracy,
    freshness: freshnessOf(parts.now() - p.heardAt, parts.ages),
  };
}

function anonymous(position: ReturnType<typeof publicPosition> | undefined) {
  if (position === undefined) return undefined;
  const { rider: _, ...rest } = position;
  return rest;
}
