/** The company's backend, as a replay needs it: mints tokens, creates orders, moves them on. */
import { SignJWT } from 'jose';
import type { Role } from '../src/protocol/messages.ts';

const TOKEN_TTL_S = 24 * 3600;

export class Backend {
  private readonly url: string;
  private readonly secret: Uint8Array;
  private readonly bearer: Promise<string>;

  /** @param secret the gateway's AUTH_SECRET */
  constructor(url: string, secret: string) {
    this.url = url;
    this.secret = new TextEncoder().encode(secret);
    this.bearer = this.mint('service', 'replay');
  }

  mint(role: Role, sub: string): Promise<string> {
    return new SignJWT({ role })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(sub)
      .setExpirationTime(Math.floor(Date.now() / 1000) + TOKEN_TTL_S)
      .sign(this.secret);
  }

  /** Creates an order, gives it to the rider, and has it picked up: from here on its customer sees the rider. */
  async giveOrder(order: string, who: { customer: string; partner: string; rider: string }): Promise<void> {
    const { customer, partner, rider } = who;
    await this.call('PUT', `/v1/orders/${order}`, { customer, partner }, 'create');
    await this.call('POST', `/v1/orders/${order}/assign`, { rider }, 'assign');
    await this.advance(order, 'picked_up');
  }

  advance(order: string, status: string): Promise<void> {
    return this.call('POST', `/v1/orders/${order}/events`, { status }, status);
  }

  private async call(method: string, path: string, body: unknown, key: string): Promise<void> {
    const response = await fetch(this.url + path, {
      method,
      headers: { authorization: `Bearer ${await this.bearer}`, 'idempotency-key': key },
      body: JSON.stringify(body),
    });
    const answer = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} was answered ${response.status}: ${answer}`);
  }
}

/** Runs a task for every item, at most `width` at a time. Rejects with the first failure. */
export async function eachOf<T>(
  items: readonly T[],
  width: number,
  task: (item: T, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const index = next++;
      await task(items[index]!, index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
}
