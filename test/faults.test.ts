/** The short version of `npm run faults`, and proof that its judge can see what it looks for. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { judge } from '../faults/judge.ts';
import { Ledger } from '../faults/ledger.ts';
import { FaultProxy } from '../faults/proxy.ts';
import type { Result } from '../faults/report.ts';
import type { Sight, SightKind } from '../faults/sights.ts';
// @ts-expect-error the scripts are plain JavaScript, without types
import { setup } from '../scripts/setup.mjs';

const root = new URL('..', import.meta.url).pathname;

/** Rows whose outcome does not hang on how busy the machine is. */
const SHORT = [
  'gateway-sigkill',
  'client-kill',
  'redis-half-open',
  'redis-silent',
  'restart-empty',
  'flushall',
  'failover-fewer',
  'failover-same',
  'failover-more',
  'trimmed',
  'late-history',
  'eat-reply',
  'shuffled-pings',
  'order-ends',
];

describe('what the fault matrix breaks', () => {
  const results = new Map<string, Result>();

  beforeAll(async () => {
    setup(() => {});
    const args = ['dist/faults/run.js', '--quick', '--json', '--slack', '3', '--only', SHORT.join()];
    const run = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'ignore'] });
    createInterface({ input: run.stdout }).on('line', (line) => {
      const result = JSON.parse(line) as Result;
      results.set(result.fault, result);
    });
    await once(run, 'close');
  }, 300_000);

  it.each(SHORT)(
    '%s: no event is lost or doubled, and nobody is wrong without being told for long',
    (name) => {
      expect(results.get(name)).toMatchObject({ lost: 0, dup: 0, ooo: 0, phantom: 0, problems: [] });
    },
  );

  it.each(SHORT)('%s fails without its protection', (name) => {
    expect(results.get(name)!.twin!.problems).not.toEqual([]);
  });
});

describe('the judge', () => {
  const start = 1_000_000;

  /** One order whose events 1, 2, 3 … were booked at these ms, and one app that saw this. */
  function judged(
    booked: readonly number[],
    seen: readonly (readonly [ms: number, what: SightKind, n: number])[],
    undo?: { to: number; at: number },
  ) {
    const ledger = new Ledger();
    ledger.open('o');
    for (const ms of booked) ledger.accept('o', ledger.number(), start + ms);
    if (undo !== undefined) ledger.undo('o', undo.to, start + undo.at);
    const sights: Sight[] = [
      [1, start, 'link', '', 1],
      [1, start, 'fresh', 'o', 1],
      [1, start, 'snapshot', 'o', 0],
      ...seen.map(([ms, what, n]): Sight => [1, start + ms, what, /link|degraded/.test(what) ? '' : 'o', n]),
    ];
    const times = { injectedAt: start + 1000, healedAt: start + 2000, endedAt: start + 10_000 };
    return judge({ ledger, sights, ...times, resets: 0, gone: new Set() });
  }

  it('finds nothing wrong where every event was seen once and in order', () => {
    const seen = [[1005, 'event', 1], [2005, 'event', 2], [3005, 'event', 3]] as const; // biome-ignore format: a table
    expect(judged([1000, 2000, 3000], seen)).toMatchObject({
      lost: 0, dup: 0, ooo: 0, phantom: 0, silent_s: 0, false_resync: 0, t_detect_ms: 5, t_converge_p99_ms: 0,
    }); // biome-ignore format: a table
  });

  it.each<[string, readonly (readonly [number, SightKind, number])[], object]>([
    ['an event that was skipped', [[1005, 'event', 1], [3005, 'event', 3]], { lost: 1, t_detect_ms: 1005 }],
    ['an end that never came', [[1005, 'event', 1]], { lost: 2, silent_s: 8, t_converge_p99_ms: null }],
    ['an event seen twice', [[1005, 'event', 1], [1006, 'event', 1], [2005, 'event', 2], [3005, 'event', 3]], { dup: 1 }],
    ['events out of order', [[1005, 'event', 2], [1006, 'event', 1], [3005, 'event', 3]], { ooo: 1 }],
    ['a state that changed without a word', [[3005, 'jump', 3]], { lost: 3 }],
    ['a reset that nobody needed', [[1005, 'event', 1], [2005, 'event', 2], [3005, 'event', 3], [3006, 'reset', 3]], { lost: 0, false_resync: 1 }],
    ['a position that went back', [[1005, 'position', 5], [1006, 'position', 4], [3005, 'reset', 3]], { regressions: 1 }],
  ])('sees %s', (_, seen, wrong) => {
    expect(judged([1000, 2000, 3000], seen)).toMatchObject(wrong);
  }); // biome-ignore format: a table

  it('sees an event that was undone and left standing, and takes a reset for the cure', () => {
    const seen = [
      [1005, 'event', 1],
      [2005, 'event', 2],
    ] as const;
    const undo = { to: 1, at: 3000 };
    expect(judged([1000, 2000], seen, undo)).toMatchObject({ phantom: 1, silent_s: 7 });
    expect(judged([1000, 2000], [...seen, [3700, 'reset', 1]], undo)).toMatchObject({
      phantom: 0,
      silent_s: 0.7,
    });
  });

  it('does not call an app wrong without a word that was told, or is away', () => {
    const late = [9000, 'reset', 1] as const;
    expect(judged([1000], [late])).toMatchObject({ silent_s: 8 });
    expect(judged([1000], [[500, 'degraded', 1], late])).toMatchObject({
      silent_s: 0,
      t_converge_p99_ms: 7000,
    });
    expect(judged([1000], [[500, 'link', 0], [8999, 'link', 1], late])).toMatchObject({ silent_s: 0 }); // biome-ignore format: short
  });
});

