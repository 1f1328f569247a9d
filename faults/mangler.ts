/** A path from Redis on which some events arrive as bytes that make no sense. */
import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';

/** An event of the bus, as Redis pushes it: the payload of a message begins so, and nothing else does. */
const EVENT = Buffer.from('\r\nE|');
/** Begins no value of any codec. */
const NONSENSE = 0xc1;

export class Mangler {
  readonly port: number;
  /** Events spoilt, ever. */
  mangled = 0;
  /** Every so many events from now on; 0: none. */
  every = 0;
  private seen = 0;
  private readonly server: Server;

  private constructor(server: Server, port: number, target: number) {
    this.server = server;
    this.port = port;
    server.on('connection', (client) => {
      const redis = connect({ port: target, host: '127.0.0.1', noDelay: true });
      client.pipe(redis);
      redis.on('data', (chunk: Buffer) => client.write(this.spoil(chunk)));
      for (const socket of [client, redis]) {
        socket.on('error', () => {});
        socket.on('close', () => {
          client.destroy();
          redis.destroy();
        });
      }
    });
  }

  static async start(target: number): Promise<Mangler> {
    const server = createServer({ noDelay: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Mangler(server, (server.address() as { port: number }).port, target);
  }

  async stop(): Promise<void> {
    this.server.close();
  }

  private spoil(chunk: Buffer): Buffer {
    for (let at = chunk.indexOf(EVENT); at >= 0; at = chunk.indexOf(EVENT, at + 1)) {
      if (this.every === 0 || ++this.seen % this.every !== 0) continue;
      chunk[at + 2] = NONSENSE;
      this.mangled++;
    }
    return chunk;
  }
}
