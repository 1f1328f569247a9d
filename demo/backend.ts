/** The company's backend: creates orders, gives them to riders, says what happened. Plain HTTP with a service token. */

export interface NewOrder {
  readonly customer: string;
  readonly partner: string;
  readonly pickup: { lat: number; lng: number };
  readonly destination: { lat: number; lng: number };
  readonly data: Record<string, unknown>;
}

export interface Backend {
  create(order: string, content: NewOrder): Promise<void>;
  assign(order: string, rider: string): Promise<void>;
  /** @param eta ms since epoch, if it changed */
  tell(order: string, status: string, eta?: number): Promise<void>;
}

const TRIES = 4;

/** @param token mints a service token */
export function makeBackend(url: string, token: () => Promise<string>, signal: AbortSignal): Backend {
  let lastKey = 0;

  async function call(method: string, path: string, body: object): Promise<void> {
    // The same key on every try: an answer that got lost is not a second event.
    const key = `${Date.now().toString(36)}-${++lastKey}`;
    for (let attempt = 1; ; attempt++) {
      const problem = await once(method, path, body, key);
      if (problem === undefined) return;
      if (!problem.again || attempt === TRIES || signal.aborted)
        throw new Error(`${path}: ${problem.message}`);
      await new Promise((resolve) => setTimeout(resolve, 250 * 2 ** attempt));
    }
  }

  async function once(method: string, path: string, body: object, key: string) {
    const headers = {
      authorization: `Bearer ${await token()}`,
      'content-type': 'application/json',
      'idempotency-key': key,
    };
    try {
      const answer = await fetch(url + path, {
        method,
        headers,
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(5000),
      });
      const text = await answer.text();
      return answer.ok ? undefined : { again: answer.status >= 500, message: `${answer.status} ${text}` };
    } catch (error) {
      return { again: true, message: (error as Error).message };
    }
  }

  return {
    create: (order, content) => call('PUT', `/v1/orders/${order}`, content),
    assign: (order, rider) => call('POST', `/v1/orders/${order}/assign`, { rider }),
    tell: (order, status, eta) => call('POST', `/v1/orders/${order}/events`, { status, eta }),
  };
}
