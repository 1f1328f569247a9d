/** Riders that ping: each fix carries a number, so that what is shown can be told apart. */
import { RiderClient } from '../loadtest/rider-client.ts';
import { jsonCodec } from '../src/protocol/codec.ts';
import { type Company, whoOf } from './company.ts';
import type { Ledger } from './ledger.ts';
import { fixNumbered } from './sights.ts';

export class Riders {
  private readonly clients: readonly (readonly [order: string, rider: RiderClient])[];
  private readonly ledger: Ledger;
  /** Called when a fix goes out. */
  onPing: (order: string, n: number) => void = () => {};
  private timer: NodeJS.Timeout | undefined;

  private constructor(clients: Riders['clients'], ledger: Ledger) {
    this.clients = clients;
    this.ledger = ledger;
  }

  /** The riders of these orders, connected. @param url of the gateway they use all along */
  static async start(company: Company, orders: readonly string[], url: string): Promise<Riders> {
    const clients = orders.map(async (order) => {
      const { rider } = whoOf(order);
      const client = new RiderClient(rider, url, await company.mint('rider', rider), jsonCodec);
      await client.connection.start();
      return [order, client] as const;
    });
    return new Riders(await Promise.all(clients), company.ledger);
  }

  /** Every rider pings so many times a second from now on, one after the other. A ping that cannot be sent is not made up for. */
  keepPinging(perSecond: number): void {
    let next = 0;
    const all = this.clients.length;
    this.timer = setInterval(() => this.ping(this.clients[next++ % all]!), 1000 / (perSecond * all));
  }

  private ping([order, rider]: Riders['clients'][number]): void {
    const { sent } = rider;
    rider.ping(fixNumbered(sent));
    if (rider.sent === sent) return;
    this.ledger.fix(order, sent);
    this.onPing(order, sent);
  }

  /** The last ping has been made. Resolves when all are acknowledged. */
  async rest(): Promise<void> {
    clearInterval(this.timer);
    await Promise.all(this.clients.map(([, rider]) => rider.allDealtWith()));
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await Promise.all(this.clients.map(([, rider]) => rider.connection.close()));
  }
}
