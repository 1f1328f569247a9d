// A backend that loses no event, whatever happens to Redis: each call is first a row of its own database, committed
// together with the order. Run this every few seconds: what Ridecast does not know is sent again, in order, with the
// same keys. Here the table is a file of JSON lines: {"order", "method", "path", "body", "key"}, the oldest first.
// RIDECAST_URL=… RIDECAST_TOKEN=$(AUTH_SECRET=… node examples/token.mjs service backend) node examples/outbox.mjs TABLE
import { readFileSync } from 'node:fs';

const { RIDECAST_URL = 'http://127.0.0.1:8080', RIDECAST_TOKEN } = process.env;
const rows = readFileSync(process.argv[2], 'utf8').trim().split('\n').map(JSON.parse);

async function call(method, path, body, key) {
  for (let wait = 250; ; wait = Math.min(wait * 2, 10_000)) {
    const headers = { authorization: `Bearer ${RIDECAST_TOKEN}`, 'idempotency-key': key ?? 'none' };
    const request = { method, headers, body: body && JSON.stringify(body) };
    const answer = await fetch(RIDECAST_URL + path, request).catch(() => ({ status: 503 }));
    if (answer.ok || answer.status === 404) return answer.json();
    if (answer.status < 500 && answer.status !== 429) throw new Error(await answer.text());
    await new Promise((resolve) => setTimeout(resolve, wait * Math.random()));
  }
}

for (const order of new Set(rows.map((row) => row.order))) {
  const mine = rows.filter((row) => row.order === order);
  const { order: known } = await call('GET', `/v1/orders/${order}`);
  const version = known?.version ?? 0;
  // Each row made one event. A key that was used gives no second one, so sending all of them again does no harm.
  if (version < mine.length) {
    for (const { method, path, body, key } of mine)
      await call(method, `/v1/orders/${order}${path}`, body, key);
  }
  console.log(`order ${order}: ${Math.max(0, mine.length - version)} of ${mine.length} events were missing`);
}
