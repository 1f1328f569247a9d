import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { Lane } from '../loadtest/lane.ts';
import { play } from '../loadtest/play.ts';
import { cpuSeconds, launch } from '../loadtest/processes.ts';
import { formatReport, isBroken, laneReport, type Report } from '../loadtest/report.ts';
import { RiderClient } from '../loadtest/rider-client.ts';
import { hardlyOverlap, readTraces, schedule, type Trace, zonesOver } from '../loadtest/traces.ts';
import { WatcherClient } from '../loadtest/watcher-client.ts';
import { jsonCodec, msgpackCodec, packedCodec } from '../src/protocol/codec.ts';
import type { ClientMessage, PositionTuple } from '../src/protocol/messages.ts';
import { SECRET, testGateway } from './support/gateway.ts';

/** A rider that moves 11 m north every 100 ms. */
function synthetic(id: string, start: number, count: number): Trace {
  const fixes = Array.from({ length: count }, (_, i) => ({
    t: start + i * 100,
    lat: 52.5 + i * 1e-4,
    lng: 13.4,
  }));
  return { id, fixes };
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ridecast-replay-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

describe('traces', () => {
  const lines =
    '{"id":"a","t":1,"lat":1,"lng":2,"act":"foot"}\n{"id":7,"t":2,"lat":3,"lng":4,"accuracy":5}\n';

  it('are read from plain and from gzipped lines', async () => {
    const expected = [
      { id: 'a', fixes: [{ t: 1, lat: 1, lng: 2 }] },
      { id: '7', fixes: [{ t: 2, lat: 3, lng: 4, accuracy: 5 }] },
    ];
    expect(await readTraces(file('t.ndjson', lines))).toEqual(expected);
    expect(await readTraces(file('t.ndjson.gz', gzipSync(lines)))).toEqual(expected);
  });

  it.each([
    ['a line that is not JSON', '{"id":"a","t":1,"lat":1,"lng":2}\nnope\n', /line 2: /],
    ['a latitude out of range', '{"id":"a","t":1,"lat":91,"lng":2}\n', /line 1: lat: /],
    ['an empty file', '', /holds no traces/],
  ])('name %s', async (_, content, problem) => {
    await expect(readTraces(file('bad.ndjson', content))).rejects.toThrow(problem);
  });

  it('name a file that is not there', async () => {
    await expect(readTraces(join(folder, 'none.ndjson.gz'))).rejects.toThrow(/none.ndjson.gz: ENOENT/);
  });

  it('that hardly overlap start together; others keep their own time', () => {
    const apart = [synthetic('a', 0, 3), synthetic('b', 1e9, 3)];
    const together = [synthetic('a', 0, 3), synthetic('b', 100, 3)];
    expect(hardlyOverlap(apart)).toBe(true);
    expect(hardlyOverlap(together)).toBe(false);
    // biome-ignore format: a table
    expect(schedule(apart).map(({ at, trace }) => [at, trace])).toEqual([
      [0, 0], [0, 1], [100, 0], [100, 1], [200, 0], [200, 1],
    ]);
    // biome-ignore format: a table
    expect(schedule(together).map(({ at, trace }) => [at, trace])).toEqual([
      [0, 0], [100, 0], [100, 1], [200, 0], [200, 1], [300, 1],
    ]);
  });

  it('are sped up, cut, spread and aligned as asked', () => {
    const traces = [synthetic('a', 0, 3), synthetic('b', 1000, 3)];
    const ats = (options: Parameters<typeof schedule>[1]) => schedule(traces, options).map(({ at }) => at);
    expect(ats({ align: true, speed: 2 })).toEqual([0, 0, 50, 50, 100, 100]);
    expect(ats({ align: true, seconds: 0.1 })).toEqual([0, 0, 100, 100]);
    expect(ats({ align: true, spread: 1 })).toEqual([0, 100, 200, 500, 600, 700]);
    expect(ats({ align: false })).toEqual([0, 100, 200, 1000, 1100, 1200]);
  });

  it('are covered by the zones drawn over them', () => {
    const { ids, geojson } = zonesOver([synthetic('a', 0, 50)], 2);
    expect(ids).toEqual(['z1', 'z2', 'z3', 'z4']);
    const rings = JSON.parse(geojson).features.map(
      (f: { geometry: { coordinates: number[][][] } }) => f.geometry.coordinates[0],
    );
    const lats = rings.flat().map(([, lat]: number[]) => lat);
    expect(Math.min(...lats)).toBeLessThan(52.5);
    expect(Math.max(...lats)).toBeGreaterThan(52.505);
  });
});

describe('a replay', () => {
  it.each([
    ['json', jsonCodec, 50],
    ['msgpack', msgpackCodec, 30],
    ['packed', packedCodec, 3],
  ] as const)('shows every rider to its customer and its zone (%s)', async (_, codec, bytes) => {
    const traces = [synthetic('a', 0, 12), synthetic('b', 50, 12)];
    const zones = zonesOver(traces, 2);
    const gateway = await testGateway({
      ZONES_FILE: file('zones.geojson', zones.geojson),
      GROUP_TICK_MS: '20',
    });
    try {
      const url = gateway.url;
      // biome-ignore format: one call
      const report = await play({ traces, riderUrl: url, watcherUrl: url, secret: SECRET, codec, zones: zones.ids, operators: 2, pids: { gateway: process.pid } });
      expect(report.pings).toEqual({ sent: 24, acknowledged: 24, refused: {}, skipped: 0 });
      expect(report.order).toMatchObject({
        shown: 24,
        frames: 24,
        duplicates: 0,
        regressions: 0,
        blind: 0,
      });
      expect(report.zone).toMatchObject({ duplicates: 0, regressions: 0, blind: 0 });
      expect(report.zone!.shown).toBeGreaterThanOrEqual(4);
      expect(report).toMatchObject({ riders: 2, ended: 2, lostSockets: 0 });
      expect(report.order.p99Ms).toBeGreaterThan(0);
      expect(report.order.bytesPerPosition).toBeGreaterThan(bytes);
      expect(report.order.bytesPerPosition).toBeLessThan(4 * bytes);
      expect(isBroken(report)).toBe(false);
    } finally {
      await gateway.stop();
    }
  });

  it('counts what the gateway refused', async () => {
    const gateway = await testGateway({ PINGS_PER_SECOND: '1' });
    try {
      const url = gateway.url;
      const traces = [synthetic('a', 0, 12)];
      // biome-ignore format: one call
      const report = await play({ traces, riderUrl: url, watcherUrl: url, secret: SECRET, codec: jsonCodec, zones: [], operators: 1 });
      expect(report.pings).toMatchObject({ sent: 12, acknowledged: 12 });
      expect(report.pings.refused.rate).toBeGreaterThan(0);
      expect(report.zone).toBeNull();
    } finally {
      await gateway.stop();
    }
  });

  it('says why it cannot start', async () => {
    const gateway = await testGateway();
    try {
      const url = gateway.url;
      // biome-ignore format: one call
      const bad = play({ traces: [synthetic('a', 0, 1)], riderUrl: url, watcherUrl: url, secret: 'x'.repeat(32), codec: jsonCodec, zones: [], operators: 1 });
      await expect(bad).rejects.toThrow(/PUT .* was answered 401/);
    } finally {
      await gateway.stop();
    }
  });
});

/** A gateway that takes pings and shows its one customer whatever it is told to. */
class FalseGateway {
  private readonly server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  private customer: WebSocket | undefined;

  constructor() {
    this.server.on('connection', (socket) => {
      socket.on('message', (data: Buffer) => this.answer(socket, JSON.parse(String(data)) as ClientMessage));
    });
  }

  async listening(): Promise<this> {
    if (this.server.address() === null) await once(this.server, 'listening');
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as { port: number }).port}`;
  }

  show(...tuples: PositionTuple[]): void {
    for (const tuple of tuples)
      this.customer!.send(JSON.stringify({ t: 'positions', at: 0, b: [[1, 0, [tuple]]] }));
  }

  stop(): void {
    for (const socket of this.server.clients) socket.terminate();
    this.server.close();
  }

  private answer(socket: WebSocket, message: ClientMessage): void {
    const say = (answer: unknown) => socket.send(JSON.stringify(answer));
    if (message.t === 'hello' && message.rider !== undefined)
      say({ t: 'welcome', rider: { session: 5, seq: 0 } });
    else if (message.t === 'hello') {
      this.customer = socket;
      say({ t: 'welcome' });
      say({ t: 'watching', w: 1, channel: 'order:1', c: 1, at: 0, block: [1, 1, []] });
    } else if (message.t === 'ping') say({ t: 'pinged', seq: message.pings[0]!.seq });
    else if (message.t === 'beat') say({ t: 'beat', now: 0 });
  }
}

describe('a watcher', () => {
  const gateway = { current: undefined as FalseGateway | undefined };
  afterEach(() => gateway.current?.stop());

  /** A watcher of a rider that sent three pings, in session 5, and what it made of these positions. */
  async function shown(...tuples: PositionTuple[]): Promise<{ lane: Lane; blind: boolean }> {
    const fake = await new FalseGateway().listening();
    gateway.current = fake;
    const rider = new RiderClient('r', fake.url, 'token', jsonCodec);
    const lane = new Lane();
    const watch = [{ channel: 'order:1', rider }];
    // biome-ignore format: one call
    const watcher = new WatcherClient({ url: fake.url, token: 'token', codec: jsonCodec, watch, riders: new Map(), lane });
    await rider.connection.start();
    await watcher.start();
    for (let i = 0; i < 3; i++) rider.ping({ lat: i, lng: i });
    await rider.allDealtWith();
    fake.show(...tuples);
    await watcher.settle();
    await Promise.all([rider.connection.close(), watcher.connection.close()]);
    return { lane, blind: !watcher.seen.has(rider) };
  }

  it('counts positions that move on, and takes their latency', async () => {
    const { lane, blind } = await shown([1, 5, 1, 0, 0, 0, 0], [1, 5, 3, 0, 0, 0, 0], [1, 5, 3, 0, 0, 0, 1]);
    expect(lane).toMatchObject({ shown: 2, duplicates: 0, regressions: 0, frames: 3 });
    expect(lane.percentile(50)).toBeGreaterThan(0);
    expect(blind).toBe(false);
  });

  it('sees a position shown twice', async () => {
    const { lane } = await shown([1, 5, 2, 0, 0, 0, 0], [1, 5, 2, 0, 0, 0, 0]);
    expect(lane).toMatchObject({ shown: 1, duplicates: 1, regressions: 0 });
  });

  it.each<[string, PositionTuple]>([
    ['an older ping', [2, 5, 1, 0, 0, 0, 0]],
    ['an older session', [2, 4, 9, 0, 0, 0, 0]],
    ['an earlier assignment', [1, 5, 3, 0, 0, 0, 0]],
    ['an older ping under a newer assignment', [3, 5, 1, 0, 0, 0, 0]],
  ])('sees a step back: %s', async (_, tuple) => {
    const { lane } = await shown([2, 5, 2, 0, 0, 0, 0], tuple);
    expect(lane).toMatchObject({ duplicates: 0, regressions: 1 });
  });

  it('is blind if it is shown nothing', async () => {
    expect(await shown()).toMatchObject({ blind: true });
  });
});

describe('a report', () => {
  const lane = (broken: Partial<Lane>, blind = 0) => laneReport(Object.assign(new Lane(), broken), blind);
  const report: Report = {
    riders: 1,
    pings: { sent: 3, acknowledged: 3, refused: { rate: 1 }, skipped: 0 },
    order: lane({ shown: 2, frames: 2, bytes: 100 }),
    zone: null,
    ended: 1,
    lostSockets: 0,
    cpuSeconds: { gateway: 0.5, redis: null },
    wallSeconds: 3,
    generator: { cpuSeconds: 0.1, lagP99Ms: 30, limited: true },
  };

  it('reads as a table, and says when the generator was the limit', () => {
    const text = formatReport(report);
    expect(text).toContain('2 positions shown in 2 frames, 50 bytes each');
    expect(text).toContain('refused: 1 rate');
    expect(text).toContain('THE GENERATOR WAS THE LIMIT');
    const within = { ...report, generator: { ...report.generator, limited: false } };
    expect(formatReport(within)).not.toContain('LIMIT');
  });

  it('is broken by a regression, a duplicate or a blind watcher on either lane', () => {
    expect(isBroken(report)).toBe(false);
    expect(isBroken({ ...report, order: lane({ regressions: 1 }) })).toBe(true);
    expect(isBroken({ ...report, order: lane({ duplicates: 1 }) })).toBe(true);
    expect(isBroken({ ...report, zone: lane({}, 1) })).toBe(true);
  });
});

describe('a process of a replay', () => {
  const ready = (line: string) => (line === 'ready' ? line : undefined);
  const node = (script: string) => launch(process.execPath, ['-e', script], process.env, ready);

  it('is awaited, measured and stopped', async () => {
    const started = await node('console.log("ready"); setInterval(() => {}, 1000)');
    expect(started.ready).toBe('ready');
    if (process.platform === 'linux') expect(cpuSeconds(started.pid)).toBeGreaterThanOrEqual(0);
    await started.stop();
    expect(() => process.kill(started.pid, 0)).toThrow();
    expect(cpuSeconds(started.pid)).toBeNull();
  });

  it('that ends before it is ready is reported with what it said', async () => {
    await expect(node('console.error("no luck"); process.exit(3)')).rejects.toThrow(/ended with 3:\nno luck/);
  });
});
