import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { whoOf } from '../company.ts';
import type { Row as TableRow, Work } from '../producer.ts';
import type { Row } from '../row.ts';
import type { Stage } from '../stage.ts';

const ORDERS = 40;
const EVERY_MS = 100;
const RECONCILE_MS = 1000;
/** How often the backend is killed right after a commit. */
const KILLS = 0.3;

export const producerDies: Row = {
  name: 'producer-dies',
  number: '19',
  fault: 'the backend is killed between the commit of an event and the call, three times in ten',
  pass: `events missing in the end: 0; none for longer than two periods of the outbox job (examples/outbox.mjs, ${RECONCILE_MS} ms) and its run`,
  without: ['outbox'],
  twin: 'no job sends what was committed and not called',
  limits: { detectMs: 2 * RECONCILE_MS + 1500, convergeMs: 2 * RECONCILE_MS + 1500 },
  async run(stage) {
    const { nodes, urls, company, orders } = await stage.site({ orders: ORDERS });
    const token = await company.mint('service', 'company');
    const table = join(stage.folder(), 'outbox.jsonl');
    writeFileSync(
      table,
      orders
        .flatMap(given)
        .map((row) => `${JSON.stringify(row)}\n`)
        .join(''),
    );
    await stage.watch(company, orders, ORDERS, urls);
    const count = stage.quick ? 40 : 120;
    const numbers = new Map<string, readonly [order: string, n: number]>();
    const rows = Array.from({ length: count }, (_, i): TableRow => {
      const order = orders[i % ORDERS]!;
      const n = stage.ledger.number();
      numbers.set(`event-${n}`, [order, n]);
      return {
        order,
        method: 'POST',
        path: '/events',
        body: { status: 'picked_up', data: { n } },
        key: `event-${n}`,
      };
    });
    stage.injected();
    const job = stage.without('outbox') ? undefined : reconcile(table, nodes[0]!.url, token);
    stage.finally(async () => job?.stop());
    let deaths = 0;
    for (let done = 0; done < count; ) {
      const work = { table, url: nodes[1]!.url, token, rows: rows.slice(done), everyMs: EVERY_MS };
      done += await produce(stage, work, (key) => {
        const [order, n] = numbers.get(key)!;
        stage.ledger.accept(order, n);
        return stage.random() < KILLS;
      });
      deaths++;
    }
    stage.healed();
    await stage.quiet(3 * RECONCILE_MS);
    return { events: count, deaths };
  },
};

/** What `stage.give` called, as rows of the table. */
function given(order: string): TableRow[] {
  const { customer, partner, rider } = whoOf(order);
  return [
    { order, method: 'PUT', path: '', body: { customer, partner, data: { n: 0 } }, key: 'create' },
    { order, method: 'POST', path: '/assign', body: { rider }, key: 'assign-0' },
    { order, method: 'POST', path: '/events', body: { status: 'picked_up' }, key: 'picked-up' },
  ];
}

/** Runs a backend until it is done, or killed after a commit. Gives how many rows it committed. */
async function produce(stage: Stage, work: Work, committed: (key: string) => boolean): Promise<number> {
  const child: ChildProcess = fork(fileURLToPath(new URL('../producer.js', import.meta.url)));
  stage.finally(async () => void child.kill('SIGKILL'));
  let count = 0;
  child.on('message', (key: string) => {
    count++;
    if (committed(key)) child.kill('SIGKILL');
  });
  child.send(work);
  await once(child, 'close');
  return count;
}

/** The outbox job of the examples, again and again. */
function reconcile(table: string, url: string, token: string) {
  const job = fileURLToPath(new URL('../../../examples/outbox.mjs', import.meta.url));
  const env = { ...process.env, RIDECAST_URL: url, RIDECAST_TOKEN: token };
  let running: Promise<unknown> = Promise.resolve();
  const timer = setInterval(() => {
    running = running.then(() =>
      once(spawn(process.execPath, [job, table], { env, stdio: 'ignore' }), 'close'),
    );
  }, RECONCILE_MS);
  return {
    async stop() {
      clearInterval(timer);
      await running;
    },
  };
}
