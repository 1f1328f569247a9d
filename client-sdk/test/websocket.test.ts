/** The real transport: a WebSocket server on a free port that speaks the protocol by hand. */
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { connect, rider, watchFleet, watchOrder } from '../src/index.ts';
import type { Client, Options } from '../src/types.ts';
import type { ClientMessage, GatewayMessage } from '../src/wire.ts';
import { cursor, event, order, positions, tuple, watching, welcome } from './pair.ts';

const undo: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

type Say = (...messages: GatewayMessage[]) => void;

/** Answers every message by `script`; `sockets` counts from 1. */
async function gateway(script: (m: ClientMessage, say: Say, socket: WebSocket, n: number) => void) {
  const server = new WebSocketServer({
    port: 0,
    host: '127.0.0.1',
    handleProtocols: (p) => [...p][0] ?? false,
  });
  await new Promise((ready) => server.once('listening', ready));
  let n = 0;
  server.on('connection', (socket) => {
    const mine = ++n;
    const say: Say = (...messages) => {
      for (const m of messages) socket.send(JSON.stringify(m));
    };
    socket.on('message', (data) => script(JSON.parse(String(data)), say, socket, mine));
  });
  undo.push(
    () =>
      new Promise((done) => {
        for (const socket of server.clients) socket.terminate();
        server.close(() => done());
      }),
  );
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/v1/ws`, server };
}

function dial(url: string, o: Partial<Options> = {}): Client {
  const client = connect(url, { token: 'tok', WebSocket, ...o });
  undo.push(() => client.close());
  return client;
}

const soon = { reconnect: { after: 0, spread: 20 } };
const once = <T>(on: (cb: (e: T) => void) => unknown) => new Promise<T>((resolve) => on(resolve));

it('watches an order over a socket that dies, with every event once', async () => {
  const { url } = await gateway((m, say, socket, n) => {
    if (m.t !== 'hello') return;
    if (n === 1) {
      say(
        welcome(soon),
        watching({ cursor: cursor(4), order: order(), block: [3, 1, [tuple(1, 7, 17)]] }),
        event(5),
      );
      socket.terminate();
    } else {
      const { t: _t, c: _c, ...six } = event(6);
      expect(m.watch![0]!.since).toEqual(cursor(5));
      say(
        welcome(soon),
        watching({ cursor: cursor(6), order: six.order, events: [six], block: [3, 1, [tuple(1, 7, 16)]] }),
      );
      say(positions([3, 0, [tuple(1, 7, 18)]]), event(7));
    }
  });
  const watch = watchOrder(dial(url), '42');
  const seen: number[] = [];
  watch.on('event', (e) => seen.push(e.offset));
  await once((cb) => watch.on('status', (s) => s.status === 's7' && cb(s)));
  expect(seen).toEqual([5, 6, 7]);
  expect(watch.snapshot!.position!.lat).toBe(52.51648);
});

it('offers the sub-protocol and never puts the token in the url', async () => {
  const { url, server } = await gateway((m, say) => m.t === 'hello' && say(welcome()));
  const request = once<{ url?: string; headers: Record<string, unknown> }>((cb) =>
    server.once('connection', (_, req) => cb(req)),
  );
  const client = dial(url);
  await client.ready();
  const { url: path, headers } = await request;
  expect(path).toBe('/v1/ws');
  expect(headers['sec-websocket-protocol']).toBe('ridecast.v1.json');
});

it('watches a fleet and credits what it has handled', async () => {
  let credited = 0;
  let enough = () => {};
  const done = new Promise<void>((resolve) => {
    enough = resolve;
  });
  const { url } = await gateway((m, say) => {
    if (m.t === 'hello') {
      say(welcome({ credit: { frames: 4, bytes: 65_536 } }));
      say(watching({ channel: 'zone:7', block: [3, 1, [tuple(1, 7, 1)], [[1, 'ann', []]]] }));
      for (let seq = 2; seq <= 6; seq++) say(positions([3, 0, [tuple(1, 7, seq)]]));
    }
    if (m.t === 'credit') credited = m.n;
    if (credited === 4) enough();
  });
  const fleet = watchFleet(dial(url), { zone: '7' });
  await Promise.all([
    done,
    once((cb) => fleet.on('change', (items) => items.get('ann')!.position.lat > 52.51635 && cb(items))),
  ]);
});

it('sends a rider’s pings again after the socket died, with the same numbers', async () => {
  const got: number[][] = [];
  const { url } = await gateway((m, say, socket, n) => {
    if (m.t === 'hello') say(welcome({ ...soon, role: 'rider', rider: { session: 9, seq: 0 } }));
    if (m.t !== 'ping') return;
    got.push(m.pings.map((p) => p.seq));
    if (n === 1) socket.terminate();
    else say({ t: 'pinged', seq: m.pings.at(-1)!.seq });
  });
  const client = dial(url, { background: true });
  const me = rider(client);
  await client.ready();
  expect(me.push({ lat: 52.5, lng: 13.4 })).toBe('sent');
  expect(await me.flush(20_000)).toBe(true);
  expect(got).toEqual([[1], [1]]);
});

it('is closed for good by 4503 and not by a server that is not there', async () => {
  const { url } = await gateway((_, __, socket) => socket.close(4503, 'denied'));
  const refused = dial(url);
  await expect(refused.ready()).rejects.toMatchObject({ reason: 'denied' });
  const nobody = dial('ws://127.0.0.1:1/v1/ws', { backoff: { baseMs: 1, capMs: 5 } });
  await once((cb) => nobody.on('state', (i) => i.attempt === 3 && cb(i)));
  expect(nobody.info.state).not.toBe('closed');
});

it('lets go of a socket that is still connecting', async () => {
  const { url } = await gateway(() => {});
  const client = dial(url);
  await once((cb) => setImmediate(() => cb(0)));
  client.close();
  expect(client.info.state).toBe('closed');
});
