// The same without the SDK: a WebSocket and PROTOCOL.md. Reconnecting and resuming are left to the reader, or the SDK.
// RIDECAST_URL=… RIDECAST_TOKEN=$(… node examples/token.mjs customer ann) node examples/watch-order-raw.mjs order-1
import { WebSocket } from 'ws'; // Node 22 and browsers have their own

const { RIDECAST_URL = 'http://127.0.0.1:8080', RIDECAST_TOKEN } = process.env;
const channel = `order:${process.argv[2] ?? 'order-1'}`;

const socket = new WebSocket(`${RIDECAST_URL.replace('http', 'ws')}/v1/ws`, 'ridecast.v1.json');
const show = ([ref, session, seq, lat, lng]) =>
  console.log(`position ${lat / 1e5} ${lng / 1e5} (${ref}/${session}/${seq})`);

socket.on('open', () => {
  socket.send(JSON.stringify({ t: 'hello', token: RIDECAST_TOKEN, watch: [{ w: 1, channel }] }));
});
socket.on('message', (data) => {
  const message = JSON.parse(data);
  switch (message.t) {
    case 'watching':
      console.log(`status ${message.order.status}`);
      for (const position of message.block[2]) show(position);
      break;
    case 'positions':
      for (const [, , positions] of message.b) for (const position of positions) show(position);
      break;
    case 'event':
      console.log(`status ${message.order.status}`);
      break;
    case 'closed':
      console.log(`the order ended: ${message.order.status}`);
      socket.close();
      break;
    case 'error':
      console.log(`error ${message.message}`);
  }
});
