/** The one place where the parts are built and joined, in the order data flows; stopped in reverse. */
import { readFileSync } from 'node:fs';
import type { Backbone } from './backbone/backbone.ts';
import { MemoryBroker, memoryBackbone } from './backbone/memory.ts';
import { redisBackbone } from './backbone/redis/redis.ts';
import type { Revocation } from './backbone/store.ts';
import type { Config } from './config.ts';
import { adminRoutes } from './edge/admin.ts';
import { apiRoutes, toAnswer } from './edge/api.ts';
import { makeAuth } from './edge/auth.ts';
import { Backlog } from './edge/backlog.ts';
import type { DoorParts } from './edge/door.ts';
import type { Answer, Route, RouteOptions } from './edge/http.ts';
import { Limits } from './edge/limits.ts';
import { Revocations } from './edge/revocations.ts';
import { addRoutes, makeServer, type Server } from './edge/server.ts';
import { Session } from './edge/session.ts';
import { addEventStream } from './edge/sse.ts';
import { staticFiles } from './edge/static.ts';
import { addWebSocket } from './edge/ws.ts';
import { Hub } from './fanout/hub.ts';
import { type Grant, type Windows, windowOpen } from './fanout/visibility.ts';
import { Bucket } from './ingest/bucket.ts';
import { Ingest } from './ingest/ingest.ts';
import { Zones } from './ingest/zones.ts';
import { Load } from './observe/load.ts';
import { type Log, makeLog } from './observe/log.ts';
import { Counts, makeRegistry, tally } from './observe/metrics.ts';
import { Orders } from './orders/orders.ts';
import { CONTROL_CHANNEL } from './protocol/channel.ts';
import { CloseCodes } from './protocol/close-codes.ts';

export const VERSION = '0.1.0';

export interface Gateway {
  /** http://host:port of the public port, with 127.0.0.1 for an address that means all. */
  readonly url: string;
  readonly port: number;
  readonly adminPort: number;
  readonly counts: Counts;
  /** Stops accepting, tells every session to leave over the drain window, closes the rest, then stops. */
  drain(): Promise<void>;
  /** Stops at once. */
  stop(): Promise<void>;
}

export interface Extras {
  /** More HTTP routes on the public port. */
  readonly routes?: readonly Route[];
  /** A backbone to use instead of the configured one: tests give two gateways one memory. */
  readonly backbone?: Backbone;
  readonly log?: Log;
  readonly now?: () => number;
  /** Measured instead of this process: tests share theirs with everything else they do. */
  readonly load?: Load;
}

const SWEEP_MS = 1000;
/** ms over which the load is measured. */
const LOAD_MS = 250;

/** What every part is given. */
interface Base {
  readonly config: Config;
  readonly log: Log;
  readonly counts: Counts;
  readonly now: () => number;
  readonly load: Load;
}

/** What lies between the sockets: pings and commands into the backbone, and out of it to whoever watches. */
interface Core {
  readonly backbone: Backbone;
  readonly windows: Windows;
  readonly orders: Orders;
  readonly ingest: Ingest;
  readonly hub: Hub;
  readonly revocations: Revocations;
}

/** What the public and the admin port are for. */
interface Doors {
  readonly sessions: Set<Session>;
  /** The file at a path. */
  readonly files: (path: string) => Answer | undefined;
  readonly routes: readonly Route[];
  readonly draining: () => boolean;
}

/**
 * Starts a gateway in this process.
 * Rejects with one line that says what to do: a port in use, a Redis that does not answer, a zones file that is wrong.
 */
