/** Follows what one watch of an order tells an app, over restarts of the app, and throws when it is not the truth. */
import assert from 'node:assert/strict';
import type { Cursor, OrderWatch } from '../../src/types.ts';
import type { Orders } from './orders.ts';
import { gatewayNow } from './virtual.ts';
import type { Sdk, World } from './world.ts';

/** What the SDK gives the backend to put an order back, ms. */
const PATIENCE_MS = 600_000;

const MOVES = 'the cursor moves only with a word';

export class Follower {
  watch!: OrderWatch;
  /** The watch is over by the gateway's word. */
  over = false;
  /** Events told that were not acknowledged on the link of now. */
  owed = 0;
  /** The next time the app is told something it does this, in the middle. */
  mischief: 'throws' | 'closes' | undefined;
  private readonly sdk: Sdk;
  private readonly world: World;
  private readonly name: string;
  private readonly orders: Orders;
  /** Where we were told that we stand. */
  private at: Cursor | undefined;
  private readonly applied = new Set<string>();
  private status: string | undefined;
  private told = '';
  private readonly shown = new Map<number, [session: number, seq: number]>();

  constructor(sdk: Sdk, world: World, name: string, orders: Orders) {
    this.sdk = sdk;
    this.world = world;
    this.name = name;
    this.orders = orders;
    this.open();
  }

  /** The app goes away and comes back with the cursor it stored. */
  restart(): void {
    this.watch.close();
    if (this.world.client.info.state === 'live')
      assert.equal(this.owed, 0, 'a watch that closes acknowledges what it took');
    assert.deepEqual(this.watch.cursor, this.at, MOVES);
    this.open();
  }

  /** Nothing moved without a word, and what is shown is the state there. */
  check(): void {
    assert.deepEqual(this.watch.cursor, this.at, MOVES);
    const { snapshot } = this.watch;
    if (!snapshot) return;
    if (!this.over) this.isTruth();
    assert.equal(this.status ?? snapshot.status, snapshot.status, 'every status is told');
  }

  /** Faults have ended some time ago. */
  checkWhole(): void {
    if (this.over) return;
    assert.deepEqual(
      this.watch.cursor,
      this.orders.cursor(this.name),
      'the watch stands where the gateway stands',
    );
    assert.equal(this.watch.freshness, 'live');
    const { position } = this.watch.snapshot!;
    const seen = position && [position.heading, position.accuracy, position.speed];
    assert.deepEqual(seen, this.orders.newest(this.name), 'the newest position is shown');
    assert.equal(this.owed, 0, 'all is acknowledged');
  }

  private open(): void {
    const since = this.at;
    this.watch = this.sdk.watchOrder(this.world.client, this.name, since ? { since } : {});
    this.status = undefined;
    this.owed = 0;
    const { watch } = this;
    watch.on('event', (e) => this.tell(() => this.takeEvent(e.offset)));
    watch.on('gap', () => this.tell(() => this.takeSnapshot()));
    watch.on('status', ({ status, at }) =>
      this.tell(() => {
        assert.deepEqual([status, at], [watch.snapshot!.status, watch.snapshot!.at]);
        assert.notEqual(`${status} at ${at}`, this.told, 'a status is told once');
        this.told = `${status} at ${at}`;
        this.status = status;
      }),
    );
    watch.on('position', (p) => this.tell(() => this.takePosition(p.heading!, p.accuracy!, p.speed!)));
    watch.on('change', () =>
      this.tell(() => {
        if (!this.at) this.takeSnapshot();
        this.status ??= watch.snapshot!.status;
      }),
    );
    watch.on('end', (order) =>
      this.tell(() => {
        assert.ok(order.ended);
        this.over = true;
      }),
    );
    watch.on('error', (e) =>
      this.tell(() => {
        assert.equal(e.code, 'not_found');
        const lostAt = this.orders.lostAt.get(this.name);
        if (e.retryable) return assert.equal(watch.freshness, 'lost');
        assert.ok(lostAt !== undefined && gatewayNow() - lostAt >= PATIENCE_MS, 'the backend has time');
        this.over = true;
      }),
    );
  }

  /** Runs as an app's listener, which may misbehave. */
  private tell(look: () => void): void {
    const { mischief } = this;
    this.mischief = undefined;
    this.world.check(() => {
      look();
      if (mischief === 'closes' && !this.over) this.restart();
    });
    if (mischief === 'throws') throw new Error('app bug');
  }

  private takeEvent(offset: number): void {
    const { at } = this;
    const now = this.watch.cursor!;
    const entry = this.orders.entries.get(now.id);
    assert.ok(entry && at, 'an event follows a snapshot');
    assert.equal(entry.offset, offset);
    assert.deepEqual(
      [now.epoch, now.offset, entry.prev],
      [at.epoch, at.offset + 1, at.id],
      'nothing is left out',
    );
    assert.ok(!this.applied.has(now.id), 'no event is told twice');
    this.applied.add(now.id);
    this.at = now;
    this.owed++;
    this.isTruth();
  }

  private takeSnapshot(): void {
    const first = !this.at;
    this.at = this.watch.cursor!;
    this.owed = 0;
    this.told = '';
    // `closed` brings the last state and no cursor: nothing goes on from there.
    if (this.watch.snapshot!.ended) return;
    assert.ok(first || this.orders.damaged.has(this.name), 'nothing was missed for good');
    this.isTruth();
  }

  private isTruth(): void {
    const { status, version, assignment } = this.watch.snapshot!;
    const { order } = this.orders.entries.get(this.at!.id)!;
    assert.deepEqual(
      [status, version, assignment],
      [order.status, order.version, order.assignment],
      'the state is the one there',
    );
  }

  private takePosition(rider: number, session: number, seq: number): void {
    const { ref } = this.orders.rides.get(String(rider))!;
    assert.ok(ref >= this.watch.snapshot!.assignment, 'the rider before is not shown again');
    const [s, n] = this.shown.get(rider) ?? [0, 0];
    assert.ok(session > s || (session === s && seq >= n), 'no rider goes back');
    this.shown.set(rider, [session, seq]);
  }
}
