import type { Row } from '../row.ts';

const WINDOW = 20;
const DOUBLED = 0.1;

export const shuffledPings: Row = {
  name: 'shuffled-pings',
  number: '20',
  fault: `pings arrive shuffled over ${WINDOW}, one in ten twice`,
  pass: 'no app is shown a position older than one before, and all end at the newest',
  without: ['numbering'],
  twin: 'the phone numbers pings as they leave, not as they were taken',
  limits: { detectMs: 1000, convergeMs: 1000 },
  async run(stage) {
    const { urls, company, orders } = await stage.site({
      orders: 5,
      env: { PINGS_PER_SECOND: '1000', FRAMES_PER_SECOND: '10000', MIN_MOVE_M: '0' },
    });
    await stage.watch(company, orders, stage.quick ? 10 : 50, urls);
    stage.injected();
    await Promise.all(
      orders.map(async (order, i) => {
        const phone = await stage.phone(company, order, urls[i % urls.length]!);
        const arrivals = shuffled(stage.quick ? 300 : 1500, () => stage.random());
        stage.ledger.fix(order, Math.max(...arrivals));
        for (const [nth, taken] of arrivals.entries()) {
          phone.ping(taken, stage.without('numbering') ? nth + 1 : taken + 1);
          if (nth % 5 === 0) await stage.pause(10);
        }
      }),
    );
    stage.healed();
    await stage.pause(1500);
    const shown = stage.audience.sights.filter(([, , what]) => what === 'position').length;
    return { shown };
  },
  problems: (_, { shown }) => (Number(shown) > 100 ? [] : [`only ${shown} positions were shown`]),
};

/** 0 up to count, each moved by at most a window, some of them twice. */
function shuffled(count: number, random: () => number): number[] {
  const list: (readonly [place: number, n: number])[] = [];
  for (let n = 0; n < count; n++) {
    list.push([n + random() * WINDOW, n]);
    if (random() < DOUBLED) list.push([n + random() * WINDOW, n]);
  }
  return list.sort(([a], [b]) => a - b).map(([, n]) => n);
}
