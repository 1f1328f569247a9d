/** One command to Redis with arguments of any bytes and size: RESP over a connection of its own. */
import { once } from 'node:events';
import { connect } from 'node:net';

/** Gives the first packet of the reply. */
export async function say(port: number, ...words: readonly (string | Buffer)[]): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  try {
    const parts = words.flatMap((word) => {
      const bytes = Buffer.from(word);
      return [Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')];
    });
    socket.write(Buffer.concat([Buffer.from(`*${words.length}\r\n`), ...parts]));
    const [reply] = (await once(socket, 'data')) as [Buffer];
    return reply.toString();
  } finally {
    socket.destroy();
  }
}
