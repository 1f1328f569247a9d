/** A process of sockets that watch a channel and throw away what they are sent. */
import { once } from 'node:events';
import { WebSocket } from 'ws';

/** What it is told to open. Once all watch, it says how many. */
export interface Sinks {
  readonly url: string;
  readonly token: string;
  readonly channel: string;
  readonly count: number;
}

const WIDTH = 50;

process.on('message', async ({ url, token, channel, count }: Sinks) => {
  for (let opened = 0; opened < count; opened += WIDTH) {
    const some = Array.from({ length: Math.min(WIDTH, count - opened) }, () => open(url, token, channel));
    await Promise.all(some);
  }
  process.send?.(count);
});
process.on('disconnect', () => process.exit(0));

/** Resolves when the first frame came. */
async function open(url: string, token: string, channel: string): Promise<void> {
  const options = { perMessageDeflate: false, skipUTF8Validation: true };
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/v1/ws`, ['ridecast.v1.json'], options);
  socket.on('error', () => {});
  await once(socket, 'open');
  socket.send(JSON.stringify({ t: 'hello', token, watch: [{ w: 1, channel }] }));
  await once(socket, 'message');
}
