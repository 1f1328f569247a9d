/** Rules of riding: one number for a ping, sent until it is acknowledged, within the bounds of the queue. */
import assert from 'node:assert/strict';
import type { ClientMessage, Core, Message, WirePing as Ping } from '../../src/wire.ts';
import { type Behaviour, type Way, WELCOME } from './reference.ts';
import { linkActs, type Sdk, type Step, schedule, WHOLE_MS, World } from './world.ts';

const MAX = 12;

export const rideSchedules = schedule({
  ...linkActs,
  push: 16,
  ack: 8,
  refuse: 2,
  forget: 1,
  pace: 1,
  restart: 2,
});

/** The gateway's end of a rider. */
class Desk implements Behaviour {
  readonly taken = new Set<number>();
  top = 0;
  private session = 1;
  private readonly sessions = new Map<Way, number>();

  hello(way: Way, hello: Extract<ClientMessage, { t: 'hello' }>): Partial<Message<'welcome'>> {
    if (hello.rider?.session !== this.session) this.forget();
    this.sessions.set(way, this.session);
    return { rider: { session: this.session, seq: this.top } };
  }

  /** The next link begins another session. */
  forget(): void {
    this.session++;
    this.top = 0;
  }

  take(way: Way, m: ClientMessage): void {
    if (m.t !== 'ping' || this.sessions.get(way) !== this.session) return;
    for (const { seq, lat } of m.pings) {
      this.taken.add(lat);
      this.top = Math.max(this.top, seq);
    }
  }
}

/** Looks at what a phone sends. */
class Numbers {
  /** By session and number: the place that came with it. */
  private readonly places = new Map<string, number>();
  /** Of this run of the app, by session and place: its number. */
  private numbers = new Map<string, number>();
  private newest = new Map<number, number>();

  /** The app begins again: what its store has gets other numbers. */
  restart(): void {
    this.numbers = new Map();
    this.newest = new Map();
  }

  look(session: number, pings: readonly Ping[]): void {
    assert.ok(pings.length <= WELCOME.limits.pingsPerFrame, 'no frame is too long');
    for (const { seq, lat } of pings) {
      const place = `${session}/${lat}`;
      assert.equal(this.places.get(`${session}/${seq}`) ?? lat, lat, 'a number is given once');
      assert.equal(this.numbers.get(place) ?? seq, seq, 'a ping keeps its number');
      const isNew = !this.numbers.has(place);
      assert.ok(!isNew || lat > (this.newest.get(session) ?? 0), 'the older ping has the lower number');
      this.places.set(`${session}/${seq}`, lat);
      if (isNew) this.newest.set(session, lat);
      this.numbers.set(place, seq);
    }
  }
}

/** One phone. Throws when a rule is broken. */
export async function rides(sdk: Sdk, steps: readonly Step[]): Promise<void> {
  const world = new World(sdk, steps.length, { background: true });
  try {
    const desk = new Desk();
    world.gateway.behaviour = desk;
    const numbers = new Numbers();
    world.gateway.sees = (m) => {
      if (m.t !== 'ping') return;
      const { session } = (world.client as Core).greeting!.rider!;
      world.check(() => numbers.look(session, m.pings));
    };
    let stored: readonly unknown[] = [];
    let dropped = 0;
    let highest = 0;
    const store = {
      load: async () => [...stored],
      save(queue: readonly unknown[]) {
        stored = queue;
      },
    };
    const begin = () => {
      const me = sdk.rider(world.client, { queue: { max: MAX }, store });
      me.on('drop', ({ count }) => {
        dropped += count;
      });
      me.on('ack', ({ upTo }) => {
        highest = Math.max(highest, upTo);
      });
      return me;
    };
    const tell = (refused: number[] = []) =>
      world.gateway.way?.down.push({
        t: 'pinged',
        seq: refused.length ? 0 : desk.top,
        ...(refused.length ? { refused: refused.map((seq): [number, 'rate'] => [seq, 'rate']) } : {}),
      });

    let me = begin();
    const kept = new Set<number>();
    await world.carry();
    for (const [act, n] of steps) {
      if (await world.act(act, n)) continue;
      if (act === 'push') {
        for (let i = 0; i <= n % 5; i++) {
          const fix = 10 + kept.size / 1000;
          if (me.push({ lat: fix, lng: 0 }) !== 'skipped') kept.add(fix);
          assert.ok(me.queued <= MAX, 'the queue has its bound');
          await world.pass(1000);
        }
      } else if (act === 'ack') tell();
      else if (act === 'refuse') tell([Math.max(1, desk.top - (n % 3))]);
      else if (act === 'forget') {
        desk.forget();
        if (world.gateway.way) world.gateway.close(world.gateway.way);
      } else if (act === 'pace')
        world.gateway.way?.down.push({ t: 'pace', intervalMs: 1000, minMoveM: 0, accuracy: 'high' });
      else if (act === 'restart') {
        me.close();
        await world.carry();
        numbers.restart();
        me = begin();
        await world.time.settle();
      } else assert.fail(`nobody knows how to ${act}`);
      await world.carry();
      world.verify();
    }

    if (world.endsEarly) {
      me.close();
      return await world.close();
    }
    await world.heal();
    await world.pass(WHOLE_MS);
    for (let n = 0; n < 3; n++) {
      tell();
      await world.carry();
    }
    assert.equal(me.queued, 0, 'all is acknowledged');
    const missing = [...kept].filter((fix) => !desk.taken.has(fix)).length;
    assert.ok(missing <= dropped, `${missing} pings are missing, and ${dropped} were dropped`);
    me.close();
    await world.close();
  } finally {
    world.time.stop();
  }
}
