/**
 * Socket.IO: a room for each topic. ADAPTER: none, `redis` or `redis-streams`, with REDIS_URL. PEERS_DIR is where its
 * packages are installed.
 */
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

/** The little of Socket.IO that is used; it is not among the project's own dependencies. */
interface PeerSocket {
  join(room: string): void;
  /** What the client said when it connected. */
  readonly handshake: { readonly auth: { readonly watch?: string; readonly ride?: string } };
  on(event: 'position', told: (position: object) => void): void;
  on(event: 'event', told: (event: object) => void): void;
  emit(event: string, ...what: unknown[]): void;
}
interface PeerServer {
  on(event: 'connection', told: (socket: PeerSocket) => void): void;
  to(room: string): { emit(event: string, what: unknown): void };
}

const { ADAPTER = 'none', REDIS_URL, PEERS_DIR } = process.env;
const peers = createRequire(join(PEERS_DIR!, 'package.json'));
const { Server } = peers('socket.io') as { Server: new (server: unknown, options: object) => PeerServer };

function adapter(): object {
  if (ADAPTER === 'none') return {};
  const { Redis } = peers('ioredis') as { Redis: new (url: string) => unknown };
  const client = () => new Redis(REDIS_URL!);
  if (ADAPTER === 'redis') {
    const { createAdapter } = peers('@socket.io/redis-adapter') as {
      createAdapter(publisher: unknown, subscriber: unknown): unknown;
    };
    return { adapter: createAdapter(client(), client()) };
  }
  const { createAdapter } = peers('@socket.io/redis-streams-adapter') as {
    createAdapter(c: unknown): unknown;
  };
  return { adapter: createAdapter(client()) };
}

const server = createServer();
const io = new Server(server, { transports: ['websocket'], perMessageDeflate: false, ...adapter() });
io.on('connection', (socket) => {
  const { watch, ride } = socket.handshake.auth;
  if (watch !== undefined) socket.join(watch);
  if (ride !== undefined) {
    socket.on('position', (position) => io.to(ride).emit('position', position));
    socket.on('event', (event) => io.to(ride).emit('event', event));
  }
  socket.emit('ready');
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`listens on ${(server.address() as AddressInfo).port}\n`);
});
process.once('SIGTERM', () => process.exit(0));
