import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort } from './ports.ts';

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Sends a signal, SIGKILL by default. One that ends the server is waited for. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Ends the server for good. */
  stop(): Promise<void>;
  /** Kills the server and starts an empty one on the same port. */
  restart(): Promise<void>;
  /** Runs one command over a connection of its own and gives the raw reply. Arguments without spaces. */
  command(...words: string[]): Promise<string>;
}

/**
 * Starts a redis-server on a free port of 127.0.0.1 that keeps nothing on disk and does not outlive the test process.
 * @param args more options, as on the command line: ['--maxmemory', '10mb']
 */
export async function startRedis(args: readonly string[] = []): Promise<RedisServer> {
  if (spawnSync('redis-server', ['--version']).error) {
    throw new Error('redis-server is not in PATH: install it (Debian: apt install redis-server)');
  }
  const port = await freePort();
  let server = await launch(port, args);
  const kill = async (signal: NodeJS.Signals = 'SIGKILL') => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const exited = once(server, 'exit');
    server.kill(signal);
    if (signal === 'SIGKILL' || signal === 'SIGTERM') await exited;
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    get pid() {
      return server.pid!;
    },
    kill,
    stop: () => kill(),
    async restart() {
      await kill();
      server = await launch(port, args);
    },
    command: (...words) => ask(port, words.join(' ')),
  };
}

// Where there is setpriv, the kernel ends the server together with us, however we end.
const leash = spawnSync('setpriv', ['--version']).error ? [] : ['setpriv', '--pdeathsig', 'KILL'];

async function launch(port: number, args: readonly string[]): Promise<ChildProcess> {
  // A replica that syncs makes its master write this file, whatever `--save` says; the next start would load it.
  const dump = `ridecast-${process.pid}-${port}.rdb`;
  rmSync(join(tmpdir(), dump), { force: true });
  const options = [
    '--dbfilename',
    dump,
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
  ];
  const [file, ...rest] = [...leash, 'redis-server', ...options, '--dir', tmpdir(), ...args];
  const server = spawn(file!, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
  const end = () => server.kill('SIGKILL');
  process.once('exit', end);
  server.once('exit', () => process.off('exit', end));
  const log: string[] = [];
  const lines = createInterface({ input: server.stdout });
  await new Promise<void>((resolve, reject) => {
    lines.on('line', (line) => {
      if (log.length < 100) log.push(line);
      if (line.includes('Ready to accept connections')) resolve();
    });
    server.once('error', reject);
    server.once('exit', () => reject(new Error(`redis-server ended at once:\n${log.join('\n')}`)));
  });
  if ((await ask(port, 'PING')) !== '+PONG\r\n') throw new Error(`port ${port} is not our redis-server`);
  return server;
}

/** One inline command; the reply as the bytes of its first packet. */
async function ask(port: number, line: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  try {
    socket.write(`${line}\r\n`);
    const [reply] = (await once(socket, 'data')) as [Buffer];
    return reply.toString();
  } finally {
    socket.destroy();
  }
}
