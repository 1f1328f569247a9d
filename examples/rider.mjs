// A rider's phone, with the SDK: ten pings, a good second apart, then done when all are acknowledged.
// RIDECAST_URL=… RIDECAST_TOKEN=$(… node examples/token.mjs rider rider-1) node examples/rider.mjs [PINGS]
import { connect, rider } from '@ridecast/client';
import { WebSocket } from '@ridecast/client/node'; // Node 22 has its own, this one is for 20, too

const { RIDECAST_URL = 'http://127.0.0.1:8080', RIDECAST_TOKEN } = process.env;
const pings = Number(process.argv[2] ?? 10);

const client = connect(`${RIDECAST_URL.replace('http', 'ws')}/v1/ws`, {
  token: RIDECAST_TOKEN,
  background: true,
  WebSocket,
});
const me = rider(client);
me.on('drop', ({ count, reason }) => console.log(`${count} pings dropped: ${reason}`));

await client.ready();
for (let i = 0; i < pings; i++) {
  console.log(`ping ${i + 1}: ${me.push({ lat: 52.5163 + i / 5000, lng: 13.405, heading: 0, speed: 8 })}`);
  await new Promise((resolve) => setTimeout(resolve, 1100));
}
console.log((await me.flush(5000)) ? 'all acknowledged' : 'some not acknowledged yet');
client.close();
