import { beforeEach, describe, expect, it, vi } from 'vitest';
import { connect } from '../src/connect.ts';
import type { ClientError, Info } from '../src/types.ts';
import type { GatewayMessage } from '../src/wire.ts';
import { fakeGateway, rig, settle, stillTime, welcome } from './pair.ts';

let random = 0.5;
stillTime(() => random);
beforeEach(() => {
  random = 0.5;
});

describe('dialling', () => {
  it('sends a hello with the token first, and is live at the welcome', async () => {
    const r = rig();
    await settle();
    r.link.open();
    expect(r.link.sent).toEqual([
      { t: 'hello', token: 'tok', credit: true, client: expect.any(String), watch: [] },
    ]);
    expect(r.client.info.state).toBe('connecting');
    await r.welcome();
    expect(r.client.info).toMatchObject({ state: 'live', attempt: 0 });
    await r.client.ready();
  });

  it('asks for the url before each dial', async () => {
    const gateway = fakeGateway();
    let n = 0;
    const client = connect(async () => `wss://g${++n}.test`, { token: 't', transport: gateway.transport });
    await settle();
    expect(gateway.link.url).toBe('wss://g1.test');
    gateway.link.close(1006);
    await settle(1000);
    expect(gateway.link.url).toBe('wss://g2.test');
    client.close();
  });

  it.each(['token', 'open', 'welcome'])(
    'gives up a dial whose %s does not come within 10 s',
    async (what) => {
      let signal: AbortSignal | undefined;
      const never = (_: unknown, s: AbortSignal) => {
        signal = s;
        return new Promise<string>(() => {});
      };
      const r = rig({ token: what === 'token' ? never : 'tok' });
      await settle();
      if (what === 'welcome') r.link.open();
      await settle(9_999);
      expect(r.client.info.state).toBe('connecting');
      await settle(1);
      expect(r.client.info).toMatchObject({ state: 'waiting', reason: 'timeout' });
      if (what === 'token') expect(signal?.aborted).toBe(true);
      else expect(r.link.dropped).toBe(0);
    },
  );

  it('gives a link that speaks before its welcome all of those 10 s', async () => {
    const r = rig();
    await settle();
    const { link } = r;
    link.open();
    link.give({ t: 'error', code: 'degraded', message: 'late' });
    await settle(9_999);
    expect(r.link).toBe(link);
    await settle(1);
    expect(r.client.info).toMatchObject({ state: 'waiting', reason: 'timeout' });
  });

  it('ignores everything a link says after it was given up', async () => {
    const r = rig();
    await settle();
    const old = r.link;
    old.open();
    await settle(10_000);
    await settle(500);
    await r.welcome();
    expect(r.gateway.links).toHaveLength(2);
    old.close(4503);
    old.raw('{"t":"drain","after":0,"spread":0}');
    await settle(1000);
    expect(r.client.info.state).toBe('live');
  });

  it('rejects ready() when the client closes, and leaves no listener', async () => {
    const r = rig();
    const closed = r.client.ready();
    r.client.close();
    await expect(closed).rejects.toMatchObject({ reason: 'user' });
    await expect(r.client.ready()).rejects.toMatchObject({ reason: 'user' });
  });
});

