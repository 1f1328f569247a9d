import { pack } from '../../src/protocol/codec.ts';
import { Mangler } from '../mangler.ts';
import { say } from '../resp.ts';
import type { Row } from '../row.ts';
import { TIMES } from '../stage.ts';

/** One event in so many arrives as nonsense. */
const SPOILT = 3;

/** What nobody of this version writes. */
const POISON: readonly (string | Uint8Array)[] = [
  '',
  'hello',
  'E|',
  'E|cut|7',
  'E|epoch|NaN|id|prev|soon|{}',
  'E|epoch|999999|id|prev|0|{not json',
  new Uint8Array(512).map((_, i) => (i * 167) % 256),
  new Uint8Array(72_000).fill(0x91), // arrays in arrays
  Buffer.from('ddffffffff', 'hex'), // four billion elements, it says
  pack([99, 'a later version']),
  pack([1]),
  pack([1, 'no record']),
  pack([1, ['order-1-rider']]),
  pack([2, {}, 7]),
  pack([3, '{not json']),
  pack({ not: 'a list' }),
  pack(null),
];

export const poison: Row = {
  name: 'poison',
  number: '30',
  fault: `garbage on the channels of watched orders, and one event in ${SPOILT} arrives as garbage`,
  pass: `no process ends; a spoilt event is noticed by the next, or within CHECK_MS and a read: ${TIMES.CHECK_MS + 500} ms`,
  without: ['isolation'],
  twin: 'nobody catches what a message that makes no sense throws',
  limits: { detectMs: TIMES.CHECK_MS + 500, convergeMs: TIMES.CHECK_MS + 500 },
  async run(stage) {
    const redis = await stage.redis();
    const mangler = stage.owned(await Mangler.start(redis.port));
    const url = `redis://127.0.0.1:${mangler.port}`;
    const nodes = [await stage.gateway('a', url), await stage.gateway('b', url)];
    const backend = await stage.gateway('backend', redis.url);
    const company = stage.company([backend]);
    const orders = await stage.give(company, 10);
    await stage.watch(company, orders, stage.quick ? 20 : 100, nodes.map(({ url }) => url)); // biome-ignore format: short
    const riders = await stage.riders(company, orders, backend.url);
    stage.injected();
    mangler.every = SPOILT;
    riders.keepPinging(5);
    const stop = company.keepPosting(orders, 40);
    const rounds = stage.seconds(10, 4);
    for (let round = 0; round < rounds; round++) {
      for (const order of orders) {
        const channel = `ridecast:{o:${order}}`;
        for (const bytes of [...POISON, await successor(redis, order)])
          await say(redis.port, 'PUBLISH', channel, Buffer.from(bytes));
      }
      await stage.pause(300);
    }
    await stop();
    await riders.rest();
    stage.healed();
    await stage.quiet(4000);
    const malformed = await Promise.all(
      nodes.map((node) => stage.metric(node, 'ridecast_bus_drops_total{reason="malformed"')),
    );
    return {
      'poison sent': rounds * orders.length * (POISON.length + 1),
      'events spoilt': mangler.mangled,
      'counted as malformed': malformed[0]! + malformed[1]!,
      'processes that ended': malformed.filter(Number.isNaN).length,
    };
  },
  problems: (_, extra) => [
    ...(extra['processes that ended'] === 0 ? [] : [`${extra['processes that ended']} processes ended`]),
    ...(Number(extra['events spoilt']) > 0 ? [] : ['no event was spoilt']),
  ],
};

/** An event that would follow in the order's log, if its data were any. */
async function successor(
  redis: { command(...words: string[]): Promise<string> },
  order: string,
): Promise<string> {
  const reply = await redis.command('HMGET', `ridecast:{o:${order}}:m`, 'e', 's', 'h');
  const [, , epoch, , offset, , id] = reply.split('\r\n');
  return `E|${epoch}|${Number(offset) + 1}|forged|${id}|0|{"type":"picked_up"`;
}
