/** A real nginx between a client and a gateway, as companies put them there. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './ports.ts';

/**
 * What it does with what passes. `upgrades`: everything gets through. `refuses`: no WebSocket opens. `buffers`: nor does
 * a response get through before it is complete, whatever its header asks for.
 */
export type Proxying = 'upgrades' | 'refuses' | 'buffers';

// Headers left out would not do: the gateway takes whatever has a Sec-WebSocket-Key, and nginx hands its 101 on.
const NO_UPGRADES = "if ($http_upgrade != '') { return 403; }";

const HOW: Record<Proxying, string> = {
  upgrades: 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $upgrading;',
  refuses: NO_UPGRADES,
  // Compression waits for more to compress, unless it is told to flush: X-Accel-Buffering would.
  buffers: `${NO_UPGRADES} proxy_buffering on; proxy_ignore_headers X-Accel-Buffering; gzip on; gzip_types *; gzip_min_length 0;`,
};

export interface Nginx {
  /** `http://127.0.0.1:PORT`; stays the same. */
  readonly url: string;
  /** From now on it does this instead. Every connection is cut. Resolves when it listens again. */
  become(how: Proxying): Promise<void>;
  stop(): Promise<void>;
}

/** @param upstream the gateway's url */
export async function startNginx(upstream: string, how: Proxying): Promise<Nginx> {
  const folder = mkdtempSync(join(tmpdir(), 'ridecast-nginx-'));
  const port = await freePort();
  let child = await start(folder, port, upstream, how);
  return {
    url: `http://127.0.0.1:${port}`,
    async become(next) {
      await end(child);
      child = await start(folder, port, upstream, next);
    },
    async stop() {
      await end(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function start(folder: string, port: number, upstream: string, how: Proxying): Promise<ChildProcess> {
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, configuration(folder, port, upstream, how));
  const [program, ...args] = [...leash, findNginx(), '-e', 'stderr', '-p', folder, '-c', file];
  const child = spawn(program!, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr!.on('data', (chunk) => {
    said += chunk;
  });
  while (!(await listens(port))) {
    if (child.exitCode !== null) throw new Error(`nginx did not start: ${said}`);
    await sleep(10);
  }
  return child;
}

// Where there is setpriv, the kernel ends nginx together with us, however we end.
const leash = spawnSync('setpriv', ['--version']).error ? [] : ['setpriv', '--pdeathsig', 'KILL'];

function findNginx(): string {
  const found = ['nginx', '/usr/sbin/nginx'].find((name) => !spawnSync(name, ['-v']).error);
  if (found === undefined) throw new Error('no nginx in PATH: install it (Debian: apt install nginx)');
  return found;
}

function configuration(folder: string, port: number, upstream: string, how: Proxying): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `
daemon off; master_process off; worker_processes 1; pid ${folder}/pid;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 4096; }
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
  map $http_upgrade $upgrading { default upgrade; '' ''; }
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass ${upstream}; proxy_http_version 1.1; ${HOW[how]} }
  }
}
`;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  await gone;
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const answer = (yes: boolean) => {
      socket.destroy();
      resolve(yes);
    };
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
  });
}