describe('coming back', () => {
  it('draws the first dial after a loss from the window of the welcome', async () => {
    const r = rig();
    await r.welcome({ reconnect: { after: 1000, spread: 4000 } });
    r.link.close(1006);
    expect(r.client.info.retryAt).toBe(Date.now() + 3000);
    await settle(2999);
    expect(r.gateway.links).toHaveLength(1);
    await settle(1);
    expect(r.gateway.links).toHaveLength(2);
  });

  it('backs off with full jitter, 1 s doubling to 30 s, while nothing answers', async () => {
    const r = rig();
    const waits: number[] = [];
    random = 1;
    for (let n = 0; n < 7; n++) {
      await settle();
      r.link.close(1006);
      waits.push(r.client.info.retryAt! - Date.now());
      await settle(waits.at(-1)!);
    }
    expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    random = 0.1;
    await settle();
    r.link.close(1006);
    expect(r.client.info.retryAt! - Date.now()).toBe(3000);
  });

  it('starts the back-off anew only after a link was live for 2 s', async () => {
    const r = rig();
    random = 1;
    const wait = () => r.client.info.retryAt! - Date.now();
    await r.welcome();
    r.link.close(1006);
    await settle(wait());
    await r.welcome();
    await settle(1999);
    r.link.close(1006);
    expect(wait()).toBe(1000);
    await settle(wait());
    await r.welcome();
    await settle(2000);
    r.link.close(1006);
    expect(wait()).toBe(5000); // the window
  });

  it('is not late on a network that is 5 s on and 2 s off', async () => {
    random = 0.99;
    const r = rig();
    let on = true;
    let dials = 0;
    /** Answers dials for so long, as the network is; gives the ms until it was live. */
    const pass = async (ms: number) => {
      let live: number | undefined;
      for (let at = 0; at < ms; at += 50) {
        await settle(50);
        if (r.gateway.links.length > dials) {
          dials = r.gateway.links.length;
          if (on) await r.welcome({ reconnect: { after: 0, spread: 3000 } });
          else r.link.close(1006);
        }
        if (r.client.info.state === 'live') live ??= at;
      }
      return live ?? ms;
    };
    const late: number[] = [];
    for (let n = 0; n < 30; n++) {
      on = true;
      late.push(await pass(5000));
      on = false;
      if (r.client.info.state === 'live') r.link.close(1006);
      await pass(2000);
    }
    // With the worst of luck, and back-off that never grows: a missed dial in the 2 s, and the next one.
    expect(Math.max(...late.slice(1))).toBeLessThan(4000);
  });

  it('leaves a draining node at a moment drawn from its window, and dials at once', async () => {
    const r = rig();
    await r.welcome();
    r.link.give({ t: 'drain', after: 2000, spread: 6000 });
    await settle(4999);
    expect(r.client.info.state).toBe('live');
    await settle(1);
    await settle(1);
    expect(r.gateway.links).toHaveLength(2);
    expect(r.gateway.links[0]!.dropped).toBeDefined();
  });

  it('draws anew from the window of the drain when the socket dies in it', async () => {
    const r = rig();
    await r.welcome();
    r.link.give({ t: 'drain', after: 2000, spread: 6000 });
    await settle(1000);
    r.link.close(4300);
    expect(r.client.info).toMatchObject({ reason: 'server-restart', retryAt: Date.now() + 5000 });
  });

  it('backs off as ever when nobody answers after a drain', async () => {
    const r = rig();
    await r.welcome();
    r.link.give({ t: 'drain', after: 0, spread: 0 });
    await settle(1);
    for (let n = 1; n <= 3; n++) {
      r.link.close(1006);
      expect(r.client.info.retryAt! - Date.now()).toBe(250 * 2 ** n);
      await settle(250 * 2 ** n);
    }
  });

  it('is not slowed down by one drain after the other, as when all nodes are replaced', async () => {
    const r = rig();
    for (let n = 0; n < 5; n++) {
      await r.welcome();
      r.link.give({ t: 'drain', after: 0, spread: 0 });
      await settle(1);
    }
    r.link.close(1006);
    expect(r.client.info.retryAt! - Date.now()).toBe(500);
  });

  it.each([4500, 4501, 4503, 4999])('ends for good at close code %i', async (code) => {
    const r = rig();
    const errors: ClientError[] = [];
    r.client.on('error', (e) => errors.push(e));
    await r.welcome();
    r.link.close(code);
    await settle(120_000);
    expect(r.client.info.state).toBe('closed');
    expect(errors).toMatchObject([{ code, retryable: false }]);
    expect(r.gateway.links).toHaveLength(1);
  });

  it.each([1000, 1001, 1006, 1009, 1013, 4300, 4301, 4408, 4410, 4429, 4430, 4499, 5000])(
    'comes back after close code %i',
    async (code) => {
      const r = rig();
      await r.welcome();
      r.link.close(code);
      await settle(120_000);
      expect(r.gateway.links.length).toBeGreaterThan(1);
    },
  );
});

