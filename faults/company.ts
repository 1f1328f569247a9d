/** The company's backend: gives orders, posts numbered events until they are answered, and books what was. */
import { setTimeout as pause } from 'node:timers/promises';
import { Backend } from '../loadtest/backend.ts';
import type { Ledger } from './ledger.ts';

/** ms one try may take, and from one to the next. */
const TRY_MS = 3000;
const RETRY_MS = 50;
/** ms after which the company gives up: no fault of this matrix lasts as long. */
const PATIENCE_MS = 60_000;

interface Who {
  readonly customer: string;
  readonly partner: string;
  readonly rider: string;
}

export class Company {
  /** Calls that were not answered 200 at the first try, and those that were answered with an error. */
  retries = 0;
  refused = 0;
  /** Bytes of ballast in each event from now on. */
  padding = 0;
  /** ms of the slowest answer, an error counts as one. */
  slowestAnswerMs = 0;
  readonly ledger: Ledger;
  private readonly urls: readonly string[];
  private readonly tokens: Backend;
  private readonly bearer: Promise<string>;
  private readonly who = new Map<string, Who>();
  /** The last call of each order: its events are posted one after the other. */
  private readonly turn = new Map<string, Promise<void>>();
  private next = 0;

  /** @param urls of gateways, used in turn */
  constructor(urls: readonly string[], secret: string, ledger: Ledger) {
    this.urls = urls;
    this.ledger = ledger;
    this.tokens = new Backend(urls[0]!, secret);
    this.bearer = this.tokens.mint('service', 'company');
  }

  mint(...who: Parameters<Backend['mint']>): Promise<string> {
    return this.tokens.mint(...who);
  }

  /** A new order, picked up by its rider. */
  async give(order: string, who: Who = whoOf(order)): Promise<void> {
    this.who.set(order, who);
    this.ledger.open(order);
    await this.put(order);
    await this.call('POST', `/v1/orders/${order}/events`, { status: 'picked_up' }, 'picked-up');
  }

  /** The order once more, as the database has it, after the backbone lost it; one more event follows. */
  async restore(order: string): Promise<void> {
    await this.put(order);
    await this.post(order);
  }

  /** Posts one event. Resolves when it was answered 200; rejects after a minute of trying. */
  post(order: string, status = 'picked_up'): Promise<void> {
    const n = this.ledger.number();
    const before = this.turn.get(order) ?? Promise.resolve();
    const data = this.padding > 0 ? { n, padding: 'x'.repeat(this.padding) } : { n };
    const done = before.then(async () => {
      await this.call('POST', `/v1/orders/${order}/events`, { status, data }, `event-${n}`);
      this.ledger.accept(order, n);
    });
    this.turn.set(
      order,
      done.catch(() => {}),
    );
    return done;
  }

  /** Posts an event to the orders in turn, so many a second, until the returned function is called and all are answered. */
  keepPosting(orders: readonly string[], perSecond: number): () => Promise<void> {
    const stop = new AbortController();
    const open = new Set<Promise<void>>();
    let failure: unknown;
    const running = (async () => {
      for (let i = 0; !stop.signal.aborted; i++) {
        const posted: Promise<void> = this.post(orders[i % orders.length]!)
          .catch((error) => {
            failure ??= error;
          })
          .finally(() => open.delete(posted));
        open.add(posted);
        await pause(1000 / perSecond, undefined, { signal: stop.signal }).catch(() => {});
      }
    })();
    return async () => {
      stop.abort();
      await running;
      await Promise.all(open);
      if (failure !== undefined) throw failure;
    };
  }

  private async put(order: string): Promise<void> {
    const { customer, partner, rider } = this.who.get(order)!;
    const n = this.ledger.newest(order);
    await this.call('PUT', `/v1/orders/${order}`, { customer, partner, data: { n } }, 'create');
    await this.call('POST', `/v1/orders/${order}/assign`, { rider }, `assign-${n}`);
  }

  /** One command, with one key, until it is answered 200. */
  private async call(method: string, path: string, body: unknown, key: string): Promise<void> {
    const until = Date.now() + PATIENCE_MS;
    for (let attempt = 0; ; attempt++) {
      const startedAt = performance.now();
      const failure = await this.attempt(method, path, body, key);
      if (failure !== undefined || attempt === 0)
        this.slowestAnswerMs = Math.max(this.slowestAnswerMs, performance.now() - startedAt);
      if (failure === undefined) return;
      this.retries++;
      if (Date.now() > until) throw new Error(`${method} ${path}: ${failure}, for a minute`);
      await pause(RETRY_MS);
    }
  }

  /** Why it was not taken; undefined if it was. */
  private async attempt(
    method: string,
    path: string,
    body: unknown,
    key: string,
  ): Promise<string | undefined> {
    const url = this.urls[this.next++ % this.urls.length]!;
    try {
      const response = await fetch(url + path, {
        method,
        headers: { authorization: `Bearer ${await this.bearer}`, 'idempotency-key': key },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(TRY_MS),
      });
      const answer = await response.text();
      if (response.ok) return undefined;
      this.refused++;
      return `${response.status} ${answer}`;
    } catch (error) {
      return String((error as Error).cause ?? error);
    }
  }
}

/** An order's own customer, and its own rider. */
export function whoOf(order: string): Who {
  return { customer: `${order}-customer`, partner: 'shop', rider: `${order}-rider` };
}
