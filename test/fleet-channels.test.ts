import { afterEach, describe, expect, it } from 'vitest';
import { MemoryBroker, memoryBackbone } from '../src/backbone/memory.ts';
import type { Gateway } from '../src/gateway.ts';
import type { ZonedPosition } from '../src/protocol/positions.ts';
import { RawClient } from './support/client.ts';
import { call, givenOrder, testGateway, token } from './support/gateway.ts';
import { flushAll } from './support/memory-logs.ts';

let broker: MemoryBroker;
let gateway: Gateway;
async function start(env: Record<string, string>) {
  broker = new MemoryBroker();
  gateway = await testGateway(env, { backbone: memoryBackbone(broker) });
}
afterEach(() => gateway.stop());

const watch = async (role: 'operator' | 'partner', sub: string, channel: string) =>
  RawClient.hello(gateway.url, await token(role, sub), { watch: [{ w: 1, channel }] });

function standing(rider: string): ZonedPosition {
  const at = Date.now();
  return {
    rider,
    session: 1,
    seq: 1,
    lat: 1,
    lng: 1,
    fixAt: at,
    heardAt: at,
    heading: null,
    speed: null,
    accuracy: null,
    verdict: 0,
    zone: 'z',
  };
}

describe('a large zone', () => {
  it('arrives whole where nothing moves, and its last part is marked', async () => {
    await start({ BLOCK_POSITIONS: '10' });
    const riders = Array.from({ length: 25 }, (_, i) => `r${i}`);
    await broker.store.putPositions(riders.map(standing));
    for (const name of ['the one for whom it is read', 'a later one']) {
      const { more, parts, c } = await untilWhole(await watch('operator', 'op', 'zone:z'));
      expect(more, name).toEqual([true, [c], undefined]);
      expect(parts.map(([, full]) => full)).toEqual([1, 0, 0]);
      expect(parts.flatMap((part) => part[3]!.map(([, rider]) => rider)).sort()).toEqual([...riders].sort());
      expect(parts.flatMap((part) => part[2])).toHaveLength(25);
    }
  });
});

/** The parts of a zone as they arrive, and what each says of more. */
async function untilWhole(operator: RawClient) {
  const { block, c, more: first } = await operator.next('watching');
  const parts = [block];
  const more: (boolean | number[] | undefined)[] = [first];
  while (more.at(-1) !== undefined) {
    const frame = await operator.next('positions');
    parts.push(frame.b[0]!);
    more.push(frame.more);
  }
  return { parts, more, c };
}

describe('a store that lost its memory', () => {
  it('empties a dashboard, and the backend that repeats its calls fills it again', async () => {
    await start({ CHECK_MS: '100' });
    const backend = async () => {
      for (const [path, body, key] of [
        ['assign', { rider: 'r' }, 'k1'],
        ['events', { status: 'picked_up' }, 'k2'],
      ] as const)
        expect((await call(gateway, 'POST', `/v1/orders/o/${path}`, body, { key })).status).toBe(200);
    };
    await givenOrder(gateway, 'o', {});
    await backend();
    const partner = await watch('partner', 'shop', 'partner:shop');
    await partner.next('watching', (m) => m.block[5]?.[0]?.status === 'picked_up');
    flushAll(broker.store);
    const gone = await partner.next('positions', (m) => m.b[0]![5] !== undefined);
    expect(gone.b[0]![5]).toMatchObject([{ id: 'o', ended: true }]);
    await givenOrder(gateway, 'o', {});
    await backend();
    const back = await partner.next('positions', (m) => m.b[0]![5]?.[0]?.status === 'picked_up');
    expect(back.b[0]![5]).toMatchObject([{ id: 'o', ended: false, version: 3 }]);
    partner.close();
  });
});
