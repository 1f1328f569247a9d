// A customer waiting for one order, with the SDK. Ends when the order ends.
// RIDECAST_URL=… RIDECAST_TOKEN=$(… node examples/token.mjs customer ann) node examples/watch-order.mjs order-1
import { connect, watchOrder } from '@ridecast/client';
import { WebSocket } from '@ridecast/client/node'; // Node 22 has its own, this one is for 20, too

const { RIDECAST_URL = 'http://127.0.0.1:8080', RIDECAST_TOKEN } = process.env;

const client = connect(`${RIDECAST_URL.replace('http', 'ws')}/v1/ws`, { token: RIDECAST_TOKEN, WebSocket });
const order = watchOrder(client, process.argv[2] ?? 'order-1');

let shown;
order.on('change', ({ status }) => {
  if (status !== shown) console.log(`status ${status}`);
  shown = status;
});
order.on('position', ({ lat, lng }) => console.log(`position ${lat.toFixed(5)} ${lng.toFixed(5)}`));
order.on('freshness', (freshness) => console.log(`freshness ${freshness}`));
order.on('error', (error) => console.log(`error ${error.message}`));
order.on('end', ({ status }) => {
  console.log(`the order ended: ${status}`);
  client.close();
});
