/** The process: read the configuration, start, SIGTERM -> drain, exit code. */
import { ConfigError, loadConfig } from './config.ts';
import { startGateway } from './gateway.ts';

async function main(): Promise<void> {
  const gateway = await startGateway(loadConfig(process.env));
  let leaving = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (leaving) process.exit(130); // a second signal: at once
      leaving = true;
      gateway.drain().then(
        () => process.exit(0),
        () => process.exit(1),
      );
    });
  }
}

main().catch((error: Error) => {
  // Config errors and the one-line refusals of startGateway are for people: no stack.
  process.stderr.write(`ridecast: ${error.message}\n`);
  process.exit(error instanceof ConfigError ? 78 : 1);
});
