// A rider without the SDK: one ping, and its acknowledgement.
// RIDECAST_URL=… RIDECAST_TOKEN=$(… node examples/token.mjs rider rider-1) node examples/rider-raw.mjs [LAT LNG]
import { WebSocket } from 'ws'; // Node 22 and browsers have their own

const { RIDECAST_URL = 'http://127.0.0.1:8080', RIDECAST_TOKEN } = process.env;
const [lat = '52.5163', lng = '13.405'] = process.argv.slice(2);

const socket = new WebSocket(`${RIDECAST_URL.replace('http', 'ws')}/v1/ws`, 'ridecast.v1.json');
socket.on('open', () => socket.send(JSON.stringify({ t: 'hello', token: RIDECAST_TOKEN, rider: {} })));
socket.on('message', (data) => {
  const message = JSON.parse(data);
  if (message.t === 'welcome') {
    const ping = { seq: message.rider.seq + 1, lat: Number(lat), lng: Number(lng), at: Date.now() };
    socket.send(JSON.stringify({ t: 'ping', pings: [ping] }));
  } else if (message.t === 'pinged') {
    console.log(`acknowledged up to ${message.seq}`);
    socket.close();
  } else if (message.t === 'error') console.log(`error ${message.message}`);
});
