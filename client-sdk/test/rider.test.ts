import { describe, expect, it, vi } from 'vitest';
import { rider } from '../src/rider.ts';
import type { Ping, RiderOptions } from '../src/types.ts';
import { again, type Rig, rig, settle, stillTime } from './pair.ts';

stillTime();

const granted = (session: number, seq = 0, pingsPerFrame = 100) => ({
  role: 'rider' as const,
  rider: { session, seq },
  limits: { frameBytes: 65_536, framesPerSecond: 20, watches: 200, pingsPerFrame },
});
function raise(message: string): never {
  throw new Error(message);
}
let way = 0;
const fix = (over: Partial<Ping> = {}): Ping => ({ lat: 52.5 + ++way * 1e-4, lng: 13.4, ...over });
const sent = (r: Rig) => r.link.of('ping').flatMap((m) => m.pings);
const numbers = (r: Rig) => sent(r).map((p) => p.seq);

function riding(o?: RiderOptions) {
  const r = rig({ background: true });
  const me = rider(r.client, o);
  const drops: string[] = [];
  me.on('drop', ({ count, reason }) => drops.push(`${count} ${reason}`));
  return { r, me, drops };
}

/** Pushes at the default pace. */
async function push(me: ReturnType<typeof rider>, n: number) {
  const results = new Set<string>();
  for (let i = 0; i < n; i++) {
    results.add(me.push(fix()));
    await settle(1000);
  }
  return [...results];
}

describe('numbering', () => {
  it('sends a ping at once when live, numbered from 1', async () => {
    const { r, me } = riding();
    await r.welcome(granted(500));
    expect(r.link.of('hello')[0]!.rider).toEqual({});
    expect(me.push(fix({ speed: 6.2 }))).toBe('sent');
    expect(sent(r)).toMatchObject([{ seq: 1, speed: 6.2, at: Date.now() }]);
    expect(me.queued).toBe(1);
    r.link.give({ t: 'pinged', seq: 1 });
    expect(me.queued).toBe(0);
  });

  it('sends no digits that say nothing: a ping is below 130 bytes, whatever a phone tells', async () => {
    const { r, me } = riding();
    await r.welcome({ ...granted(500), now: Date.now() - 12.345 });
    const [lat, lng, at] = [52.51630812345679, 13.37770298765432, Date.now()];
    me.push({
      lat,
      lng,
      at,
      heading: 123.456787109375,
      speed: 5.230000019073486,
      accuracy: 8.123000144958496,
    });
    const [ping] = sent(r);
    expect(ping).toEqual({
      lat: 52.516308,
      lng: 13.377703,
      at: at - 12,
      heading: 123.456787,
      speed: 5.23,
      accuracy: 8.123,
      seq: 1,
    });
    expect(JSON.stringify(ping).length).toBeLessThan(130);
  });

  it('goes on over reconnects in the same session and sends the un-acknowledged with the same number', async () => {
    const { r, me } = riding();
    await r.welcome(granted(500));
    await push(me, 5);
    r.link.give({ t: 'pinged', seq: 2 });
    await again(r, granted(500, 3));
    expect(r.link.of('hello')[0]!.rider).toEqual({ session: 500 });
    expect(numbers(r)).toEqual([4, 5]);
    await push(me, 1);
    expect(numbers(r)).toEqual([4, 5, 6]);
  });

  it('numbers anew, above the highest stored, in another session', async () => {
    const { r, me } = riding();
    await r.welcome(granted(500));
    await push(me, 3);
    await again(r, granted(501, 7));
    expect(numbers(r)).toEqual([8, 9, 10]);
  });

  it('never gives a number to two fixes, even if the gateway forgot some', async () => {
    const { r, me } = riding();
    await r.welcome(granted(500));
    await push(me, 3);
    r.link.give({ t: 'pinged', seq: 3 });
    await again(r, granted(500, 0));
    await push(me, 1);
    expect(numbers(r)).toEqual([4]);
  });

  it('gives fixes their time on the clock of the gateway', async () => {
    const { r, me } = riding();
    await r.welcome({ ...granted(500), now: Date.now() + 60_000 });
    const at = Date.now() - 100;
    me.push(fix({ at }));
    expect(sent(r)[0]!.at).toBe(at + 60_000);
  });
});

