/** What goes on the bus for zones and partners, and what need not. */
import { describe, expect, it } from 'vitest';
import type { Bus } from '../src/backbone/bus.ts';
import { memoryBackbone } from '../src/backbone/memory.ts';
import { Batches } from '../src/ingest/batches.ts';
import { Rider } from '../src/ingest/rider.ts';
import { type BusMessage, decodeBus } from '../src/protocol/bus-messages.ts';

function rig() {
  const { bus } = memoryBackbone();
  const sent: { channel: string; bytes: number }[] = [];
  const heard: BusMessage[] = [];
  bus.onMessage((_, payload) => heard.push(decodeBus(payload)));
  const recording: Bus = {
    ...bus,
    subscribe: (channel) => bus.subscribe(channel),
    unsubscribe: (channel) => bus.unsubscribe(channel),
    publish(channel, payload) {
      sent.push({ channel, bytes: payload.length });
      return bus.publish(channel, payload);
    },
  };
  const batches = new Batches(recording, () => {});
  return { bus, batches, sent, heard };
}

const rules = { zones: undefined, pingsPerSecond: 1000, keepAliveMs: 0, minMoveM: 0 };

function ridersOf(count: number): Rider[] {
  return Array.from({ length: count }, (_, i) => {
    const rider = new Rider(`r${i}`, rules);
    rider.take(1, [{ seq: 1, lat: 52.5, lng: 13.4 }], 1000);
    return rider;
  });
}

/** Riders of a fleet message, each with the number of its ping. */
function briefly(message: BusMessage): string {
  if (message.kind !== 'fleet') return message.kind;
  const here = message.entries.map(([[rider, , seq]]) => `${rider}/${seq}`);
  return [...here, ...message.left.map(([rider, , seq]) => `gone ${rider}/${seq}`)].join(', ');
}

/** Everything that hangs on promises, and the hand-over of the bus. */
const turn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

describe('a tick', () => {
  it('tells a zone nobody listens to once, and then only asks', async () => {
    const { batches, sent } = rig();
    for (let tick = 0; tick < 3; tick++) {
      for (const rider of ridersOf(100)) batches.zone('z', rider);
      batches.flushTick();
      await turn();
    }
    const [first, ...asked] = sent;
    expect(first!.bytes).toBeGreaterThan(2000);
    expect(asked.map(({ bytes }) => bytes)).toEqual([4, 4]);
  });

  it('tells who has come to listen all of the tick in which it came', async () => {
    const { bus, batches, heard } = rig();
    const [one, other] = ridersOf(2);
    batches.zone('z', one!);
    batches.flushTick();
    await turn();
    await bus.subscribe('zone:z');
    batches.zone('z', one!);
    batches.left('z', other!);
    batches.flushTick();
    await turn();
    expect(heard.map(briefly)).toEqual(['', 'r0/1, gone r1/1']);
    heard.length = 0;
    batches.zone('z', one!);
    batches.flushTick();
    await turn();
    expect(heard).toHaveLength(1); // nobody is asked any more
  });

  it('sends a rider once, with where it is when the tick comes', async () => {
    const { bus, batches, heard } = rig();
    await bus.subscribe('partner:p');
    const [rider] = ridersOf(1);
    batches.partner('p', rider!);
    rider!.take(1, [{ seq: 2, lat: 52.6, lng: 13.4 }], 2000);
    batches.partner('p', rider!);
    batches.flushTick();
    await turn();
    expect(heard.map(briefly)).toEqual(['r0/2']);
  });
});
