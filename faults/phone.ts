/** A rider's phone with a will of its own: it says which number and which time each ping carries. */
import { Connection } from '../loadtest/connection.ts';
import { jsonCodec } from '../src/protocol/codec.ts';
import { fixNumbered } from './sights.ts';

export class Phone {
  private readonly connection: Connection;

  /** @param token of its rider */
  constructor(url: string, token: string) {
    const hello = () => ({ rider: {} });
    this.connection = new Connection({ url, token, codec: jsonCodec, hello, welcomed() {}, received() {} });
  }

  /** Resolves when the gateway took it. */
  start(): Promise<void> {
    return this.connection.start();
  }

  /** @param n of the fix @param seq the number it claims @param at the time it claims, ms since epoch */
  ping(n: number, seq: number, at = Date.now()): void {
    this.connection.send({ t: 'ping', pings: [{ seq, at, ...fixNumbered(n) }] });
  }

  stop(): Promise<void> {
    return this.connection.close();
  }
}
