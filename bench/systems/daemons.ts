/** Servers of Debian, each with a configuration as small as it goes: Nchan in nginx, NATS and mosquitto over WebSockets. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { freePort } from '../../loadtest/ports.ts';
import { launch } from '../../loadtest/processes.ts';
import { pin, SERVER_CORE } from '../cores.ts';
import type { Target } from '../load/messages.ts';
import type { System } from './system.ts';

interface Daemon {
  readonly name: string;
  readonly what: string;
  /** What must be there: the program, and files beside it. */
  readonly program: string;
  readonly needs?: readonly string[];
  readonly speaks: 'raw' | 'nats' | 'mqtt';
  /** Its configuration, which it keeps to that folder and listens on these ports of 127.0.0.1. */
  readonly configuration: (folder: string, port: number, other: number) => string;
  readonly args: (file: string, folder: string) => readonly string[];
  /** The line it says when it listens. */
  readonly ready: RegExp;
}

const NCHAN = '/usr/lib/nginx/modules/ngx_nchan_module.so';

const nchanConfiguration = (folder: string, port: number) => `
load_module ${NCHAN};
daemon off; master_process off; error_log stderr notice; worker_processes 1; pid ${folder}/pid;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 65536; }
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
  server {
    listen 127.0.0.1:${port} backlog=4096;
    nchan_message_buffer_length 0;
    location ~ ^/pub/(.+)$ { nchan_publisher websocket; nchan_channel_id $1; }
    location ~ ^/sub/(.+)$ { nchan_subscriber websocket; nchan_channel_id $1; }
  }
}
`;

const natsConfiguration = (_: string, port: number, other: number) => `
listen: "127.0.0.1:${other}"
max_connections: 65536
websocket { listen: "127.0.0.1:${port}", no_tls: true }
`;

// With WebSockets alone this version thinks that it listens nowhere; and those it opens on every interface, whatever is asked.
const mosquittoConfiguration = (_: string, port: number, other: number) => `
listener ${other} 127.0.0.1
listener ${port} 127.0.0.1
protocol websockets
allow_anonymous true
persistence false
log_type information
max_connections -1
${process.getuid?.() === 0 ? 'user root' : ''}
`;

export const nchan = daemon({
  name: 'Nchan',
  what: 'nginx with its Nchan module: publishers and subscribers over WebSockets, nothing kept',
  program: 'nginx',
  needs: [NCHAN],
  speaks: 'raw',
  configuration: nchanConfiguration,
  args: (file, folder) => ['-e', 'stderr', '-p', folder, '-c', file],
  ready: /RLIMIT_NOFILE/,
});

export const nats = daemon({
  name: 'NATS',
  what: 'nats-server over its WebSockets, a subject each, at most once',
  program: 'nats-server',
  speaks: 'nats',
  configuration: natsConfiguration,
  args: (file) => ['-c', file],
  ready: /Server is ready/,
});

export const mosquitto = daemon({
  name: 'mosquitto',
  what: 'the MQTT broker mosquitto over its WebSockets, QoS 0',
  program: 'mosquitto',
  speaks: 'mqtt',
  configuration: mosquittoConfiguration,
  args: (file) => ['-c', file],
  ready: / running/,
});

function daemon({ name, what, program, needs = [], speaks, configuration, args, ready }: Daemon): System {
  return {
    name,
    what,
    missing: () =>
      find(program) === undefined || !needs.every((file) => existsSync(file)) ? 'not installed' : undefined,
    async start() {
      const folder = mkdtempSync(join(tmpdir(), 'ridecast-bench-'));
      const file = join(folder, 'configuration');
      const [port, other] = [await freePort(), await freePort()];
      writeFileSync(file, configuration(folder, port, other));
      const says = (line: string) => (ready.test(line) ? true : undefined);
      const server = await launch(find(program)!, args(file, folder), process.env, says);
      pin(server.pid, SERVER_CORE);
      const target: Target = { speaks, url: `http://127.0.0.1:${port}` };
      return {
        target,
        pids: { server: server.pid },
        async stop() {
          await server.stop();
          rmSync(folder, { recursive: true, force: true });
        },
      };
    },
  };
}

/** Debian keeps servers where only root's path leads. */
function find(program: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return folders.map((folder) => join(folder, program)).find((file) => existsSync(file));
}
