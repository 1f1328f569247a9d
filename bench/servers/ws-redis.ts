/** What many build first: ws and ioredis, one PUBLISH a ping and one send a watcher. REDIS_URL says which Redis. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Redis } from 'ioredis';
import { type WebSocket, WebSocketServer } from 'ws';

const url = process.env.REDIS_URL!;
const publisher = new Redis(url);
const subscriber = new Redis(url);
const watchers = new Map<string, Set<WebSocket>>();

async function watch(socket: WebSocket, topic: string): Promise<void> {
  let sockets = watchers.get(topic);
  if (sockets === undefined) {
    sockets = new Set();
    watchers.set(topic, sockets);
    await subscriber.subscribe(topic);
  }
  sockets.add(socket);
  socket.on('close', () => sockets.delete(socket));
}

subscriber.on('message', (topic: string, message: string) => {
  for (const socket of watchers.get(topic) ?? []) socket.send(message);
});

const server = createServer();
new WebSocketServer({ server, perMessageDeflate: false }).on('connection', (socket, request) => {
  const [, verb, topic] = request.url!.split('/');
  socket.on('error', () => {});
  if (verb === 'sub') void watch(socket, topic!);
  else socket.on('message', (message: Buffer) => void publisher.publish(topic!, message.toString()));
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`listens on ${(server.address() as AddressInfo).port}\n`);
});
process.once('SIGTERM', () => process.exit(0));
