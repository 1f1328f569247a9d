/** What a watcher that reads nothing costs: exact bytes, by the gateway's own account of its sockets. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MemoryBroker, memoryBackbone } from '../src/backbone/memory.ts';
import type { Gateway } from '../src/gateway.ts';
import { encodeBus } from '../src/protocol/bus-messages.ts';
import type { PositionRecord } from '../src/protocol/positions.ts';
import { RawClient } from './support/client.ts';
import { testGateway, token } from './support/gateway.ts';

const RIDERS = 300;
const WATCHERS = 4;

let gateway: Gateway;
const broker = new MemoryBroker();
beforeAll(async () => {
  gateway = await testGateway({ GROUP_TICK_MS: '10' }, { backbone: memoryBackbone(broker) });
});
afterAll(() => gateway.stop());

let seq = 0;
/** Every rider of the zone moves. */
function move(): void {
  seq++;
  const at = Date.now();
  const record = (i: number): PositionRecord => [
    `r${i}`,
    1,
    seq,
    5_200_000 + seq,
    1_300_000,
    at,
    at,
    90,
    50,
    5,
    0,
  ];
  const entries = Array.from({ length: RIDERS }, (_, i) => [record(i), []] as [PositionRecord, string[]]);
  broker.publish('zone:z', encodeBus({ kind: 'fleet', entries, left: [] }));
}

/** Moves the riders tick by tick until it is so. */
async function moveUntil(so: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await so())) {
    move();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${gateway.adminPort}/metrics`)).text();
  return Number(new RegExp(`^${name}\\{[^}]*\\} (.*)$`, 'm').exec(text)![1]);
}

const watch = async (credit: boolean) => {
  const hello = { credit, watch: [{ w: 1, channel: 'zone:z' }] };
  const watcher = await RawClient.hello(gateway.url, await token('operator', 'op'), hello);
  await watcher.next('watching');
  return watcher;
};

describe('a watcher that reads nothing', () => {
  it('is held one frame at most, whatever happens meanwhile, and then shown the newest', async () => {
    const stalled = await Promise.all(Array.from({ length: WATCHERS }, () => watch(false)));
    for (const watcher of stalled) watcher.socket.pause();
    // The kernel takes megabytes before it pushes back; from then on every flush of all of them is put off.
    let lagging = gateway.counts.laggingFlushes;
    await moveUntil(() => {
      const all = gateway.counts.laggingFlushes - lagging >= WATCHERS;
      lagging = gateway.counts.laggingFlushes;
      return all;
    });
    const held = await metric('ridecast_buffered_bytes');
    for (let i = 0; i < 50; i++) move();
    await moveUntil(() => gateway.counts.laggingFlushes >= lagging + 10 * WATCHERS);
    expect(await metric('ridecast_buffered_bytes')).toBe(held);
    expect(held).toBeGreaterThan(0);

    const [first] = stalled;
    first!.socket.resume();
    const last = await first!.next('positions', ({ b }) => b[0]![2].every((tuple) => tuple[2] === seq));
    const frame = Buffer.byteLength(JSON.stringify(last));
    expect(held / WATCHERS).toBeLessThanOrEqual(frame + 16);
    expect(last.b[0]![2]).toHaveLength(RIDERS);
    for (const watcher of stalled) watcher.close();
  });

  it('is sent no more frames than it has credit for, and the newest with the next credit', async () => {
    const stalled = await watch(true);
    const { positionFrames } = gateway.counts;
    const lagging = gateway.counts.laggingFlushes;
    await moveUntil(() => gateway.counts.laggingFlushes > lagging + 10);
    const sent = gateway.counts.positionFrames - positionFrames;
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThanOrEqual(8);
    for (let i = 0; i < sent; i++) await stalled.next('positions');
    expect(stalled.messages.filter(({ t }) => t === 'positions')).toEqual([]);
    stalled.send({ t: 'credit', n: sent });
    const { b } = await stalled.next('positions');
    expect(new Set(b[0]![2].map((tuple) => tuple[2]))).toEqual(new Set([seq]));
    stalled.close();
  });
});
