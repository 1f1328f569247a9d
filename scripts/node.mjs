/**
 * Which Node runs the project. The socket library comes as binaries for some Node versions; under any other one a
 * command runs itself again under a Node 22 from the npm registry, kept in .cache/.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { npm, root } from './command.mjs';

/** By major version, the Node that is fetched if need be. */
export const VERSIONS = { 20: '20.20.2', 22: '22.23.3' };

/** Whether the project runs under a Node of this version ('22.12.0'): 20 from 20.19 on, 22 from 22.12 on. */
export function isSupported(version) {
  const [major, minor] = version.split('.').map(Number);
  return (major === 20 && minor >= 19) || (major === 22 && minor >= 12);
}

/** The major version commands really run under, started with a Node of this version. */
export function majorFor(version) {
  return isSupported(version) ? Number(version.split('.')[0]) : 22;
}

/** The other major version the tests have to pass under. */
export function otherMajor(version) {
  return majorFor(version) === 22 ? 20 : 22;
}

/** The npm package that is Node itself for a platform, and the binary's path in it. */
export function nodePackage(platform, arch) {
  if (platform === 'win32')
    return { name: `node-win-${arch === 'ia32' ? 'x86' : arch}`, binary: 'bin/node.exe' };
  const prefix = platform === 'darwin' && arch === 'arm64' ? 'node-bin' : 'node';
  return { name: `${prefix}-${platform}-${arch}`, binary: 'bin/node' };
}

/**
 * The path of a Node of that major version, fetched from the npm registry the first time.
 * The platform's own package is taken, because the package `node` needs an install script, which npm may block.
 * @throws Error with one line that says what to do
 */
export function fetchNode(major) {
  const version = VERSIONS[major];
  const { name, binary } = nodePackage(process.platform, process.arch);
  const home = join(root, '.cache', `node${major}`);
  const path = join(home, 'node_modules', name, binary);
  if (versionOf(path) === version) return path;
  const fresh = `${home}.${process.pid}`;
  mkdirSync(fresh, { recursive: true });
  writeFileSync(join(fresh, 'package.json'), '{ "private": true }\n');
  const { ok, reason } = npm(
    ['install', `${name}@${version}`, '--prefix', fresh, '--ignore-scripts', '--workspaces=false'],
    fresh,
  );
  if (ok) {
    rmSync(home, { recursive: true, force: true });
    renameSync(fresh, home);
    if (versionOf(path) === version) return path;
  }
  rmSync(fresh, { recursive: true, force: true });
  throw new Error(
    `Node ${version} could not be fetched from the npm registry (${ok ? `${name} does not run here` : reason}).\n` +
      `Check the network and run this again, or install Node ${major} and run it with that.`,
  );
}

function versionOf(binary) {
  const { status, stdout } = spawnSync(binary, ['-p', 'process.versions.node'], { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}

/**
 * Returns if this Node will do; otherwise says so in one line and does not return: the script runs again, with the
 * same arguments, under a Node that will.
 */
export async function ensureNode(scriptUrl) {
  refuseMusl();
  const { node } = process.versions;
  if (isSupported(node)) return;
  process.stderr.write(
    `ridecast: the socket library has no binary for Node ${node}; running under Node ${VERSIONS[22]} (in .cache/node22).\n`,
  );
  const binary = fetchNode(22);
  const env = { ...process.env, PATH: `${dirname(binary)}${delimiter}${process.env.PATH}` };
  await runAs(binary, [fileURLToPath(scriptUrl), ...process.argv.slice(2)], env);
}

function refuseMusl() {
  if (process.platform !== 'linux') return;
  process.report.excludeNetwork = true; // else the report asks DNS for every open connection
  if (process.report.getReport().header.glibcVersionRuntime) return;
  throw new Error(
    'the socket library needs glibc 2.27 or newer: Alpine and other musl systems do not have it.',
  );
}

/** Turns this process into another one where the system can; else stands in for it: signals in, exit code out. */
async function runAs(binary, args, env) {
  if (process.execve && process.platform !== 'win32') process.execve(binary, [binary, ...args], env);
  const child = spawn(binary, args, { env, stdio: 'inherit' });
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  // Ctrl-C reaches the child by itself: a terminal signals the whole foreground group.
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'));
  await new Promise((_, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 143)));
  });
}
