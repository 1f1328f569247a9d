/** What a shown position costs, in exact numbers: frames, system calls, bytes held. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchGateway, type Process } from '../loadtest/processes.ts';
import { RawClient } from './support/client.ts';
import { call, givenOrder, SECRET, token } from './support/gateway.ts';

const main = new URL('../dist/src/main.js', import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'ridecast-cost-'));
const RIDERS = 50;
const ROUNDS = 10;

const square = {
  type: 'FeatureCollection',
  features: [
    {
      type: 'Feature',
      properties: { id: 'z' },
      geometry: {
        type: 'Polygon',
        coordinates: [
          [
            [0, 0],
            [2, 0],
            [2, 2],
            [0, 2],
            [0, 0],
          ],
        ],
      },
    },
  ],
};

let gateway: Process<string>;
beforeAll(async () => {
  const zones = join(folder, 'zones.json');
  writeFileSync(zones, JSON.stringify(square));
  gateway = await launchGateway(main, { AUTH_SECRET: SECRET, ZONES_FILE: zones, KEEP_ALIVE_MS: '0' });
});
afterAll(async () => {
  await gateway.stop();
  rmSync(folder, { recursive: true });
});

const at = () => ({ url: gateway.ready });
const watch = async (role: 'operator' | 'customer', ...channels: string[]) =>
  RawClient.hello(gateway.ready, await token(role, 'ann'), {
    watch: channels.map((channel, i) => ({ w: i + 1, channel })),
  });

/** Every rider of the zone pings once. */
async function round(seq: number): Promise<void> {
  const pings = [{ seq, lat: 1 + seq / 1000, lng: 1 }];
  const ids = Array.from({ length: RIDERS }, (_, i) => `r${i}`);
  await Promise.all(ids.map((id) => call(at(), 'POST', `/v1/riders/${id}/pings`, { pings })));
}

/** Reads until every rider was shown with that ping; gives the number of frames and of positions. */
async function untilShown(watcher: RawClient, seq: number): Promise<{ frames: number; positions: number }> {
  const missing = new Set<number>();
  for (let ref = 1; ref <= RIDERS; ref++) missing.add(ref);
  let [frames, positions] = [0, 0];
  while (missing.size > 0) {
    const { b } = await watcher.next('positions');
    frames++;
    for (const [, , tuples] of b) {
      positions += tuples.length;
      for (const tuple of tuples) if (tuple[2] === seq) missing.delete(tuple[0]);
    }
  }
  return { frames, positions };
}

describe('a shown position', () => {
  it('costs one frame per session and tick, however many channels of a session changed', async () => {
    await givenOrder(at(), 'o', { rider: 'r0', partner: 'shop' }, 'picked_up');
    const watcher = await watch('operator', 'zone:z', 'partner:shop');
    await round(1);
    const stamps: number[] = [];
    const seen = new Set<string>();
    while (seen.size < RIDERS + 1) {
      const { at: stamp, b } = await watcher.next('positions');
      stamps.push(stamp);
      for (const [channel, , tuples] of b) for (const tuple of tuples) seen.add(`${channel}/${tuple[0]}`);
    }
    expect(new Set(stamps).size).toBe(stamps.length);
    watcher.close();
  });

  it.runIf(existsSync('/usr/bin/strace'))('costs at most 0.04 system calls in a zone of fifty', async () => {
    const watchers = await Promise.all(Array.from({ length: 20 }, () => watch('operator', 'zone:z')));
    for (const watcher of watchers) await watcher.next('watching');
    const log = join(folder, 'strace');
    const args = ['-f', '-s', '48', '-e', 'trace=sendto,sendmsg,write,writev', '-o', log];
    const strace = spawn('strace', [...args, '-p', String(gateway.pid)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    await once(strace.stderr!, 'data'); // attached
    let positions = 0;
    for (let seq = 2; seq < 2 + ROUNDS; seq++) {
      await round(seq);
      const shown = await Promise.all(watchers.map((watcher) => untilShown(watcher, seq)));
      for (const one of shown) positions += one.positions;
    }
    strace.kill('SIGINT');
    await once(strace, 'exit');
    const calls = readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line.includes('\\"t\\":\\"positions\\"'));
    expect(positions).toBe(watchers.length * RIDERS * ROUNDS);
    expect(calls.length).toBeGreaterThan(0);
    expect(calls.length / positions).toBeLessThanOrEqual(0.04);
    for (const watcher of watchers) watcher.close();
  });
});
