/** Rules of watching a zone, over random schedules of riders, links and frames. */
import assert from 'node:assert/strict';
import { linkActs, type Sdk, type Step, schedule, WHOLE_MS, World } from './world.ts';
import { Zone } from './zone.ts';

export const zoneSchedules = schedule({
  ...linkActs,
  move: 12,
  anew: 2,
  leave: 4,
  tick: 12,
  late: 6,
  refresh: 3,
  retarget: 1,
});

/** A zone watched by one client. Throws when a rule is broken. */
export async function watchesZone(sdk: Sdk, steps: readonly Step[]): Promise<void> {
  const world = new World(sdk, steps.length);
  try {
    const zone = new Zone(world.gateway);
    const fleet = sdk.watchFleet(world.client, { zone: '7' });
    const present = new Set<string>();
    const shown = new Map<string, [session: number, seq: number]>();
    fleet.on('enter', (id) =>
      world.check(() => assert.ok(!present.has(id) && present.add(id), 'a rider enters once')),
    );
    fleet.on('leave', (id) =>
      world.check(() => {
        assert.ok(present.delete(id), 'who leaves was there');
        // What a lost part had is not in it.
        assert.ok(zone.left.delete(id) || world.gateway.holed, 'nobody leaves who stays');
      }),
    );
    fleet.on('change', (items) =>
      world.check(() => {
        assert.deepEqual([...items.keys()].sort(), [...present].sort(), 'who is there has entered');
        for (const [id, { position }] of items) {
          const [s, n] = shown.get(id) ?? [0, 0];
          const [session, seq] = [position.accuracy!, position.heading!];
          assert.ok(session > s || (session === s && seq >= n), 'no rider goes back');
          shown.set(id, [session, seq]);
        }
      }),
    );
    await world.carry();
    for (const [act, n] of steps) {
      const name = `r${n % 5}`;
      if (await world.act(act, n)) continue;
      if (act === 'move') zone.come(name);
      else if (act === 'anew') zone.come(name, true);
      else if (act === 'leave') zone.leave(name);
      else if (act === 'tick') zone.tick();
      else if (act === 'late') zone.late(name, n % 12);
      else if (act === 'refresh') zone.refresh();
      else if (act === 'retarget') {
        fleet.retarget({ zone: '7' });
        shown.clear();
        for (const id of present) zone.left.add(id);
      } else assert.fail(`nobody knows how to ${act}`);
      await world.carry();
      world.verify();
    }

    if (world.endsEarly) return await world.close();
    await world.heal();
    await world.pass(WHOLE_MS);
    for (let parts = 0; parts < 5; parts++) {
      zone.tick();
      await world.pass(100);
    }
    world.verify();
    const seen = [...fleet.snapshot!].map(([id, { position: p }]) => [id, p.accuracy, p.heading]);
    const there = [...zone.riders].map(([id, { session, seq }]) => [id, session, seq]);
    assert.deepEqual(seen.sort(), there.sort(), 'the riders are those of the gateway, where they are');
    assert.equal(fleet.freshness, 'live');
    await world.close();
  } finally {
    world.time.stop();
  }
}
