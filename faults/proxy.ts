/** Bad weather on a TCP path: a proxy that stalls, delays, throttles, slices, cuts, or eats one reply. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** What the path does to every byte, both ways, from the moment it is set. */
export interface Weather {
  /** Nothing passes, nothing is refused: what was sent waits, as it does while TCP tries again. */
  blackhole: boolean;
  /** ms each chunk is held back, or how many for this one; chunks stay in order. */
  delayMs: number | ((chunk: Buffer, isRequest: boolean) => number);
  /** Per second and direction. */
  bytesPerSecond: number;
  /** Largest piece handed on at once, bytes. */
  slice: number;
}

const FAIR: Weather = {
  blackhole: false,
  delayMs: 0,
  bytesPerSecond: Number.POSITIVE_INFINITY,
  slice: Number.POSITIVE_INFINITY,
};

/** What waits at it goes on when it is lifted. */
class Barrier {
  readonly lifted: Promise<void>;
  lift!: () => void;
  constructor() {
    this.lifted = new Promise((resolve) => {
      this.lift = resolve;
    });
  }
}

interface Link {
  readonly client: Socket;
  readonly server: Socket;
  /** Neither side hears of the other any more, not even of its end. */
  severed: Barrier | undefined;
  eating: boolean;
}

export class FaultProxy {
  readonly port: number;
  /** When each connection was accepted, ms since epoch. */
  readonly acceptedAt: number[] = [];
  /** Replies eaten, ever. */
  eaten = 0;
  private weather: Weather = { ...FAIR };
  private blackhole: Barrier | undefined;
  private readonly server: Server;
  private readonly links = new Set<Link>();
  private hungry: ((request: Buffer) => boolean) | undefined;
  private refusing = false;

  private constructor(server: Server, port: number, target: () => number) {
    this.server = server;
    this.port = port;
    server.on('connection', (client) => this.join(client, target));
  }

  /** @param target the port it leads to, asked for at every connection. @param host the address it listens on */
  static async start(target: () => number, host = '127.0.0.1'): Promise<FaultProxy> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }).listen(0, host);
    await once(server, 'listening');
    return new FaultProxy(server, (server.address() as { port: number }).port, target);
  }

  /** Connections accepted, ever. */
  get accepted(): number {
    return this.acceptedAt.length;
  }

  /** Connections open now. */
  get open(): number {
    return this.links.size;
  }

  set(weather: Partial<Weather>): void {
    Object.assign(this.weather, weather);
    if (this.weather.blackhole) this.blackhole ??= new Barrier();
    else {
      this.blackhole?.lift();
      this.blackhole = undefined;
    }
  }

  /** Fair weather again. Links that were severed end now. */
  clear(): void {
    this.set(FAIR);
    for (const link of this.links) if (link.severed !== undefined) cut(link);
  }

  /** Both ends of every link stay open and never hear of each other again: a phone that went out of reach. */
  sever(): void {
    for (const link of this.links) link.severed ??= new Barrier();
  }

  /** Resets every link (RST). */
  reset(): void {
    for (const link of this.links) cut(link);
  }

  /** Tells the clients that nothing more comes (FIN), and still takes what they say. */
  halfClose(): void {
    for (const { client } of this.links) client.end();
  }

  /** New connections are reset at once, or not. */
  refuse(refusing: boolean): void {
    this.refusing = refusing;
  }

  /** The next request that fits goes through; its reply does not, and the link is reset. */
  eatReply(fits: (request: Buffer) => boolean): void {
    this.hungry = fits;
  }

  async stop(): Promise<void> {
    this.server.close();
    this.clear();
    this.reset();
  }

  private join(client: Socket, target: () => number): void {
    this.acceptedAt.push(Date.now());
    if (this.refusing) return void client.resetAndDestroy();
    const server = connect({ port: target(), host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const link: Link = { client, server, severed: undefined, eating: false };
    this.links.add(link);
    this.carry(link, client, server);
    this.carry(link, server, client);
    for (const socket of [client, server]) {
      socket.on('error', () => {});
      socket.on('close', () => this.parted(link));
    }
  }

  private carry(link: Link, from: Socket, to: Socket): void {
    from.on('data', (chunk: Buffer) => {
      from.pause();
      this.pass(link, chunk, from === link.client, to).then(
        () => from.resume(),
        () => cut(link),
      );
    });
    from.on('end', () => {
      void this.opened(link).then(() => to.end());
    });
  }

  private async pass(link: Link, chunk: Buffer, request: boolean, to: Socket): Promise<void> {
    await this.opened(link);
    const { delayMs } = this.weather;
    const delay = typeof delayMs === 'number' ? delayMs : delayMs(chunk, request);
    if (delay > 0) await pause(delay);
    if (request && this.hungry?.(chunk)) {
      this.hungry = undefined;
      link.eating = true;
    } else if (!request && link.eating) {
      this.eaten++;
      throw new Error('eaten');
    }
    for (let at = 0; at < chunk.length; ) {
      await this.opened(link);
      const { slice, bytesPerSecond } = this.weather;
      const piece = chunk.subarray(at, at + Math.min(slice, Math.max(1, bytesPerSecond / 20)));
      at += piece.length;
      if (!to.write(piece)) await Promise.race([once(to, 'drain'), once(to, 'close')]);
      if (bytesPerSecond < Number.POSITIVE_INFINITY) await pause((1000 * piece.length) / bytesPerSecond);
    }
  }

  /** Waits until bytes pass on this link. */
  private async opened(link: Link): Promise<void> {
    for (;;) {
      const barrier = link.severed ?? this.blackhole;
      if (barrier === undefined) return;
      await barrier.lifted;
    }
  }

  /** One side is gone: the other hears of it as soon as the path lets it. */
  private parted(link: Link): void {
    void this.opened(link).then(() => cut(link));
    if (link.client.destroyed && link.server.destroyed) this.links.delete(link);
  }
}

function cut(link: Link): void {
  link.client.resetAndDestroy();
  link.server.resetAndDestroy();
  link.severed?.lift();
  link.severed = undefined;
}
