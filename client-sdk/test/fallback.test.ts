/** When the second transport takes over, and when the first is tried again. Time and both transports are the test's. */
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { connect } from '../src/connect.ts';
import { withFallback } from '../src/fallback.ts';
import { watchOrder } from '../src/order.ts';
import { type FakeGateway, fakeGateway, settle, stillTime, welcome } from './pair.ts';

stillTime();

let first: FakeGateway;
let second: FakeGateway;
beforeEach(() => {
  first = fakeGateway();
  second = fakeGateway();
});

const client = () =>
  connect('wss://gateway.test/v1/ws', {
    token: 'tok',
    env: () => () => {},
    transport: withFallback(second.transport, { first: first.transport }),
  });

/** Takes the newest dial of a transport to live; silence is no matter here. */
function live(over: FakeGateway): void {
  over.link.open();
  over.link.give(welcome({ heartbeat: 3_600_000 }));
}

/** A client on the second, because the first was refused. */
async function onSecond() {
  const c = client();
  await settle();
  first.link.close(1006);
  live(second);
  expect(c.info.state).toBe('live');
  return c;
}

describe('the second takes over', () => {
  it('and is told nothing before it is open', async () => {
    const c = await onSecond();
    await settle(60_000);
    first.link.open(); // and says nothing
    await settle(4000);
    const { link } = second;
    expect(second.links).toHaveLength(2);
    watchOrder(c, '42'); // a watch is asked for at once
    expect(link.sent).toEqual([]);
    live(second);
    expect(link.of('hello')[0]!.watch).toMatchObject([{ channel: 'order:42' }]);
  });

  it('and is heard no more once the first is open again, whatever it still says', async () => {
    const c = await onSecond();
    const old = second.link;
    await settle(60_000);
    live(first);
    old.close(1005);
    old.raw('{"t":"drain","after":0,"spread":0}');
    await settle(1000);
    expect(c.info.state).toBe('live');
    expect(first.link.dropped).toBeUndefined();
  });

  it('when the first is refused', async () => {
    const c = await onSecond();
    expect(second.link.of('hello')).toMatchObject([{ token: 'tok' }]);
    expect(c.info.attempt).toBe(0);
  });

  it('when the first does not open in 4 s', async () => {
    const c = client();
    await settle(3999);
    expect(second.links).toEqual([]);
    await settle(1);
    expect(first.link.dropped).toBe(0);
    live(second);
    expect(c.info.state).toBe('live');
  });

  it('when the first opens and brings nothing', async () => {
    const c = client();
    await settle();
    first.link.open();
    await settle(4000);
    live(second);
    expect(c.info.state).toBe('live');
    expect(first.link.dropped).toBe(0);
  });

  it('where there is no first', async () => {
    const none = () => {
      throw new TypeError('WebSocket is not a constructor');
    };
    const transport = withFallback(second.transport, { first: none });
    const c = connect('wss://gateway.test/v1/ws', { token: 'tok', env: () => () => {}, transport });
    await settle();
    live(second);
    expect(c.info.state).toBe('live');
    await settle(60_000);
    expect(c.info.state).toBe('live');
  });

  it('and not when the gateway itself says no over the first, or the first has worked', async () => {
    const c = client();
    await settle();
    first.link.close(4503);
    expect(c.info).toMatchObject({ state: 'closed', reason: 'denied' });
    const other = client();
    await settle();
    live(first);
    await settle(10_000);
    first.link.close(1006);
    expect(other.info.state).toBe('waiting');
    await settle(5000);
    expect([first.links.length, second.links.length]).toEqual([3, 0]);
  });
});

describe('on the second', () => {
  it('the first is tried each minute, beside it, and takes over when it opens', async () => {
    const c = await onSecond();
    const states = vi.fn();
    await settle(60_000);
    expect(first.links.length).toBe(2);
    first.link.close(1006);
    expect(second.link.dropped).toBeUndefined();
    await settle(60_000);
    expect(first.links.length).toBe(3);
    c.on('state', (i) => states(i.state));
    first.link.open();
    expect(second.link.dropped).toBe(0);
    expect(first.link.of('hello')).toMatchObject([{ token: 'tok' }]);
    first.link.give(welcome({ heartbeat: 3_600_000 }));
    expect(states.mock.calls).toEqual([['live']]);
    await settle(60_000);
    expect([first.links.length, second.links.length]).toEqual([3, 1]);
  });

  it('is not left for a first that does not open, and found again after one that opens and brings nothing', async () => {
    const c = await onSecond();
    await settle(64_000);
    expect([first.link.dropped, second.link.dropped]).toEqual([0, undefined]);
    await settle(56_000);
    second.link.give({ t: 'beat', now: Date.now() });
    await settle(4000);
    first.link.open();
    await settle(4000);
    expect([first.link.dropped, second.links.length]).toEqual([0, 2]);
    live(second);
    expect(c.info.state).toBe('live');
  });

  it('a loss within the minute comes back to it at once, a later one tries the first', async () => {
    await onSecond();
    second.link.close(1006);
    await settle(5000);
    expect([first.links.length, second.links.length]).toEqual([1, 2]);
    second.link.close(1006);
    await settle(120_000);
    expect(first.links.length).toBeGreaterThan(1);
  });

  it('one that fails, too, leaves the choice open', async () => {
    const c = client();
    await settle();
    first.link.close(1006);
    second.link.close(1006);
    expect(c.info.state).toBe('waiting');
    await settle(1000);
    expect(first.links.length).toBe(2);
    live(first);
    expect(c.info.state).toBe('live');
  });
});

it('does not hear a first that was let go of', async () => {
  const c = client();
  await settle(4000);
  live(second);
  first.link.close(4503);
  first.link.open();
  expect(second.link.dropped).toBeUndefined();
  await settle(60_000);
  const [gone, tried] = first.links;
  gone!.close(1006);
  gone!.open();
  expect([tried!.dropped, second.link.dropped]).toEqual([undefined, undefined]);
  tried!.open();
  gone!.give(welcome());
  gone!.close(1006);
  await settle(3999);
  expect(tried!.dropped).toBeUndefined();
  await settle(1);
  expect([tried!.dropped, second.links.length]).toEqual([0, 2]);
  live(second);
  expect(c.info.state).toBe('live');
});

it('leaves no timer and no link behind', async () => {
  const c = await onSecond();
  await settle(60_000);
  c.close();
  expect([first.link.dropped, second.link.dropped]).toEqual([1000, 1000]);
  expect(vi.getTimerCount()).toBe(0);
  first.link.open();
  second.link.give(welcome());
  expect(first.link.sent).toEqual([]);
});
