/** What a position costs on the wire, exactly, on recorded movement: frames as they leave the outbox, beside the JSON of the same. */
import { expect, it } from 'vitest';
import { readTraces } from '../loadtest/traces.ts';
import { Group } from '../src/fanout/groups.ts';
import { jsonCodec } from '../src/protocol/codec.ts';
import { LIVE, type Position, toTuple } from '../src/protocol/positions.ts';
import { motion } from '../src/protocol/predict.ts';
import { START, World } from './support/packed-world.ts';

type Ride = readonly Position[];

/** Rides of recorded fixes, from START on. Where a phone told no heading and speed, `moving` fills in the motion, or the last known. */
async function rides(name: string, moving = false): Promise<Ride[]> {
  const traces = await readTraces(new URL(`fixtures/${name}.ndjson.gz`, import.meta.url).pathname);
  return traces.map(({ id, fixes }) => {
    const ride: Position[] = [];
    for (const { t, lat, lng, accuracy = null } of fixes) {
      const at = START + t - fixes[0]!.t;
      const place = { lat: Math.round(lat * 1e5), lng: Math.round(lng * 1e5), fixAt: at, heardAt: at };
      const before = ride.at(-1);
      const seq = ride.length + 1;
      const rest = { heading: null, speed: null, accuracy, verdict: 0 };
      const position = { rider: id, session: 59_700_000, seq, ...place, ...rest };
      const moved = before && motion(before, position);
      const heading = moved?.heading ?? before?.heading ?? 0;
      ride.push(moving ? { ...position, heading, speed: moved?.speed ?? before?.speed ?? 0 } : position);
    }
    return ride;
  });
}

class Meter {
  packed = 0;
  json = 0;
  positions = 0;

  /** The packed frame of these positions. */
  add(frame: Uint8Array, at: number, rows: readonly (readonly [position: Position, ref: number])[]): void {
    const block = [7, 0, rows.map(([position, ref]) => toTuple(position, ref, LIVE, at))];
    this.packed += frame.length;
    this.json += jsonCodec.positionsFrame(at, [jsonCodec.encode(block)]).length;
    this.positions += rows.length;
  }

  /** Bytes per position. */
  get mean(): { packed: number; json: number } {
    const mean = (bytes: number) => Math.round((100 * bytes) / this.positions) / 100;
    return { packed: mean(this.packed), json: mean(this.json) };
  }
}

/** One watcher an order: a frame for every position after the first. */
function order(all: readonly Ride[]): Meter {
  const meter = new Meter();
  for (const [first, ...rest] of all) {
    const group = new Group(7, false, 1);
    const world = new World([group], 1);
    const client = world.clients[0]!;
    group.take(first!, [], 1);
    client.watch(1, group, 0);
    for (const position of rest) {
      world.pass(position.fixAt - world.now);
      group.take(position, [], 1);
      client.flush();
      client.read();
      meter.add(client.frames.at(-1)!, world.now, [[position, 1]]);
    }
  }
  return meter;
}

/**
 * One watcher of a zone where so many ride at once, each from a place of its own in its recording: a frame a second, for two
 * minutes.
 */
function zone(all: readonly Ride[], riders: number): Meter {
  const meter = new Meter();
  const group = new Group(7, true, 10_000);
  const world = new World([group], 1);
  const client = world.clients[0]!;
  const under = Array.from({ length: riders }, (_, i) => {
    const ride = all[i % all.length]!;
    const skipped = Math.floor(((i * 0.618) % 0.5) * ride.length);
    const later = START - ride[skipped]!.fixAt - ((i * 617) % 10_000);
    const shift = (position: Position) => ({
      ...position,
      rider: `r${i}`,
      fixAt: position.fixAt + later,
      heardAt: position.heardAt + later,
    });
    return { ref: i + 1, next: skipped, ride: ride.map(shift) };
  });
  for (let second = 0; second <= 120; second++) {
    world.pass(START + 1000 * second - world.now);
    const moved = new Map<number, Position>();
    for (const rider of under) {
      while (rider.next < rider.ride.length && rider.ride[rider.next]!.fixAt <= world.now) {
        const position = rider.ride[rider.next++]!;
        group.take(position, []);
        moved.set(rider.ref, position);
      }
    }
    if (second === 0) {
      client.watch(1, group, 0);
      continue;
    }
    if (moved.size === 0) continue;
    client.flush();
    client.read();
    meter.add(
      client.frames.at(-1)!,
      world.now,
      [...moved].map(([ref, position]) => [position, ref]),
    );
  }
  return meter;
}

/** Recordings of many minutes in parts of an hour's sixth, without those in which a phone was asleep. */
const parts = (all: readonly Ride[]) =>
  all
    .flatMap((ride) =>
      Array.from({ length: Math.floor(ride.length / 60) }, (_, i) => ride.slice(i * 60, i * 60 + 60)),
    )
    .filter((ride) => ride.at(-1)!.fixAt - ride[0]!.fixAt < 30 * 60_000);

it('is at most 7 bytes for an order, whether phones tell where they head or not', async () => {
  expect(order(await rides('couriers-amazon')).mean).toEqual({ packed: 3.69, json: 87.89 });
  expect(order(await rides('couriers-amazon', true)).mean).toEqual({ packed: 5.19, json: 94.18 });
  expect(order(await rides('phones-helsinki')).mean).toEqual({ packed: 5.96, json: 99.07 });
  expect(order(await rides('phones-helsinki', true)).mean).toEqual({ packed: 6.76, json: 95.1 });
});

// Phones that say their accuracy and move for ten to sixty seconds between fixes have more to tell than 2 bytes hold.
it('is at most 2 bytes for a zone of couriers, and a sixteenth of JSON for one of phones', async () => {
  const couriers = await rides('couriers-amazon');
  expect(zone(couriers, 260).mean).toEqual({ packed: 1.78, json: 42.51 });
  expect(zone(couriers, 1000).mean).toEqual({ packed: 1.65, json: 42.02 });
  expect(zone(parts(await rides('phones-helsinki')), 900).mean).toEqual({ packed: 3.34, json: 53.47 });
});