describe('the proxy', () => {
  const undo: (() => unknown)[] = [];
  afterEach(async () => {
    for (const step of undo.splice(0).reverse()) await step();
  });

  /** A client, the proxy, and the server's end of the one connection. */
  async function path() {
    const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
    undo.push(() => server.close());
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const proxy = await FaultProxy.start(() => port);
    undo.push(() => proxy.stop());
    const arrived = once(server, 'connection') as Promise<[Socket]>;
    const client = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true });
    const [far] = await arrived;
    for (const socket of [client, far]) {
      socket.on('error', () => {});
      undo.push(() => socket.destroy());
    }
    return { proxy, client, far };
  }

  const next = async (socket: Socket) => String(((await once(socket, 'data')) as [Buffer])[0]);

  it('carries both ways, and the end of one side', async () => {
    const { client, far } = await path();
    client.write('there');
    expect(await next(far)).toBe('there');
    far.write('back');
    expect(await next(client)).toBe('back');
    client.end();
    await once(far.resume(), 'end');
  });

  it('holds what was sent while the path is dead, and hands it on afterwards', async () => {
    const { proxy, client, far } = await path();
    proxy.set({ blackhole: true });
    let heard = '';
    far.on('data', (chunk) => {
      heard += chunk;
    });
    client.write('a');
    far.write('b');
    expect(await Promise.race([next(client), new Promise((resolve) => setTimeout(resolve, 50, 'silence'))])).toBe('silence'); // biome-ignore format: one line
    expect(heard).toBe('');
    const back = next(client);
    proxy.clear();
    expect(await back).toBe('b');
  });

  it('eats one reply and resets the link: the request went through', async () => {
    const { proxy, client, far } = await path();
    proxy.eatReply((request) => request.includes('write'));
    const closed = new Promise((resolve) => client.resume().once('close', resolve));
    client.write('write 1');
    expect(await next(far)).toBe('write 1');
    far.write('done');
    await closed;
    expect(client.bytesRead).toBe(0);
    expect(proxy.eaten).toBe(1);
  });

  it('can end one direction and leave the other', async () => {
    const { proxy, client, far } = await path();
    const ended = once(client.resume(), 'end');
    proxy.halfClose();
    await ended;
    client.write('still here');
    expect(await next(far)).toBe('still here');
  });
});
