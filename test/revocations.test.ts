import { SignJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MemoryBroker, memoryBackbone } from '../src/backbone/memory.ts';
import type { Gateway } from '../src/gateway.ts';
import { CloseCodes } from '../src/protocol/close-codes.ts';
import { RawClient } from './support/client.ts';
import { call, givenOrder, SECRET, testGateway } from './support/gateway.ts';

let broker: MemoryBroker;
const gateways: Gateway[] = [];
async function node(): Promise<Gateway> {
  const gateway = await testGateway({}, { backbone: memoryBackbone(broker) });
  gateways.push(gateway);
  return gateway;
}
beforeEach(() => {
  broker = new MemoryBroker();
});
afterEach(async () => {
  for (const gateway of gateways.splice(0)) await gateway.stop();
});

/** A token issued so many seconds from now. */
function issued(seconds: number, sub = 'ann'): Promise<string> {
  return new SignJWT({ role: 'customer', sub })
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuedAt(Math.floor(Date.now() / 1000) + seconds)
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(SECRET));
}

const revoke = (gateway: Gateway, sub: string) =>
  call(gateway, 'POST', '/v1/revocations', { role: 'customer', sub });
const closes = async (gateway: Gateway, bearer: string) => {
  const client = new RawClient(gateway.url);
  await client.open();
  client.send({ t: 'hello', token: bearer });
  return client.closed();
};

describe('a revocation', () => {
  it('ends the sessions of its subject on every node, and nobody else is touched', async () => {
    const [a, b] = [await node(), await node()];
    await givenOrder(a, 'o', { customer: 'ann', rider: 'r' }, 'picked_up');
    const ann = await RawClient.hello(b.url, await issued(-5), { watch: [{ w: 1, channel: 'order:o' }] });
    await ann.next('watching');
    const bob = await RawClient.hello(b.url, await issued(-5, 'bob'));
    expect((await revoke(a, 'ann')).body).toMatchObject({ role: 'customer', sub: 'ann' });
    await call(a, 'POST', '/v1/orders/o/events', { status: 'arriving' });
    expect(await ann.closed()).toBe(CloseCodes.token.code);
    expect(ann.messages.filter(({ t }) => t === 'event')).toEqual([]);
    await bob.settle();
    bob.close();
  });

  it('voids tokens issued before it, at both doors and on nodes that start later; newer ones are taken', async () => {
    const a = await node();
    const old = await issued(-5);
    await revoke(a, 'ann');
    for (const gateway of [a, await node()]) {
      expect(await closes(gateway, old)).toBe(CloseCodes.token.code);
      expect((await call(gateway, 'GET', '/v1/orders/o', undefined, { token: old })).status).toBe(401);
      const renewed = await RawClient.hello(gateway.url, await issued(2));
      renewed.close();
    }
  });

  it('cannot be outlived by renewing with another old token', async () => {
    const a = await node();
    const ann = await RawClient.hello(a.url, await issued(5)); // its clock is ahead: not void
    await revoke(a, 'ann');
    await ann.settle();
    ann.send({ t: 'refresh', token: await issued(-5) });
    expect(await ann.closed()).toBe(CloseCodes.token.code);
  });

  it('is for backends only, and says what is wrong with it', async () => {
    const a = await node();
    const asCustomer = await call(
      a,
      'POST',
      '/v1/revocations',
      { role: 'customer', sub: 'ann' },
      { token: await issued(0) },
    );
    expect(asCustomer.status).toBe(403);
    const wrong = await call(a, 'POST', '/v1/revocations', { role: 'king', sub: 'ann' });
    expect([wrong.status, wrong.body.error.field]).toEqual([400, 'role']);
  });
});
