/** The two programs the tests need that npm does not bring: a Redis server and a Chromium. */
import { spawnSync } from 'node:child_process';

const REDIS = ['redis-server'];
const CHROMIUM = [
  'chromium',
  'chromium-browser',
  'google-chrome',
  'google-chrome-stable',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];

/**
 * Finds both programs; what is missing is installed with apt-get where that is ours to do (Debian, as root).
 * @returns {{ redis: string, chromium: string }} their names or paths
 * @throws Error that says what to install
 */
export function ensureSystem(say) {
  if (find(REDIS) === undefined || find(chromiumNames()) === undefined) aptInstall(say);
  const redis = find(REDIS);
  const chromium = find(chromiumNames());
  if (redis !== undefined && chromium !== undefined) return { redis, chromium };
  const missing = [redis ? '' : 'redis-server', chromium ? '' : 'chromium'].filter(Boolean);
  throw new Error(
    `the tests need ${missing.join(' and ')}: install it and run this again ` +
      `(Debian: apt-get install ${missing.join(' ')}; or name a Chromium in CHROMIUM=/path).`,
  );
}

function chromiumNames() {
  return process.env.CHROMIUM ? [process.env.CHROMIUM] : CHROMIUM;
}

/** The first of these programs that runs. */
export function find(names) {
  return names.find((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0);
}

function aptInstall(say) {
  if (process.platform !== 'linux' || process.getuid?.() !== 0 || find(['apt-get']) === undefined) return;
  const packages = [find(REDIS) ? '' : 'redis-server', find(chromiumNames()) ? '' : 'chromium'].filter(
    Boolean,
  );
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
