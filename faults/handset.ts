/** A rider's phone that changes networks: a new socket goes on with the rider session while the old one still hangs. */
import { Connection } from '../loadtest/connection.ts';
import { jsonCodec } from '../src/protocol/codec.ts';
import type { Ping } from '../src/protocol/messages.ts';
import { fixNumbered } from './sights.ts';

export class Handset {
  private readonly token: string;
  private readonly connections: Connection[] = [];
  private session = 0;
  /** Pings that no gateway said it has dealt with. */
  private pending: Ping[] = [];
  sent = 0;

  constructor(token: string) {
    this.token = token;
  }

  /** From now on over that gateway: what was not acknowledged goes out again, with the same numbers. */
  async join(url: string): Promise<void> {
    const connection = new Connection({
      url,
      token: this.token,
      codec: jsonCodec,
      hello: () => ({ rider: this.session > 0 ? { session: this.session } : {} }),
      welcomed: ({ rider }) => {
        this.session = rider!.session;
      },
      received: ({ message }) => {
        if (message.t === 'pinged') this.pending = this.pending.filter(({ seq }) => seq > message.seq);
      },
    });
    await connection.start();
    this.connections.push(connection);
    if (this.pending.length > 0) connection.send({ t: 'ping', pings: this.pending });
  }

  ping(): void {
    const ping = { seq: this.sent + 1, at: Date.now(), ...fixNumbered(this.sent) };
    this.sent++;
    this.pending.push(ping);
    this.connections.at(-1)!.send({ t: 'ping', pings: [ping] });
  }

  async stop(): Promise<void> {
    for (const connection of this.connections) void connection.close();
  }
}