describe('token', () => {
  it('keeps a granted token for the next dial', async () => {
    const token = vi.fn(async () => 'a');
    const r = rig({ token });
    await r.welcome();
    r.link.close(1006);
    await settle(5000);
    expect(r.gateway.links).toHaveLength(2);
    expect(token).toHaveBeenCalledTimes(1);
  });

  it('asks for another one, saying why, after 4401', async () => {
    const token = vi.fn(async (why: string) => why);
    const r = rig({ token });
    await settle();
    r.link.open();
    r.link.close(4401);
    await settle(1000);
    r.link.open();
    expect(token.mock.calls.map(([why]) => why)).toEqual(['initial', 'rejected']);
    expect(r.link.of('hello')[0]!.token).toBe('rejected');
  });

  it('closes when a fixed token is refused: there is no other', async () => {
    const r = rig();
    await settle();
    r.link.close(4401);
    expect(r.client.info).toMatchObject({ state: 'closed', reason: 'auth' });
  });

  it('does not renew a fixed one', async () => {
    const r = rig();
    const link = await r.welcome({ tokenTtl: 10_000 });
    await settle(9000);
    expect(link.of('refresh')).toEqual([]);
  });

  it('renews it in place at 80 % of its life', async () => {
    const token = vi.fn(async (why: string) => why);
    const r = rig({ token });
    const link = await r.welcome({ tokenTtl: 10_000 });
    await settle(7_999);
    expect(link.of('refresh')).toEqual([]);
    await settle(1);
    expect(link.of('refresh')).toEqual([{ t: 'refresh', token: 'expiring' }]);
    link.give({ t: 'refreshed', tokenTtl: 20_000 });
    await settle(16_000);
    expect(link.of('refresh')).toHaveLength(2);
  });

  it('tries again when it cannot be renewed, and reports it', async () => {
    let fail = false;
    const r = rig({
      token: async () => {
        if (fail) throw new Error('backend down');
        return 't';
      },
    });
    const errors: string[] = [];
    r.client.on('error', (e) => errors.push(e.message));
    const link = await r.welcome({ tokenTtl: 100_000 });
    fail = true;
    for (let n = 0; n < 8; n++) {
      await settle(10_000);
      link.give({ t: 'beat', now: Date.now() });
    }
    expect(errors).toEqual(['Error: backend down']);
    fail = false;
    await settle(5000);
    expect(link.of('refresh')).toHaveLength(1);
  });

  it('backs off when the token cannot be fetched, and closes when told that it never will be', async () => {
    let error: object = new Error('backend down');
    const r = rig({ token: () => Promise.reject(error) });
    await settle();
    expect(r.client.info).toMatchObject({ state: 'waiting', reason: 'auth' });
    error = { retryable: false };
    await settle(30_000);
    expect(r.client.info).toMatchObject({ state: 'closed', reason: 'auth' });
  });
});

describe('liveness', () => {
  it('probes after 2.5 heartbeats of silence and redials when the probe stays unanswered for 3 s', async () => {
    const r = rig();
    const link = await r.welcome({ heartbeat: 10_000 });
    await settle(24_999);
    expect(link.of('beat')).toHaveLength(0);
    await settle(1);
    expect(link.of('beat')).toHaveLength(1);
    await settle(2_999);
    expect(r.client.info.state).toBe('live');
    await settle(1);
    expect(r.client.info).toMatchObject({ state: 'waiting', reason: 'timeout' });
    expect(link.dropped).toBe(0);
  });

  it('is content with any frame, before or after the probe', async () => {
    const r = rig();
    const link = await r.welcome({ heartbeat: 10_000 });
    await settle(20_000);
    link.give({ t: 'positions', at: Date.now(), b: [] });
    await settle(20_000);
    expect(link.of('beat')).toHaveLength(0);
    await settle(5_000);
    link.give({ t: 'beat', now: Date.now() });
    await settle(20_000);
    expect(r.client.info.state).toBe('live');
  });

  it('knows from the next beat that this device was set another', async () => {
    const r = rig();
    const link = await r.welcome();
    const now = Date.now();
    vi.setSystemTime(now + 3_600_000);
    expect(r.client.now()).toBe(now + 3_600_000);
    link.give({ t: 'beat', now });
    expect(r.client.now()).toBe(now);
  });

  it('probes again when its timer fired late: the device slept', async () => {
    const r = rig();
    const link = await r.welcome({ heartbeat: 10_000 });
    await settle(25_000);
    const slept = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 3_600_000);
    await settle(3_000);
    slept.mockRestore();
    expect(r.client.info.state).toBe('live');
    expect(link.of('beat')).toHaveLength(2);
    await settle(3_000);
    expect(r.client.info.state).toBe('waiting');
  });

  it('keeps the clock of the gateway, corrected by half the round trip', async () => {
    const r = rig();
    await settle();
    r.link.open();
    await settle(200);
    const now = Date.now();
    r.link.give(welcome({ now: now + 60_000 }));
    expect(r.client.now()).toBe(now + 60_100);
    expect(r.client.info.rttMs).toBe(200);
  });
});

