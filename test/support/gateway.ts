/** Starts gateways in-process on free ports, with what tests need around them. */
import { SignJWT } from 'jose';
import { MemoryBroker, memoryBackbone } from '../../src/backbone/memory.ts';
import { loadConfig } from '../../src/config.ts';
import { type Extras, type Gateway, startGateway } from '../../src/gateway.ts';
import { Load } from '../../src/observe/load.ts';
import type { Role } from '../../src/protocol/messages.ts';

export const SECRET = 'a-secret-of-the-tests-0123456789abcdef';

/** A gateway on free ports of 127.0.0.1; `env` adds to and overrides the configuration. */
export function testGateway(env: Record<string, string> = {}, extras: Extras = {}): Promise<Gateway> {
  const config = loadConfig({
    HOST: '127.0.0.1',
    PORT: '0',
    ADMIN_PORT: '0',
    AUTH_SECRET: SECRET,
    LOG_LEVEL: 'silent',
    KEEP_ALIVE_MS: '0',
    ...env,
  });
  return startGateway(config, { load: CALM, ...extras });
}

/** Tests keep their process busy with more than the gateway, which must not slow down for it. */
const CALM = Object.assign(new Load(), { sample() {} });

/** Two gateways over one memory. */
export async function twoGateways(env: Record<string, string> = {}): Promise<[Gateway, Gateway]> {
  const broker = new MemoryBroker();
  const make = (nodeId: string) =>
    testGateway({ NODE_ID: nodeId, ...env }, { backbone: memoryBackbone(broker) });
  return [await make('a'), await make('b')];
}

/** A token as a backend would mint it. */
export function token(
  role: Role,
  sub: string,
  more: Record<string, unknown> = {},
  ttlS = 3600,
): Promise<string> {
  return new SignJWT({ role, ...more })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(sub)
    .setExpirationTime(Math.floor(Date.now() / 1000) + ttlS)
    .sign(new TextEncoder().encode(SECRET));
}

export interface Reply {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes
  readonly body: any;
}

let lastKey = 0;

/** Calls the HTTP API as the backend does. */
export async function call(
  gateway: Pick<Gateway, 'url'>,
  method: string,
  path: string,
  body?: unknown,
  options: { token?: string; key?: string } = {},
): Promise<Reply> {
  const bearer = options.token ?? (await token('service', 'backend'));
  const response = await fetch(`${gateway.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${bearer}`, 'idempotency-key': options.key ?? `key-${++lastKey}` },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
}

/** An order that has been given to a rider and moved on to a status; throws on any answer but 200. */
export async function givenOrder(
  gateway: Pick<Gateway, 'url'>,
  id: string,
  who: { customer?: string; partner?: string; rider?: string },
  status?: string,
): Promise<void> {
  const { customer = 'ann', partner = 'shop', rider } = who;
  const done = (reply: Reply) => {
    if (reply.status !== 200) throw new Error(`${reply.status} ${JSON.stringify(reply.body)}`);
  };
  done(await call(gateway, 'PUT', `/v1/orders/${id}`, { customer, partner, ...(rider ? { rider } : {}) }));
  if (status !== undefined) done(await call(gateway, 'POST', `/v1/orders/${id}/events`, { status }));
}
