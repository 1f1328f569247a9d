/** The process: read the configuration, start, SIGTERM -> drain, exit code. */
import { loadConfig } from './config.ts';
import { startGateway } from './gateway.ts';
import { run } from './run.ts';

await run('ridecast', process, async () => {
  const gateway = await startGateway(loadConfig(process.env));
  return () => gateway.drain();
});
