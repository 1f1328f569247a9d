/** The network between a page and its gateway: one port that stays, whatever happens behind it. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export class Door {
  /** Where it leads. */
  target = 0;
  /** Shut: whoever knocks is turned away. Deaf: nothing gets through and nobody is told. */
  state: 'open' | 'shut' | 'deaf' = 'open';
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();

  static async open(): Promise<Door> {
    const door = new Door();
    door.server.listen(0, '127.0.0.1');
    await once(door.server, 'listening');
    return door;
  }

  private constructor() {
    this.server = createServer((outside) => this.let(outside));
  }

  get url(): string {
    const { port } = this.server.address() as { port: number };
    return `http://127.0.0.1:${port}`;
  }

  private let(outside: Socket): void {
    if (this.state === 'shut') return void outside.destroy();
    const inside = connect(this.target, '127.0.0.1');
    for (const [from, to] of [
      [outside, inside],
      [inside, outside],
    ] as const) {
      this.sockets.add(from);
      from.on('error', () => {});
      from.on('data', (bytes) => this.state === 'deaf' || to.write(bytes));
      from.on('close', () => {
        this.sockets.delete(from);
        if (this.state !== 'deaf') to.destroy();
      });
    }
  }

  shut(): void {
    this.state = 'shut';
    this.cut();
  }

  /** Those who got through are let go. */
  cut(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.shut();
    this.server.close();
    await once(this.server, 'close');
  }
}