describe('queue', () => {
  it('keeps pings while offline and sends them in batches, oldest first', async () => {
    const { r, me } = riding();
    await settle();
    expect(await push(me, 5)).toEqual(['queued']);
    await again(r, granted(500, 0, 2));
    expect(r.link.of('ping').map((m) => m.pings.map((p) => p.seq))).toEqual([[1, 2], [3, 4], [5]]);
  });

  it('thins the older half when it is full, and says so', async () => {
    const { r, me, drops } = riding({ queue: { max: 8 } });
    const kept: number[] = [];
    await settle();
    for (let n = 1; n <= 9; n++) {
      me.push({ lat: n, lng: 0 });
      await settle(1000);
    }
    await again(r, granted(500, 0));
    for (const ping of sent(r)) kept.push(ping.lat);
    expect(kept).toEqual([2, 4, 6, 7, 8, 9]);
    expect(drops).toEqual(['3 full']);
  });

  it('drops the oldest instead if told to', async () => {
    const { me, drops } = riding({ queue: { max: 3, whenFull: 'drop-oldest' } });
    await push(me, 5);
    expect(me.queued).toBe(3);
    expect(drops).toEqual(['1 full', '1 full']);
  });

  it('drops what is older than 10 minutes', async () => {
    const { r, me, drops } = riding();
    r.client.pause();
    await push(me, 2);
    await settle(600_000);
    r.client.resume();
    await settle(300);
    await r.welcome(granted(500));
    expect(sent(r)).toEqual([]);
    expect(drops).toEqual(['2 age']);
  });

  it('is never longer than 500 by itself', async () => {
    const { me } = riding();
    await push(me, 590);
    expect(me.queued).toBeLessThanOrEqual(500);
  });

  it('holds back while the network does, and goes on with the next acknowledgement', async () => {
    const { r, me } = riding();
    await r.welcome(granted(500));
    me.push(fix());
    r.link.buffered = 100_000;
    await settle(1000);
    expect(me.push(fix())).toBe('queued');
    r.link.buffered = 0;
    r.link.give({ t: 'pinged', seq: 1 });
    expect(numbers(r)).toEqual([1, 2]);
  });

  it('sends no frame larger than the gateway takes', async () => {
    const { r, me } = riding();
    r.client.pause();
    const wide = {
      heading: 123.4567890123457,
      speed: 1.234567890123457,
      accuracy: 12.34567890123457,
      battery: 0.1234567890123456,
    };
    for (let n = 0; n < 40; n++) {
      me.push(fix({ lng: -113.4049712345679, ...wide, mocked: true }));
      await settle(1000);
    }
    r.client.resume();
    await settle(300);
    await r.welcome({
      ...granted(500),
      limits: { ...granted(500).limits, frameBytes: 4096, pingsPerFrame: 16 },
    });
    expect(numbers(r)).toHaveLength(40);
    for (const frame of r.link.of('ping')) expect(JSON.stringify(frame).length).toBeLessThanOrEqual(4096);
  });

  it('waits for a slow store: older fixes must not get higher numbers than newer ones', async () => {
    let load = (_: unknown[]) => {};
    const store = { load: () => new Promise<unknown[]>((resolve) => (load = resolve)), save() {} };
    const { r, me } = riding({ store });
    await r.welcome(granted(500));
    expect(me.push({ lat: 2, lng: 0 })).toBe('queued');
    load([{ lat: 1, lng: 0, at: Date.now() - 5000 }]);
    await settle();
    expect(sent(r).map((p) => p.lat)).toEqual([1, 2]);
  });

  it('outlives the app in a store, which comes first', async () => {
    const saved: unknown[][] = [];
    const kept = [{ lat: 1, lng: 1, at: Date.now() - 5000 }];
    const { r, me } = riding({ store: { load: async () => kept, save: (q) => void saved.push([...q]) } });
    await settle();
    me.push(fix());
    await settle(1000);
    expect(saved.at(-1)).toHaveLength(2);
    await r.welcome(granted(500));
    expect(sent(r).map((p) => p.lat)[0]).toBe(1);
  });
});

