// A partner's dashboard in a terminal, with the SDK: all its running orders and who carries them.
// RIDECAST_URL=… RIDECAST_TOKEN=$(… node examples/token.mjs partner shop) node examples/dashboard.mjs shop
import { connect, watchFleet } from '@ridecast/client';
import { WebSocket } from '@ridecast/client/node'; // Node 22 has its own, this one is for 20, too

const { RIDECAST_URL = 'http://127.0.0.1:8080', RIDECAST_TOKEN } = process.env;

const client = connect(`${RIDECAST_URL.replace('http', 'ws')}/v1/ws`, {
  token: RIDECAST_TOKEN,
  background: true,
  WebSocket,
});
const fleet = watchFleet(client, { partner: process.argv[2] ?? 'shop' });

fleet.on('enter', (rider) => console.log(`${rider} is on the map`));
fleet.on('leave', (rider) => console.log(`${rider} left the map`));
fleet.on('status', ({ id, status }) => console.log(`order ${id}: ${status}`)); // from now on
fleet.on('freshness', (freshness) => {
  console.log(freshness);
  for (const { id, status } of fleet.orders.values()) console.log(`order ${id}: ${status}`); // so far
});
fleet.on('batch', (riders) => {
  for (const id of riders) {
    const position = fleet.snapshot?.get(id)?.position;
    if (position) console.log(`${id} at ${position.lat.toFixed(5)} ${position.lng.toFixed(5)}`);
  }
});
fleet.on('error', (error) => console.log(`error ${error.message}`));
