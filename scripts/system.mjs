/** The programs the tests need that npm does not bring. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Debian's package, the names its program may have elsewhere, and how the program says its version. */
const PROGRAMS = {
  'redis-server': { names: ['redis-server'] },
  chromium: {
    names: [
      'chromium',
      'chromium-browser',
      'google-chrome',
      'google-chrome-stable',
      '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
      '/Applications/Chromium.app/Contents/MacOS/Chromium',
    ],
  },
  // Stands between client and gateway, where WebSockets do not get through.
  nginx: { names: ['nginx', '/usr/sbin/nginx'], version: '-v' },
  // Counts system calls, cuts networks: where there is no Linux, the tests that need them say so.
  strace: { names: ['strace'], linux: true },
  iproute2: { names: ['ip', '/sbin/ip'], linux: true, version: '-V' },
  iptables: { names: ['iptables', '/usr/sbin/iptables'], linux: true },
};

/**
 * Finds all of them; what is missing is installed with apt-get where that is ours to do (Debian, as root).
 * @returns {{ chromium: string }} names or paths
 * @throws Error that says what to install
 */
export function ensureSystem(say) {
  if (missingPackages().length > 0) aptInstall(say, missingPackages());
  const missing = missingPackages();
  if (missing.length === 0) return { chromium: find(namesOf('chromium')) };
  throw new Error(
    `the tests need ${missing.join(' and ')}: install it and run this again ` +
      `(Debian: apt-get install ${missing.join(' ')}; or name a Chromium in CHROMIUM=/path).`,
  );
}

/** What the benchmark compares with, in Debian's packages: file of each. */
const OTHERS = {
  'libnginx-mod-nchan': '/usr/lib/nginx/modules/ngx_nchan_module.so',
  'nats-server': '/usr/sbin/nats-server',
  mosquitto: '/usr/sbin/mosquitto',
};

/** Installs them on Debian, as root. What stays missing is said to be, and left out. */
export function ensureOthers(say) {
  const missing = () => Object.keys(OTHERS).filter((name) => !existsSync(OTHERS[name]));
  if (missing().length > 0) aptInstall(say, missing());
  if (missing().length > 0) say(`left out, for they are not installed: ${missing().join(', ')}`);
}

function missingPackages() {
  const wanted = Object.entries(PROGRAMS).filter(([, { linux }]) => !linux || process.platform === 'linux');
  return wanted
    .filter(([name, { version }]) => find(namesOf(name), version) === undefined)
    .map(([name]) => name);
}

function namesOf(name) {
  return name === 'chromium' && process.env.CHROMIUM ? [process.env.CHROMIUM] : PROGRAMS[name].names;
}

/** The first of these programs that runs. */
export function find(names, version = '--version') {
  return names.find((name) => spawnSync(name, [version], { stdio: 'ignore' }).status === 0);
}

function aptInstall(say, packages) {
  if (process.platform !== 'linux' || process.getuid?.() !== 0 || find(['apt-get']) === undefined) return;
  say(`installing ${packages.join(' and ')} with apt-get …`);
  // A run level of 1 keeps the package from starting a server of its own.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  for (const args of [
    ['update', '-qq'],
    ['install', '-y', '-qq', '--no-install-recommends', ...packages],
  ]) {
    const { status, stderr } = spawnSync('apt-get', args, { env, encoding: 'utf8' });
    if (status !== 0) say(`apt-get ${args[0]} failed: ${stderr.trim().split('\n').at(-1)}`);
  }
}
