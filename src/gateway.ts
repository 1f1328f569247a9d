/** The one place where the parts are built and joined, in the order data flows; stopped in reverse. */
import { readFileSync } from 'node:fs';
import type { Backbone } from './backbone/backbone.ts';
import { MemoryBroker, memoryBackbone } from './backbone/memory.ts';
import { redisBackbone } from './backbone/redis/redis.ts';
import type { Config } from './config.ts';
import { adminRoutes } from './edge/admin.ts';
import { apiRoutes, toAnswer } from './edge/api.ts';
import { makeAuth } from './edge/auth.ts';
import type { Route } from './edge/http.ts';
import { Limits } from './edge/limits.ts';
import { addRoutes, makeServer } from './edge/server.ts';
import { opened, type Session } from './edge/session.ts';
import { staticFiles } from './edge/static.ts';
import { addWebSocket } from './edge/ws.ts';
import { Hub } from './fanout/hub.ts';
import { windowOpen } from './fanout/visibility.ts';
import { Ingest } from './ingest/ingest.ts';
import { Zones } from './ingest/zones.ts';
import { type Log, makeLog } from './observe/log.ts';
import { Counts, makeRegistry, tally } from './observe/metrics.ts';
import { Orders } from './orders/orders.ts';
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
}

const SWEEP_MS = 1000;

/**
 * Starts a gateway in this process.
 * Rejects with one line that says what to do: a port in use, a Redis that does not answer, a zones file that is wrong.
 */
export async function startGateway(config: Config, extras: Extras = {}): Promise<Gateway> {
  const now = extras.now ?? Date.now;
  const log = extras.log ?? makeLog(config.logLevel, config.nodeId);
  const counts = new Counts();
  const startedAt = now();
  const zones =
    config.zonesFile === undefined ? undefined : readZones(config.zonesFile, config.zoneHysteresisM);
  const files = config.staticDir === undefined ? () => undefined : staticFiles(config.staticDir);

  const backbone = extras.backbone ?? makeBackbone(config, log, now);
  await backbone.start();
  const { bus, store } = backbone;
  const windows = {
    statuses: config.orderStatuses,
    customerFrom: config.customerFrom,
    partnerFrom: config.partnerFrom,
  };
  const lifecycle = { statuses: config.orderStatuses, ends: new Set(config.orderEndStatuses) };
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
  const hub = new Hub({ ...config, bus, store, orders, counts, windows, ages: config, now });
  bus.onMessage((channel, payload) => {
    if (channel.startsWith('rider:')) ingest.deliver(channel, payload);
    else hub.deliver(channel, payload);
  });
  bus.onGeneration((generation) => {
    log.warn({ generation }, 'the bus was joined anew: reading again what is watched');
    hub.generation();
    ingest.generation();
  });

  const auth = makeAuth({
    secret: config.authSecret,
    jwksUrl: config.authJwksUrl,
    issuer: config.authIssuer,
    audience: config.authAudience,
  });
  const sessions = new Set<Session>();
  const subjects = new Limits(config.maxSessionsPerSubject);
  const sessionParts = { auth, hub, ingest, counts, subjects, node: config.nodeId, now, config };
  let lastSession = 0;
  let draining = false;

  const server = makeServer(
    files,
    'nothing here: the WebSocket is at /v1/ws, the API under /v1 (PROTOCOL.md)',
  );
  const answers = {
    maxBody: config.frameBytes,
    answered: (status: number) => tally(counts.http, String(status)),
    failed: (error: unknown) => {
      const answer = toAnswer(error);
      if (answer.status >= 500) log.error({ err: error }, 'a request failed');
      return answer;
    },
  };
  addRoutes(
    server,
    [
      ...apiRoutes({
        ...config,
        auth,
        orders,
        ingest,
        store,
        windows,
        statuses: config.orderStatuses,
        counts,
        now,
      }),
      ...(extras.routes ?? []),
    ],
    answers,
  );
  addWebSocket(server.app, '/v1/ws', {
    opened: (socket, header) => opened(socket, `${config.nodeId}-${++lastSession}`, header, sessionParts),
    sessions,
    ips: new Limits(config.maxSessionsPerIp),
    refused: (reason) => tally(counts.closes, `refused: ${reason}`),
    failed: (error) => log.error({ err: error }, 'a socket handler failed'),
    config,
  });

  const registry = makeRegistry(
    counts,
    {
      sessions: () => sessions.size,
      channels: () => hub.size,
      riders: () => ingest.size,
      healthy: () => backbone.healthy(),
    },
    config.nodeId,
  );
  const health = () => ({
    node: config.nodeId,
    backbone: backbone.kind,
    healthy: backbone.healthy(),
    draining,
    sessions: sessions.size,
    uptimeS: Math.round((now() - startedAt) / 1000),
    version: VERSION,
  });
  const admin = makeServer(() => undefined, 'nothing here: /healthz, /readyz, /metrics');
  addRoutes(admin, adminRoutes(health, registry), answers);

  let healthy = true;
  const sweeper = setInterval(() => {
    const at = now();
    for (const session of sessions) session.sweep(at);
    if (backbone.healthy() === healthy) return;
    healthy = !healthy;
    log.warn({ healthy }, healthy ? 'the backbone answers again' : 'the backbone does not answer');
    for (const session of sessions) session.backbone(healthy);
  }, SWEEP_MS);

  const stop = async () => {
    clearInterval(sweeper);
    server.close();
    admin.close();
    hub.stop();
    ingest.stop();
    await backbone.stop();
  };

  let port: number;
  let adminPort: number;
  try {
    port = await server.listen(config.host, config.port, 'PORT');
    adminPort = await admin.listen(config.adminHost, config.adminPort, 'ADMIN_PORT');
  } catch (error) {
    await stop();
    throw error;
  }
  log.info({ port, adminPort, backbone: backbone.kind }, 'ridecast listens');

  return {
    url: `http://${config.host === '0.0.0.0' ? '127.0.0.1' : config.host}:${port}`,
    port,
    adminPort,
    counts,
    stop,
    async drain() {
      draining = true;
      server.quiet();
      for (const session of sessions) session.drain(0, config.drainSpreadMs);
      const until = now() + config.drainSpreadMs + SWEEP_MS;
      while (sessions.size > 0 && now() < until) await new Promise((resolve) => setTimeout(resolve, 50));
      for (const session of [...sessions]) session.leave(CloseCodes.draining);
      await stop();
    },
  };
}

function makeBackbone(config: Config, log: Log, now: () => number): Backbone {
  const { positionTtlMs } = config;
  if (config.redisUrl === undefined) return memoryBackbone(new MemoryBroker({ positionTtlMs, now }));
  return redisBackbone({
    url: config.redisUrl,
    prefix: config.redisPrefix,
    commandTimeoutMs: config.redisTimeoutMs,
    positionTtlMs,
    log,
  });
}

function readZones(file: string, hysteresisM: number): Zones {
  try {
    return Zones.fromGeoJson(readFileSync(file, 'utf8'), hysteresisM);
  } catch (error) {
    throw new Error(`ZONES_FILE ${file}: ${(error as Error).message}`);
  }
}
