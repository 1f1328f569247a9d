/** A backend process that may die at any moment: commits a row to its table, says so, then makes the call it means. */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

export interface Row {
  readonly order: string;
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly key: string;
}

/** What it is told to do, one after the other. */
export interface Work {
  readonly table: string;
  readonly url: string;
  readonly token: string;
  readonly rows: readonly Row[];
  readonly everyMs: number;
}

process.on('message', async ({ table, url, token, rows, everyMs }: Work) => {
  for (const row of rows) {
    const file = openSync(table, 'a');
    writeSync(file, `${JSON.stringify(row)}\n`);
    fsyncSync(file);
    closeSync(file);
    process.send?.(row.key);
    await fetch(`${url}/v1/orders/${row.order}${row.path}`, {
      method: row.method,
      headers: { authorization: `Bearer ${token}`, 'idempotency-key': row.key },
      body: JSON.stringify(row.body),
    }).catch(() => {});
    await pause(everyMs);
  }
  process.exit(0);
});
process.on('disconnect', () => process.exit(0));
