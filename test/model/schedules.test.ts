/**
 * The promise of docs/guarantees.md against random schedules: two real hubs over the real memory store, three clients,
 * faults, and every internal step in any order. Two layers: *strict* has no periodic look and none of the faults only
 * that can see, so it cannot hide a bug of subscribing and resuming; *full* has everything.
 *
 * SCHEDULES=100000 SEED=42 npx vitest run test/model   plays more of them, and says on which run each mutant died.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DESIGN, MUTANTS, type Mutant } from './mutants.ts';
import { World } from './world.ts';

type Layer = 'strict' | 'full';
const SCHEDULES = Number(process.env.SCHEDULES ?? 5000);
const SEED = Number(process.env.SEED ?? 42);
/** Steps by themselves until nothing is left to do: an end to what must end. */
const MAX_STEPS = 2000;

type Op = readonly [name: string, n: number];

/** Weights are repetitions. */
const COMMON = [
  ...Array<string>(14).fill('step'),
  ...Array<string>(4).fill('post'),
  ...Array<string>(3).fill('connect'),
  'repost',
  'disconnect',
  'cut',
  'failOver',
  'trim',
  'die',
];
const ONLY_FULL = ['silence', 'flush', 'lose', 'look', 'probe'];

function schedule(layer: Layer): fc.Arbitrary<Op[]> {
  const names = layer === 'strict' ? COMMON : [...COMMON, ...ONLY_FULL];
  return fc.array(fc.tuple(fc.constantFrom(...names), fc.nat(1000)), { maxLength: 60, size: 'max' });
}

/** What the promises of this turn of the event loop still have to do. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

async function perform(world: World, [name, n]: Op): Promise<void> {
  const node = world.nodes[n % 2]!;
  const client = world.clients[n % 3]!;
  world.clock++;
  switch (name) {
    case 'step': {
      const steps = world.steps();
      if (steps.length > 0) steps[n % steps.length]!();
      break;
    }
    case 'post':
      await world.post();
      break;
    case 'repost':
      await world.repost(n);
      break;
    case 'die':
      world.dying = true;
      await world.post();
      world.dying = false;
      break;
    case 'connect':
      client.connect(world.nodes[(n >> 2) % 2]!);
      break;
    case 'disconnect':
      client.disconnect();
      break;
    case 'cut':
      node.cut();
      break;
    case 'failOver':
      world.failOver(n);
      break;
    case 'trim':
      world.trim();
      break;
    case 'silence':
      node.silence();
      break;
    case 'flush':
      world.flush();
      break;
    case 'lose':
      client.lose();
      break;
    case 'look':
      if (!world.mutant.noLooking) node.every.get(10_000)!();
      break;
    case 'probe':
      if (!world.mutant.noLooking) node.probe();
      break;
  }
  await settled();
}

/** Faults are over: everything on its way arrives, in an order the seed decides. */
async function quiet(world: World, layer: Layer): Promise<void> {
  for (let rounds = 0; rounds < (layer === 'full' && !world.mutant.noLooking ? 3 : 1); rounds++) {
    for (let steps = 0; ; steps++) {
      const next = world.steps();
      if (next.length === 0) break;
      if (steps > MAX_STEPS) throw new Error('it never comes to rest');
      next[steps % next.length]!();
      await settled();
    }
    world.clock += 1000;
    for (const node of world.nodes) {
      for (const run of node.later.splice(0)) run();
      if (layer === 'full' && !world.mutant.noLooking) {
        node.probe();
        node.every.get(10_000)!();
      }
    }
    await settled();
  }
}

async function play(mutant: Mutant, layer: Layer, ops: readonly Op[]): Promise<void> {
  const world = new World(mutant);
  await world.post();
  for (const op of ops) await perform(world, op);
  // A frame that was lost last is seen with the next one.
  if (layer === 'full') await world.post();
  await quiet(world, layer);
  for (const node of world.nodes) node.isBounded();
  const head = await world.head();
  for (const [i, client] of world.clients.entries()) {
    if (client.node === undefined) continue;
    if (!client.settled) throw new Error(`client ${i} waits for ever`);
    if (client.refused || client.lost) continue;
    if (client.cursor?.id !== head?.id)
      throw new Error(
        `client ${i} stands at ${JSON.stringify(client.cursor)}, the store at ${JSON.stringify(head)}`,
      );
  }
}

async function falsify(mutant: Mutant, layer: Layer, numRuns: number, seed: number) {
  const undo = mutant.install?.();
  try {
    const property = fc.asyncProperty(schedule(layer), (ops) => play(mutant, layer, ops));
    return await fc.check(property, { numRuns, seed, endOnFailure: mutant !== DESIGN });
  } finally {
    undo?.();
  }
}

describe.each<Layer>(['strict', 'full'])('the %s layer', (layer) => {
  it(`keeps the promise on ${SCHEDULES} schedules`, async () => {
    const details = await falsify(DESIGN, layer, SCHEDULES, SEED);
    if (details.failed)
      throw new Error(fc.defaultReportMessage(details as never), { cause: details.errorInstance });
  }, 3_600_000);

  const mortal = MUTANTS.filter(({ dies }) => dies.includes(layer));
  it.each(mortal)(
    'would notice: $name',
    async (mutant) => {
      const details = await falsify(mutant, layer, 20_000, SEED);
      if (process.env.SCHEDULES)
        process.stdout.write(`${layer}: ${mutant.name}: killed, run ${details.numRuns}\n`);
      expect(details.failed).toBe(true);
    },
    600_000,
  );
});
