/**
 * Bare uWebSockets.js. `/pub/TOPIC` publishes each message as it came, `/sub/TOPIC` watches; with TICK_MS the messages
 * are read instead, and one frame a tick has the newest of every rider, RECORD_BYTES each.
 */
import { App, us_socket_local_port, type WebSocket } from 'uWebSockets.js';
import { type Spot, tickFrame } from './tick-frame.ts';

interface Visitor {
  readonly topic: string;
  readonly publishes: boolean;
}

interface Said {
  readonly id: string;
  readonly seq: number;
  readonly lat: number;
  readonly lng: number;
  readonly heading: number;
  readonly speed: number;
}

const { TICK_MS, RECORD_BYTES = '16' } = process.env;
/** The load's numbers begin here. */
const FIRST = 1_000_000;
const BINARY = true;

const app = App();
let waiting: [topic: string, message: ArrayBuffer][] = [];
const spots = new Map<string, Map<number, Spot>>();

/** Not from inside the handler: sockets of others cannot be corked there, and throughput falls off a cliff. */
function pass(topic: string, message: ArrayBuffer): void {
  if (waiting.length === 0) {
    setImmediate(() => {
      const all = waiting;
      waiting = [];
      for (const [to, what] of all) app.publish(to, what, !BINARY);
    });
  }
  waiting.push([topic, message.slice(0)]);
}

function keep(topic: string, message: ArrayBuffer): void {
  const { id, seq, ...rest } = JSON.parse(Buffer.from(message).toString()) as Said;
  const rider = Number(id.slice(1)) - FIRST;
  let riders = spots.get(topic);
  if (riders === undefined) {
    riders = new Map();
    spots.set(topic, riders);
  }
  riders.set(rider, { rider, seq: seq - FIRST, ...rest });
}

function tick(): void {
  for (const [topic, riders] of spots) {
    if (riders.size === 0) continue;
    app.publish(topic, tickFrame(riders.values(), riders.size, Number(RECORD_BYTES)), BINARY);
    riders.clear();
  }
}

const take = TICK_MS === undefined ? pass : keep;
if (TICK_MS !== undefined) setInterval(tick, Number(TICK_MS));

app.ws<Visitor>('/:verb/:topic', {
  maxPayloadLength: 65_536,
  idleTimeout: 60,
  compression: 0,
  upgrade(res, req, context) {
    const visitor = { topic: req.getParameter(1)!, publishes: req.getParameter(0) === 'pub' };
    const [key, protocol, extensions] = ['key', 'protocol', 'extensions'].map((name) =>
      req.getHeader(`sec-websocket-${name}`),
    );
    res.upgrade(visitor, key!, protocol!, extensions!, context);
  },
  open(ws: WebSocket<Visitor>) {
    const { topic, publishes } = ws.getUserData();
    if (!publishes) ws.subscribe(topic);
  },
  message: (ws, message) => take(ws.getUserData().topic, message),
});
app.listen('127.0.0.1', 0, (socket) => {
  if (!socket) throw new Error('no port is free');
  process.stdout.write(`listens on ${us_socket_local_port(socket)}\n`);
});
process.once('SIGTERM', () => process.exit(0));
