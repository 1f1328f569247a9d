/** The process that is the load: one party at a time, as the conductor says. */
import type { Dialect } from './dialect.ts';
import { mqttDialect } from './dialects/mqtt.ts';
import { natsDialect } from './dialects/nats.ts';
import { packedDialect } from './dialects/packed.ts';
import { rawDialect } from './dialects/raw.ts';
import { ridecastDialect } from './dialects/ridecast.ts';
import { socketioDialect } from './dialects/socketio.ts';
import { tickDialect } from './dialects/tick.ts';
import type { Answer, Crowd, Measured, Numbered, Order, Target } from './messages.ts';
import { Party } from './party.ts';

let party: Party | undefined;

function dialectOf(target: Target, crowd: Crowd): Dialect {
  switch (target.speaks) {
    case 'ridecast':
      return ridecastDialect(target, crowd);
    case 'packed':
      return packedDialect(target, crowd);
    case 'raw':
      return rawDialect(crowd);
    case 'socketio':
      return socketioDialect(crowd);
    case 'nats':
      return natsDialect(crowd);
    case 'mqtt':
      return mqttDialect(crowd);
    case 'tick':
      return tickDialect(crowd, target.recordBytes);
  }
}

async function carryOut(order: Order): Promise<Measured | undefined> {
  switch (order.do) {
    case 'open':
      party = new Party(order.target.url, dialectOf(order.target, order.crowd), order.crowd);
      await party.open();
      return undefined;
    case 'ride':
      party!.ride(order.riders, order.hz);
      return undefined;
    case 'rest':
      party!.rest();
      return undefined;
    case 'stall':
      party!.stall(order.watchers);
      return undefined;
    case 'measure':
      return party!.measure(order.seconds, order.pids);
    case 'tell':
      party!.tell(order.orders);
      return undefined;
    case 'settle':
      return party!.settle();
    case 'close':
      party?.close();
      party = undefined;
      return undefined;
  }
}

process.on('message', ({ id, order }: Numbered) => {
  const answer = (sent: Omit<Answer, 'id'>) => process.send!({ id, ...sent } satisfies Answer);
  carryOut(order).then(
    (value) => answer({ value }),
    (error: Error) => answer({ error: error.message }),
  );
});
process.once('disconnect', () => process.exit(0));
