// The company's backend: creates an order, gives it to a rider, and moves it on.
// RIDECAST_URL=http://127.0.0.1:8080 AUTH_SECRET=… node examples/backend.mjs ORDER CUSTOMER PARTNER RIDER
import { SignJWT } from 'jose';

const { RIDECAST_URL = 'http://127.0.0.1:8080', AUTH_SECRET } = process.env;
const [order = 'order-1', customer = 'ann', partner = 'shop', rider = 'rider-1'] = process.argv.slice(2);

const token = await new SignJWT({ role: 'service' })
  .setProtectedHeader({ alg: 'HS256' })
  .setSubject('backend')
  .setExpirationTime('5m')
  .sign(new TextEncoder().encode(AUTH_SECRET));

async function call(method, path, body, key) {
  const headers = { authorization: `Bearer ${token}`, ...(key ? { 'idempotency-key': key } : {}) };
  const response = await fetch(RIDECAST_URL + path, { method, headers, body: JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${response.status}: ${answer.error.message}`);
  return answer;
}

// The keys make retries safe: the same key is the same command.
await call('PUT', `/v1/orders/${order}`, { customer, partner });
await call('POST', `/v1/orders/${order}/assign`, { rider }, `${order}-assign`);
const { order: now } = await call(
  'POST',
  `/v1/orders/${order}/events`,
  { status: 'picked_up' },
  `${order}-picked-up`,
);
console.log(`order ${now.id} is ${now.status}, version ${now.version}`);
