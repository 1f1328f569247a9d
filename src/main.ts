/** The process: read the configuration, start, SIGTERM -> drain, exit code. */
import { loadConfig } from './config.ts';
import { startGateway } from './gateway.ts';
import { makeLog } from './observe/log.ts';
import { run } from './run.ts';
import { forked, Workers } from './workers.ts';

await run('ridecast', process, async () => {
  const config = loadConfig(process.env);
  if (config.workers > 1) {
    const log = makeLog(config.logLevel, config.nodeId);
    const workers = new Workers({
      count: config.workers,
      start: forked(process.argv[1]!, process.env, config),
      log,
    });
    await workers.start();
    process.on('SIGHUP', () => void workers.restart());
    return () => workers.stop();
  }
  const gateway = await startGateway(config);
  // As a worker: tell that it serves, and do not outlive who started it.
  process.send?.('serving');
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  return () => gateway.drain();
});
