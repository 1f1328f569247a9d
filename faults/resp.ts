/** Redis, asked directly. */
import { once } from 'node:events';
import { connect } from 'node:net';

/** One command with arguments of any bytes and size, over a connection of its own. Gives the first packet of the reply. */
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

interface Commanded {
  command(...words: string[]): Promise<string>;
}

/** Whether a replica has all that its master wrote. */
export async function inSync(replica: Commanded, master: Commanded): Promise<boolean> {
  const offset = async (of: Commanded, name: string) =>
    new RegExp(`${name}:(\\d+)`).exec(await of.command('INFO', 'replication'))?.[1];
  const [here, there] = [
    await offset(replica, 'slave_repl_offset'),
    await offset(master, 'master_repl_offset'),
  ];
  return here !== undefined && here === there;
}
