/** The company's backend in a load test: gives every rider an order that its customers may see, and ends it. */
import { randomUUID } from 'node:crypto';
import { orderId, type Plan, partnerOf } from './plan.ts';
import type { Wallet } from './wallet.ts';

export class Company {
  private readonly plan: Plan;
  private readonly wallet: Wallet;
  private readonly bearer: Promise<string>;

  constructor(plan: Plan, wallet: Wallet) {
    this.plan = plan;
    this.wallet = wallet;
    this.bearer = wallet.token('service', 0);
    this.bearer.catch(() => {}); // told by the first call
  }

  /** Creates a rider's order and has it picked up. Rejects with what the gateway answered. */
  async give(rider: number): Promise<void> {
    const { plan, wallet } = this;
    const who = {
      rider: wallet.name('rider', rider),
      customer: wallet.name('customer', rider),
      partner: wallet.name('partner', partnerOf(plan, rider)),
    };
    await this.call(rider, 'PUT', '', who);
    await this.call(rider, 'POST', '/events', { status: 'picked_up' });
  }

  end(rider: number): Promise<void> {
    return this.call(rider, 'POST', '/events', { status: 'delivered' });
  }

  private async call(rider: number, method: string, rest: string, body: unknown): Promise<void> {
    const { urls } = this.plan;
    const url = `${urls[rider % urls.length]}/v1/orders/${orderId(this.plan, rider)}${rest}`;
    const headers = { authorization: `Bearer ${await this.bearer}`, 'idempotency-key': randomUUID() };
    const response = await fetch(url, { method, headers, body: JSON.stringify(body) }).catch(() => {
      throw new Error(`${url} cannot be reached: does a gateway listen there?`);
    });
    const answer = await response.text();
    if (!response.ok) throw new Error(`${method} ${url} was answered ${response.status}: ${answer}`);
  }
}