describe('a store', () => {
  const bad = [null, 7, { lat: 'x', lng: 1 }, { lat: 91, lng: 0, at: 1 }];
  it.each([
    ['that holds nonsense', async () => [...bad, { lat: 1, lng: 1, at: Date.now(), speed: -1 }]],
    ['that cannot be read', () => Promise.reject(new Error('no disk'))],
    ['that throws', (): never => raise('no store')],
    ['that has no list', async () => undefined as never],
  ])('%s stops nobody', async (_, load) => {
    vi.spyOn(console, 'error').mockImplementation(() => {});
    const { r, me } = riding({ store: { load, save: () => raise('disk full') } });
    await r.welcome(granted(500));
    await push(me, 1);
    expect(sent(r).at(-1)).toMatchObject({ lng: 13.4 });
    for (const ping of sent(r)) expect(ping).not.toHaveProperty('speed');
    await settle(1000);
    expect(console.error).toHaveBeenCalled();
  });

  it('gets what is left when the rider closes, at once, though it was slow to read', async () => {
    const saved: unknown[][] = [];
    let load = (_: unknown[]) => {};
    const store = {
      load: () => new Promise<unknown[]>((resolve) => (load = resolve)),
      save: (q: readonly unknown[]) => void saved.push([...q]),
    };
    const { r, me } = riding({ store });
    await r.welcome(granted(500));
    me.push(fix());
    me.close();
    expect(saved).toEqual([]);
    load([{ lat: 1, lng: 1, at: Date.now() }]);
    await settle();
    expect(saved.map((q) => q.length)).toEqual([2]);
    expect(sent(r)).toEqual([]);
  });
});

