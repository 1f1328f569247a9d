/** What Node lacks: a socket of our own against those of `ws` and of the gateway, and a queue on disk. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocketServer, type WebSocket as WsSocket } from 'ws';
import { call, givenOrder, testGateway, token } from '../../test/support/gateway.ts';
import { connect, rider, watchOrder } from '../src/index.ts';
import { fileStore, WebSocket } from '../src/node.ts';
import { NodeSocket } from '../src/node-socket.ts';
import type { Position } from '../src/types.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

const once = <T>(on: (cb: (e: T) => void) => unknown) => new Promise<T>((resolve) => on(resolve));

/** A server of the `ws` package, and one of its sockets with ours. */
async function pair(): Promise<{ theirs: WsSocket; ours: NodeSocket; url: string }> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  undo.push(() => new Promise((done) => server.close(done)));
  await once((cb) => server.once('listening', () => cb(0)));
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/v1/ws`;
  const theirs = once<WsSocket>((cb) => server.once('connection', cb));
  const ours = new NodeSocket(url, 'ridecast.v1.json');
  undo.push(() => ours.terminate());
  await once<void>((cb) => {
    ours.onopen = cb;
  });
  return { theirs: await theirs, ours, url };
}

const heard = (ours: NodeSocket) =>
  once<string | ArrayBuffer>((cb) => {
    ours.onmessage = (e) => cb(e.data);
  });
const closing = (ours: NodeSocket) =>
  once<{ code: number; reason: string }>((cb) => {
    ours.onclose = cb;
  });

describe('a socket', () => {
  it.each([0, 1, 125, 126, 65_535, 65_536, 1_000_000])(
    'carries %i bytes both ways, as text and as bytes',
    async (n) => {
      const { theirs, ours } = await pair();
      theirs.on('message', (data, binary) => theirs.send(data, { binary }));
      const bytes = Uint8Array.from({ length: n }, (_, i) => i * 7);
      ours.send(bytes);
      expect(Buffer.from((await heard(ours)) as ArrayBuffer).equals(bytes)).toBe(true);
      const text = 'ü'.repeat(n / 2);
      ours.send(text);
      expect((await heard(ours)) === text).toBe(true);
      expect(ours.bufferedAmount).toBe(0);
    },
  );

  it('puts a message together from its fragments, with a ping between them that it answers', async () => {
    const { theirs, ours } = await pair();
    const pong = once((cb) => theirs.once('pong', (data) => cb(String(data))));
    theirs.send('one, ', { fin: false });
    theirs.ping('still there?');
    theirs.send('two', { fin: true });
    expect(await heard(ours)).toBe('one, two');
    expect(await pong).toBe('still there?');
  });

  it('tells the code it was closed with, and hands on its own', async () => {
    const { theirs, ours } = await pair();
    theirs.close(4503, 'denied');
    expect(await closing(ours)).toEqual({ code: 4503, reason: 'denied' });
    const next = await pair();
    const code = once<number>((cb) => next.theirs.once('close', cb));
    next.ours.close(1000);
    expect(await code).toBe(1000);
  });

  it('closes with 1006 when the other side is gone, never was there, or refuses', async () => {
    const { theirs, ours, url } = await pair();
    theirs.terminate();
    expect(await closing(ours)).toEqual({ code: 1006, reason: '' });
    expect(await closing(new NodeSocket('ws://127.0.0.1:1/', 'x'))).toMatchObject({ code: 1006 });
    const server = createServer((_, res) => res.writeHead(403).end()).listen(0, '127.0.0.1');
    undo.push(() => server.close());
    await once((cb) => server.once('listening', () => cb(0)));
    const { port } = server.address() as AddressInfo;
    expect(await closing(new NodeSocket(`ws://127.0.0.1:${port}/`, 'x'))).toMatchObject({ code: 1006 });
    const dropped = new NodeSocket(url, 'x');
    dropped.close();
    expect(await closing(dropped)).toMatchObject({ code: 1006 });
  });

  it('takes no server for one that does not know the handshake, and reads bytes as they come', async () => {
    const answers = (accept: (key: string) => string, more: (socket: Socket) => void) =>
      new Promise<string>((resolve) => {
        const server = createTcpServer((socket) => {
          socket.on('error', () => {});
          socket.once('data', (request) => {
            const key = /Sec-WebSocket-Key: (.*)\r/.exec(String(request))![1]!;
            socket.write(
              `HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept(key)}\r\n\r\n`,
            );
            more(socket);
          });
        }).listen(0, '127.0.0.1', () => {
          const ours = new NodeSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/`, 'x');
          undo.push(() => ours.terminate());
          ours.onmessage = (e) => resolve(String(e.data));
          ours.onclose = (e) => resolve(String(e.code));
        });
        undo.push(() => server.close());
      });
    const { createHash } = await import('node:crypto');
    const right = (key: string) =>
      createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    expect(
      await answers(
        () => 'nonsense',
        (socket) => socket.write(Buffer.from([0x81, 1, 65])),
      ),
    ).toBe('1006');
    const trickle = async (socket: Socket) => {
      const frame = Buffer.from([0x81, 126, 0, 200, ...Buffer.alloc(200, 65)]);
      for (const byte of frame) await new Promise((next) => socket.write(Buffer.from([byte]), next));
    };
    expect(await answers(right, trickle)).toBe('A'.repeat(200));
  });

  it('serves the SDK: a rider’s pings, and the order to its end', async () => {
    const gateway = await testGateway();
    undo.push(() => gateway.stop());
    await givenOrder(gateway, 'o', { rider: 'r' }, 'picked_up');
    const url = `${gateway.url.replace('http', 'ws')}/v1/ws`;
    const options = { background: true, WebSocket: NodeSocket as unknown as typeof WebSocket };
    const customer = connect(url, { token: await token('customer', 'ann'), ...options });
    const phone = connect(url, { token: await token('rider', 'r'), ...options });
    undo.push(() => customer.close());
    undo.push(() => phone.close());
    const watch = watchOrder(customer, 'o');
    const shown = once<Position>((cb) => watch.on('position', cb));
    const me = rider(phone);
    me.push({ lat: 52.5163, lng: 13.405 });
    expect(await me.flush()).toBe(true);
    expect((await shown).lat).toBe(52.5163);
    const end = once((cb) => watch.on('end', cb));
    await call(gateway, 'POST', '/v1/orders/o/events', { status: 'delivered' });
    await end;
  });

  it('is Node’s own where there is one', () => {
    expect(WebSocket).toBe(globalThis.WebSocket ?? NodeSocket);
  });
});

describe('a queue on disk', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ridecast-queue-'));
    undo.push(() => rmSync(folder, { recursive: true, force: true }));
  });

  it('outlives the process: what was not acknowledged is sent by the next one', async () => {
    const path = join(folder, 'queue.json');
    const gateway = await testGateway();
    undo.push(() => gateway.stop());
    const url = `${gateway.url.replace('http', 'ws')}/v1/ws`;
    const bearer = await token('rider', 'r');
    const nobody = connect('ws://127.0.0.1:1/v1/ws', { token: bearer, WebSocket });
    const first = rider(nobody, { store: fileStore(path) });
    first.push({ lat: 52.5163, lng: 13.405 });
    await new Promise((loaded) => setImmediate(loaded));
    nobody.close();
    await expect
      .poll(() => fileStore(path).load(), { timeout: 10_000 })
      .toMatchObject([{ lat: 52.5163, lng: 13.405 }]);
    const client = connect(url, { token: bearer, WebSocket });
    undo.push(() => client.close());
    const second = rider(client, { store: fileStore(path) });
    const acknowledged = once<{ queued: number }>((cb) => second.on('ack', cb));
    expect((await acknowledged).queued).toBe(0);
    // The queue is saved a second after it changed.
    await expect.poll(() => fileStore(path).load(), { timeout: 10_000 }).toEqual([]);
  });

  it('is empty before it was saved, and an error if it is something else', async () => {
    expect(await fileStore(join(folder, 'none.json')).load()).toEqual([]);
    writeFileSync(join(folder, 'broken.json'), '{');
    await expect(fileStore(join(folder, 'broken.json')).load()).rejects.toThrow();
  });
});