export async function startGateway(config: Config, extras: Extras = {}): Promise<Gateway> {
  const log = extras.log ?? makeLog(config.logLevel, config.nodeId);
  const load = extras.load ?? new Load();
  const base: Base = { config, log, counts: new Counts(), now: extras.now ?? Date.now, load };
  const zones = readZones(config);
  const files = config.staticDir === undefined ? () => undefined : staticFiles(config.staticDir);
  const sessions = new Set<Session>();
  let draining = false;

  const backbone = extras.backbone ?? makeBackbone(base);
  await backbone.start();
  const core = makeCore(base, backbone, zones, (revocation) => {
    for (const session of sessions) session.revoke(revocation);
  });
  const doors = { sessions, files, routes: extras.routes ?? [], draining: () => draining };
  const server = publicServer(base, core, doors);
  const admin = adminServer(base, core, doors);
  const sweeper = setInterval(sweep(base, backbone, sessions), SWEEP_MS);
  const sampler = setInterval(() => load.sample(), LOAD_MS);

  const stop = async () => {
    clearInterval(sweeper);
    clearInterval(sampler);
    admin.close();
    server.close();
    core.hub.stop();
    core.ingest.stop();
    await backbone.stop();
  };
  const drain = async () => {
    draining = true;
    server.quiet();
    await empty(base, sessions);
    await stop();
  };
  try {
    await core.revocations.start();
    const port = await server.listen(config.host, config.port, 'PORT', config.sharePort);
    const adminPort = await admin.listen(config.adminHost, config.adminPort, 'ADMIN_PORT');
    log.info({ port, adminPort, backbone: backbone.kind }, 'ridecast listens');
    const url = `http://${config.host === '0.0.0.0' ? '127.0.0.1' : config.host}:${port}`;
    return { url, port, adminPort, counts: base.counts, stop, drain };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Builds what lies between the sockets, and lets the bus deliver to it. */
function makeCore(
  { config, log, counts, now, load }: Base,
  backbone: Backbone,
  zones: Zones | undefined,
  revoked: (revocation: Revocation) => void,
): Core {
  const { bus, store } = backbone;
  const ends = new Set(config.orderEndStatuses);
  const windows = {
    statuses: config.orderStatuses,
    customerFrom: config.customerFrom,
    partnerFrom: config.partnerFrom,
    nearFrom: config.nearFrom ?? config.orderStatuses.findLast((status) => !ends.has(status))!,
  };
  const lifecycle = { statuses: config.orderStatuses, ends };
  const orders = new Orders({ ...config, store, bus, lifecycle, now });
  const ingest = new Ingest({
    ...config,
    bus,
    store,
    counts,
    now,
    rules: { ...config, zones },
    activeOrders: (rider) => orders.active('rider', rider),
    partnerSees: (order) => windowOpen(windows, 'partner', order),
  });
  const hub = new Hub({ ...config, bus, store, orders, counts, windows, ages: config, now, load });
  const revocations = new Revocations({ bus, store, counts, revoked });
  bus.onMessage((channel, payload) => {
    if (channel.startsWith('rider:')) ingest.deliver(channel, payload);
    else if (channel === CONTROL_CHANNEL) revocations.deliver(payload);
    else hub.deliver(channel, payload);
  });
  bus.onGeneration((generation) => {
    log.warn({ generation }, 'the bus was joined anew: reading again what is watched');
    hub.generation();
    ingest.generation();
    revocations.generation();
  });
  return { backbone, windows, orders, ingest, hub, revocations };
}

/** Sessions over WebSocket, the API, and files. */
function publicServer(base: Base, core: Core, { sessions, files, routes }: Doors): Server {
  const { config, log, counts, now, load } = base;
  const { hub, ingest, orders, windows } = core;
  const { store } = core.backbone;
  const { revocations } = core;
  const auth = revocations.guard(
    makeAuth({
      secret: config.authSecret,
      jwksUrl: config.authJwksUrl,
      issuer: config.authIssuer,
      audience: config.authAudience,
    }),
  );
  const server = makeServer(
    files,
    'nothing here: the WebSocket is at /v1/ws, the API under /v1 (PROTOCOL.md)',
  );
  const statuses = config.orderStatuses;
  const api = apiRoutes({
    auth,
    orders,
    ingest,
    store,
    windows,
    statuses,
    ages: config,
    counts,
    now,
    revocations,
  });
  addRoutes(server, [...api, ...routes], answers(base));

  const subjects = new Limits(config.maxSessionsPerSubject);
  const backlog = new Backlog<Session>(() => counts.shed++);
  const node = config.nodeId;
  const revoked = (grant: Grant) => revocations.has(grant);
  const sessionParts = { auth, hub, ingest, counts, subjects, node, now, config, load, backlog, revoked };
  const admission = new Bucket(config.connectsPerSecond, config.connectsPerSecond);
  let lastSession = 0;
  const door: DoorParts = {
    opened: (socket, header) =>
      new Session(socket, `${config.nodeId}-${++lastSession}`, header, sessionParts),
    sessions,
    ips: new Limits(config.maxSessionsPerIp),
    // On an overloaded node each costs more: fewer come in.
    admit: () => admission.take(load.factor, now()),
    refused: (reason) => tally(counts.closes, `refused: ${reason}`),
    failed: (error) => log.error({ err: error }, 'a socket handler failed'),
    config,
  };
  addWebSocket(server.app, '/v1/ws', door);
  addEventStream(server.app, '/v1/stream', door);
  return server;
}

/** Health and metrics. */
function adminServer(base: Base, { backbone, hub, ingest }: Core, { sessions, draining }: Doors): Server {
  const { config, counts, now, load } = base;
  const startedAt = now();
  const gauges = {
    sessions: () => sessions.size,
    channels: () => hub.size,
    riders: () => ingest.size,
    healthy: () => backbone.healthy(),
    buffered: () => [...sessions].reduce((sum, session) => sum + session.buffered, 0),
    stretch: () => load.factor,
    busy: () => load.utilization,
  };
  const health = () => ({
    node: config.nodeId,
    backbone: backbone.kind,
    healthy: backbone.healthy(),
    draining: draining(),
    sessions: sessions.size,
    uptimeS: Math.round((now() - startedAt) / 1000),
    version: VERSION,
  });
  const server = makeServer(() => undefined, 'nothing here: /healthz, /readyz, /metrics');
  addRoutes(server, adminRoutes(health, makeRegistry(counts, gauges, config.nodeId)), answers(base));
  return server;
}

function answers({ config, log, counts }: Base): RouteOptions {
  return {
    maxBody: config.frameBytes,
    allowedOrigins: config.allowedOrigins,
    answered: (status) => tally(counts.http, String(status)),
    failed: (error) => {
      const answer = toAnswer(error);
      if (answer.status >= 500) log.error({ err: error }, 'a request failed');
      return answer;
    },
  };
}

/** What is done every SWEEP_MS: deadlines of sessions, and news of the backbone for them. */
function sweep({ log, now }: Base, backbone: Backbone, sessions: Set<Session>): () => void {
  let healthy = true;
  return () => {
    const at = now();
    for (const session of sessions) session.sweep(at);
    if (backbone.healthy() === healthy) return;
    healthy = !healthy;
    log.warn({ healthy }, healthy ? 'the backbone answers again' : 'the backbone does not answer');
    for (const session of sessions) session.backbone(healthy);
  };
}

/** Tells every session to leave over the drain window, and closes those that stayed. */
async function empty({ config, now }: Base, sessions: Set<Session>): Promise<void> {
  for (const session of sessions) session.drain(0, config.drainSpreadMs);
  const until = now() + config.drainSpreadMs + SWEEP_MS;
  while (sessions.size > 0 && now() < until) await new Promise((resolve) => setTimeout(resolve, 50));
  for (const session of [...sessions]) session.close(CloseCodes.draining);
}

function makeBackbone({ config, log, now }: Base): Backbone {
  const { positionTtlMs } = config;
  if (config.redisUrl === undefined) return memoryBackbone(new MemoryBroker({ positionTtlMs, now }));
  return redisBackbone({
    url: config.redisUrl,
    prefix: config.redisPrefix,
    commandTimeoutMs: config.redisTimeoutMs,
    heartbeatMs: config.redisProbeMs,
    positionTtlMs,
    log,
  });
}

function readZones({ zonesFile, zoneHysteresisM }: Config): Zones | undefined {
  if (zonesFile === undefined) return undefined;
  try {
    return Zones.fromGeoJson(readFileSync(zonesFile, 'utf8'), zoneHysteresisM);
  } catch (error) {
    throw new Error(`ZONES_FILE ${zonesFile}: ${(error as Error).message}`);
  }
}