describe('a closed rider', () => {
  it('takes no pings, sends none, and ends a flush', async () => {
    const { r, me } = riding();
    await r.welcome(granted(500));
    me.push(fix());
    const flushed = me.flush();
    me.close();
    expect(await flushed).toBe(false);
    await settle(1000);
    expect(me.push(fix())).toBe('skipped');
    expect(numbers(r)).toEqual([1]);
    r.client.close();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('acknowledgement', () => {
  it('is cumulative; refused pings are drops', async () => {
    const { r, me, drops } = riding();
    const acks: unknown[] = [];
    me.on('ack', (a) => acks.push(a));
    await r.welcome(granted(500));
    await push(me, 4);
    r.link.give({ t: 'pinged', seq: 3, refused: [[2, 'rate']] });
    expect(acks).toEqual([{ upTo: 3, queued: 1 }]);
    expect(drops).toEqual(['1 rejected']);
  });

  it('ends a flush', async () => {
    const { r, me } = riding();
    await r.welcome(granted(500));
    me.push(fix());
    const done = me.flush();
    r.link.give({ t: 'pinged', seq: 1 });
    expect(await done).toBe(true);
    me.push(fix());
    await settle(1000);
    me.push(fix());
    const late = me.flush(2000);
    await settle(2000);
    expect(await late).toBe(false);
  });

  it('of refused pings out of turn ends them too', async () => {
    const { r, me, drops } = riding();
    await r.welcome(granted(500));
    await push(me, 3);
    r.link.give({ t: 'pinged', seq: 0, refused: [[2, 'range']] });
    expect(me.queued).toBe(2);
    expect(drops).toEqual(['1 rejected']);
  });
});

describe('pace', () => {
  it('is 1 s until told otherwise; faster pings are skipped and not kept', async () => {
    const { r, me } = riding();
    await r.welcome(granted(500));
    expect(me.push(fix())).toBe('sent');
    await settle(500);
    expect(me.push(fix())).toBe('skipped');
    await settle(450);
    expect(me.push(fix())).toBe('sent');
    expect(me.queued).toBe(2);
  });

  it('counts from fix to fix where they were gathered: a phone that slept hands them over at once', async () => {
    const { r, me } = riding();
    await r.welcome(granted(500));
    const begin = Date.now() - 60_000;
    const ways = [0, 5000, 5400, 10_000, 15_000].map((ms) => me.push(fix({ at: begin + ms })));
    expect(ways).toEqual(['sent', 'queued', 'skipped', 'queued', 'queued']);
    await settle(20_000);
    // The same fix again: the phone has no newer one, and is heard.
    expect(me.push(fix({ at: begin + 15_000 }))).toBe('sent');
    expect(sent(r).map((p) => p.at! - begin)).toEqual([0, 5000, 10_000, 15_000, 15_000]);
  });

  it('makes few frames of many fixes that come in one go: the gateway counts frames', async () => {
    const { r, me } = riding();
    await r.welcome(granted(500));
    for (let n = 0; n < 60; n++) me.push(fix({ at: Date.now() - 60_000 + 1000 * n }));
    await settle(20);
    expect(r.link.of('ping').map(({ pings }) => pings.length)).toEqual([1, 59]);
    me.push(fix({ at: Date.now() + 5000 }));
    me.close();
    expect(vi.getTimerCount()).toBeLessThanOrEqual(1); // the link's own
  });

  it('follows the gateway until it runs out', async () => {
    const { r, me } = riding();
    const seen: unknown[] = [];
    me.on('pace', (p) => seen.push(p));
    await r.welcome(granted(500));
    r.link.give({ t: 'pace', intervalMs: 10_000, minMoveM: 0, accuracy: 'low', until: Date.now() + 30_000 });
    expect(seen).toEqual([me.pace]);
    expect(me.push(fix())).toBe('sent');
    await settle(5000);
    expect(me.push(fix())).toBe('skipped');
    await settle(5000);
    expect(me.push(fix())).toBe('sent');
    await settle(20_001);
    expect(me.pace.intervalMs).toBe(1000);
  });

  it('measures the way over the date line as short as it is', async () => {
    const { r, me } = riding();
    await r.welcome(granted(500));
    r.link.give({ t: 'pace', intervalMs: 1000, minMoveM: 5, accuracy: 'high' });
    expect(me.push({ lat: -17, lng: 179.99999 })).toBe('sent');
    await settle(5000);
    expect(me.push({ lat: -17, lng: -179.99999 })).toBe('skipped');
  });

  it('skips a rider that has not moved, but lets it be heard every 10 s', async () => {
    const { r, me } = riding();
    await r.welcome(granted(500));
    r.link.give({ t: 'pace', intervalMs: 1000, minMoveM: 5, accuracy: 'high' });
    const here = fix();
    expect(me.push(here)).toBe('sent');
    await settle(5000);
    expect(me.push({ ...here, lat: here.lat + 1e-5 })).toBe('skipped');
    expect(me.push({ ...here, lat: here.lat + 1e-4 })).toBe('sent');
    await settle(10_000);
    expect(me.push({ ...here, lat: here.lat + 1e-4 })).toBe('sent');
  });
});

describe('what phones say', () => {
  it('is cleaned of unknowns: null, NaN, -1', async () => {
    const { r, me } = riding();
    await r.welcome(granted(500));
    me.push(fix({ heading: Number.NaN, speed: -1, accuracy: null as never, battery: 0.5, mocked: true }));
    expect(Object.keys(sent(r)[0]!).sort()).toEqual(['at', 'battery', 'lat', 'lng', 'mocked', 'seq']);
  });

  it('is dropped, not thrown, when it is no place on Earth', async () => {
    const { r, me, drops } = riding();
    await r.welcome(granted(500));
    expect(me.push({ lat: Number.NaN, lng: 13 })).toBe('skipped');
    expect(me.push({ lat: 91, lng: 13 })).toBe('skipped');
    expect(drops).toEqual(['1 rejected', '1 rejected']);
    expect(sent(r)).toEqual([]);
  });
});

describe('a live link', () => {
  it('that already knows the rider is used at once', async () => {
    const r = rig({ background: true });
    await r.welcome(granted(500, 4));
    rider(r.client).push(fix());
    expect(numbers(r)).toEqual([5]);
  });

  it('is left alone by a closed rider', async () => {
    const { r, me } = riding();
    await r.welcome(granted(500));
    me.close();
    await again(r, granted(500, 0));
    expect(r.link.of('hello')[0]!.rider).toBeUndefined();
  });
});
