/** How the page gets to the gateway: a token from whoever knows the user, then one socket. */
import { type Client, connect } from '@ridecast/client';
import { sse, withFallback } from '@ridecast/client/sse';

export type Role = 'customer' | 'partner' | 'operator';

export interface Named {
  readonly id: string;
  readonly name: string;
}

/** What the demo's token route answers. In your app: your own login. */
export interface Grant {
  readonly token: string;
  readonly order?: string;
  readonly partner?: string;
  readonly partners?: readonly Named[];
  readonly zones?: readonly Named[];
}

export async function ask(role: Role, partner?: string, signal?: AbortSignal): Promise<Grant> {
  const answer = await fetch('/demo/token', {
    method: 'POST',
    body: JSON.stringify({ role, partner }),
    signal,
  });
  if (!answer.ok) throw new Error(`the demo gave no token: ${answer.status}`);
  return (await answer.json()) as Grant;
}

/** One client per role. The SDK renews the token, dials again after a loss, and takes up every watch where it stood. */
export function open(role: Role, partner?: string): Client {
  const url = new URL('/v1/ws', location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  return connect(url.href, {
    token: async (_why, signal) => (await ask(role, partner, signal)).token,
    transport: withFallback(sse()), // a network that lets no WebSocket through shows the same
  });
}
