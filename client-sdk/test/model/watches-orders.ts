/** Rules of watching orders, over random schedules of what happens to orders, links and apps. */
import assert from 'node:assert/strict';
import { Follower } from './follower.ts';
import { Orders } from './orders.ts';
import { linkActs, type Sdk, type Step, schedule, WHOLE_MS, World } from './world.ts';

export const orderSchedules = schedule({
  ...linkActs,
  append: 20,
  burst: 1,
  assign: 2,
  deliver: 1,
  failOver: 4,
  trim: 2,
  lose: 2,
  begin: 2,
  check: 2,
  stray: 3,
  unable: 1,
  able: 2,
  ping: 8,
  show: 6,
  late: 4,
  former: 2,
  hide: 1,
  restart: 2,
  throws: 2,
  closes: 3,
});

/** Questions on live links in two minutes, with everything going wrong. */
const MOST_ASKED = 40;

/** Two orders watched by one client. Throws when a rule is broken. */
export async function watchesOrders(sdk: Sdk, steps: readonly Step[]): Promise<void> {
  const world = new World(sdk, steps.length);
  try {
    const names = ['a', 'b'];
    const orders = new Orders(world.gateway, names);
    const followers = new Map(names.map((name) => [name, new Follower(sdk, world, name, orders)]));
    const check = () => {
      world.verify();
      for (const follower of followers.values()) follower.check();
    };
    const asked = watchFrames(world, followers);
    await world.carry();
    for (const [act, n] of steps) {
      const before = asked();
      const name = names[n % 2]!;
      if (!(await world.act(act, n >> 1))) orderAct(orders, name, followers.get(name)!, act, n >> 1);
      await world.carry();
      check();
      assert.ok(asked() - before <= MOST_ASKED, 'questions do not go round in circles');
    }

    if (world.endsEarly) return await world.close();
    orders.unable = false;
    for (const name of names) {
      if (orders.lostAt.has(name)) orders.begin(name);
      if (orders.doubtful.has(name)) orders.reset(name, 'diverged');
      followers.get(name)!.mischief = undefined;
    }
    // Every other time the next event has to bring to light what was lost.
    const quiet = steps.length % 2 === 0 || names.some((name) => orders.top(name)!.order.ended);
    await world.heal(quiet);
    if (!quiet) for (const name of names) orders.append(name, 'one more');
    const before = asked();
    await world.pass(WHOLE_MS);
    for (const name of names) orders.show(name, 0);
    await world.pass(5000);
    check();
    for (const follower of followers.values()) follower.checkWhole();
    world.checkClock();
    assert.ok(asked() - before <= MOST_ASKED, 'questions do not go round in circles');
    await world.close();
  } finally {
    world.time.stop();
  }
}

/** Sees what the client asks and acknowledges. Returns how often it asked on a link that was live. */
function watchFrames(world: World, followers: Map<string, Follower>): () => number {
  const watched = new Map<number, Follower>();
  let asked = 0;
  world.gateway.sees = (m) => {
    for (const { w, channel } of m.t === 'hello' ? (m.watch ?? []) : m.t === 'watch' ? [m] : [])
      watched.set(w, followers.get(channel.slice('order:'.length))!);
    if (m.t === 'hello') for (const follower of followers.values()) follower.owed = 0;
    else if (m.t === 'watch') asked++;
    else if (m.t === 'ack') {
      const follower = watched.get(m.w)!;
      const { offset } = follower.watch.cursor!;
      world.check(() => assert.equal(m.offset, offset, 'all that was told is acknowledged, and no more'));
      follower.owed = 0;
    }
  };
  return () => asked;
}

function orderAct(orders: Orders, name: string, follower: Follower, act: string, n: number): void {
  if (act === 'append') orders.append(name, `s${n}`);
  else if (act === 'burst') for (let i = 0; i < 40; i++) orders.append(name, `b${i}`);
  else if (act === 'assign') orders.append(name, 'assigned');
  else if (act === 'deliver') orders.append(name, 'delivered');
  else if (act === 'failOver') orders.failOver(name, 1 + (n % 4));
  else if (act === 'trim') orders.trim(name, n % 5);
  else if (act === 'lose') orders.lose(name);
  else if (act === 'begin') orders.lostAt.has(name) && orders.begin(name);
  else if (act === 'check') orders.doubtful.has(name) && orders.reset(name, 'diverged');
  else if (act === 'stray') orders.stray(name, n);
  else if (act === 'unable') orders.unable = true;
  else if (act === 'able') orders.unable = false;
  else if (act === 'ping') orders.ping(name, n % 8 === 0);
  else if (act === 'show') orders.show(name, 0);
  else if (act === 'late') orders.show(name, n % 4);
  else if (act === 'former') orders.former(name);
  else if (act === 'hide') orders.hide(name);
  else if (act === 'restart') follower.over || follower.restart();
  else if (act === 'throws' || act === 'closes') follower.mischief = act;
  else assert.fail(`nobody knows how to ${act}`);
}
