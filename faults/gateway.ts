/**
 * A gateway for fault runs: as src/main.ts starts it, but for the protections named in FAULTS_OFF. Its clock is off by
 * FAULTS_CLOCK_MS, and the other way after each SIGUSR2.
 */
import { redisBackbone } from '../src/backbone/redis/redis.ts';
import { loadConfig } from '../src/config.ts';
import { startGateway } from '../src/gateway.ts';
import { makeLog } from '../src/observe/log.ts';
import { type SwitchName, weakBackbone, weakConfig } from './switches.ts';

const off = (process.env.FAULTS_OFF ?? '').split(',').filter(Boolean) as SwitchName[];
const config = weakConfig(loadConfig(process.env), off);
const log = makeLog(config.logLevel, config.nodeId);
const backbone = redisBackbone({
  url: config.redisUrl!,
  prefix: config.redisPrefix,
  commandTimeoutMs: config.redisTimeoutMs,
  heartbeatMs: config.redisProbeMs,
  positionTtlMs: config.positionTtlMs,
  log,
});
let skew = Number(process.env.FAULTS_CLOCK_MS ?? 0);
process.on('SIGUSR2', () => {
  skew = -skew;
});
const now = () => Date.now() + skew;
const gateway = await startGateway(config, { backbone: weakBackbone(backbone, off), log, now });
process.on('SIGTERM', () => {
  gateway.drain().then(
    () => process.exit(0),
    () => process.exit(1),
  );
});