describe('credit', () => {
  const frame = { t: 'positions', at: 1, b: [] } as const;
  const window = { frames: 8, bytes: 4000 };
  it('is told after half of the frames, cumulative', async () => {
    const r = rig();
    const link = await r.welcome({ credit: window });
    for (let n = 0; n < 3; n++) link.give({ ...frame, b: [] });
    expect(link.of('credit')).toEqual([]);
    link.give({ ...frame, b: [] });
    expect(link.of('credit')).toEqual([{ t: 'credit', n: 4 }]);
    for (let n = 0; n < 4; n++) link.give({ ...frame, b: [] });
    expect(link.of('credit').slice(1)).toEqual([{ t: 'credit', n: 8 }]);
  });

  it('is told after a quarter of the bytes', async () => {
    const r = rig();
    const link = await r.welcome({ credit: { frames: 100, bytes: 4000 } });
    const big = (size: number): GatewayMessage => ({
      ...frame,
      b: [[1, 0, [], [[1, 'x'.repeat(size), []]]]],
    });
    link.give(big(400));
    expect(link.of('credit')).toEqual([]);
    link.give(big(600));
    expect(link.of('credit')).toEqual([{ t: 'credit', n: 2 }]);
    link.give(big(400));
    expect(link.of('credit')).toHaveLength(1);
  });

  it('is not told when it was not agreed', async () => {
    const r = rig();
    const link = await r.welcome();
    for (let n = 0; n < 9; n++) link.give({ ...frame, b: [] });
    await settle(1000);
    expect(link.of('credit')).toEqual([]);
  });

  it('counts anew on every link', async () => {
    const r = rig();
    await r.welcome({ credit: { frames: 2, bytes: 4000 } });
    r.link.give({ ...frame, b: [] });
    r.link.close(1006);
    await settle(5000);
    const link = await r.welcome({ credit: { frames: 2, bytes: 4000 } });
    link.give({ ...frame, b: [] });
    expect(link.of('credit')).toEqual([{ t: 'credit', n: 1 }]);
  });
});

describe('the page', () => {
  it('lets go 30 s after it was hidden, does not dial while hidden, and dials within 300 ms of being shown', async () => {
    const r = rig();
    const link = await r.welcome();
    r.gateway.happens('hide');
    await settle(29_999);
    expect(r.client.info.state).toBe('live');
    await settle(1);
    expect(r.client.info).toMatchObject({ state: 'suspended', reason: 'hidden' });
    expect(link.dropped).toBe(1000);
    await settle(3_600_000);
    expect(r.gateway.links).toHaveLength(1);
    r.gateway.happens('show');
    await settle(300);
    expect(r.gateway.links).toHaveLength(2);
  });

  it('lets go 30 s after it was hidden, however often its network changes meanwhile', async () => {
    const r = rig();
    await r.welcome();
    r.gateway.happens('hide');
    for (let n = 0; n < 3; n++) {
      await settle(10_000);
      r.gateway.happens('network-changed');
    }
    expect(r.client.info).toMatchObject({ state: 'suspended', reason: 'hidden' });
  });

  it('keeps the link of after a pause in which something was said of the page', async () => {
    const r = rig();
    await r.welcome();
    r.client.pause();
    r.gateway.happens('network-changed');
    r.client.resume();
    await settle(300);
    await r.welcome();
    await settle(35_000);
    expect(r.gateway.links).toHaveLength(2);
  });

  it('dials when it is shown on a device that says it is offline for ever', async () => {
    const r = rig();
    await r.welcome();
    r.gateway.happens('hide');
    await settle(30_000);
    r.gateway.happens('offline');
    r.gateway.happens('show');
    await settle(300);
    expect(r.gateway.links).toHaveLength(2);
  });

  it('does not dial while hidden after a loss, and does with background', async () => {
    for (const background of [false, true]) {
      const r = rig({ background });
      await r.welcome();
      r.gateway.happens('hide');
      r.link.close(1006);
      await settle(3_600_000);
      expect(r.gateway.links.length > 1).toBe(background);
      r.client.close();
    }
  });

  it.each(['show', 'online', 'network-changed'] as const)(
    'probes a live link at %s, with 3 s to answer',
    async (happening) => {
      const r = rig();
      const link = await r.welcome();
      r.gateway.happens(happening);
      expect(link.of('beat')).toHaveLength(1);
      await settle(3000);
      expect(link.dropped).toBe(0);
    },
  );

  it('measures the round trip of a probe', async () => {
    const r = rig();
    const link = await r.welcome();
    r.gateway.happens('show');
    await settle(80);
    link.give({ t: 'beat', now: Date.now() - 40 + 5000 });
    expect(r.client.now() - Date.now()).toBe(5000);
  });

  it('dials at once, back-off zeroed, when the network returns', async () => {
    const r = rig();
    for (let n = 0; n < 6; n++) {
      await settle(30_000);
      r.link.close(1006);
    }
    r.gateway.happens('offline');
    const dials = r.gateway.links.length;
    r.gateway.happens('online');
    await settle(300);
    expect(r.gateway.links).toHaveLength(dials + 1);
    expect(r.client.info.attempt).toBe(0);
  });

  it('says offline while the device does', async () => {
    const r = rig();
    await r.welcome();
    r.gateway.happens('offline');
    await settle(3000);
    expect(r.client.info.state).toBe('offline');
  });

  it('rests from pause() to resume()', async () => {
    const r = rig();
    await r.welcome();
    r.client.pause();
    await settle(600_000);
    expect(r.client.info).toMatchObject({ state: 'suspended', reason: 'user' });
    r.gateway.happens('online');
    await settle(600_000);
    expect(r.gateway.links).toHaveLength(1);
    r.client.resume();
    await settle(300);
    expect(r.gateway.links).toHaveLength(2);
  });
});

describe('listeners', () => {
  it('do not disturb each other or the client when they throw', async () => {
    const report = vi.spyOn(console, 'error').mockImplementation(() => {});
    const r = rig();
    const states: Info['state'][] = [];
    r.client.on('state', () => {
      throw new Error('app bug');
    });
    r.client.on('state', (i) => states.push(i.state));
    await r.welcome();
    expect(states).toEqual(['live']);
    expect(report).toHaveBeenCalled();
  });

  it('are silent once taken off', async () => {
    const r = rig();
    const seen = vi.fn();
    r.client.on('state', seen)();
    await r.welcome();
    expect(seen).not.toHaveBeenCalled();
  });

  it('hear of frames that cannot be read, and the link stays', async () => {
    const r = rig();
    const errors: ClientError[] = [];
    r.client.on('error', (e) => errors.push(e));
    await r.welcome();
    r.link.raw('{"t":');
    r.link.raw('{"t":"from-a-newer-gateway","x":1}');
    expect(errors).toMatchObject([{ reason: 'protocol', retryable: true }]);
    expect(r.client.info.state).toBe('live');
  });
});

describe('close', () => {
  it('is final and leaves no timer', async () => {
    const r = rig();
    await r.welcome();
    r.client.close();
    r.gateway.happens('show');
    r.client.resume();
    await settle(600_000);
    expect(r.client.info).toMatchObject({ state: 'closed', reason: 'user' });
    expect(r.link.dropped).toBe(1000);
    expect(vi.getTimerCount()).toBe(0);
  });
});
