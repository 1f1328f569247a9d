/** The process: read the configuration, start, SIGTERM -> drain, exit code. */
import { ConfigError, loadConfig } from './config.ts';
import { startGateway } from './gateway.ts';

/** Signals this close together are one. */
const SAME_SIGNAL_MS = 500;

async function main(): Promise<void> {
  const gateway = await startGateway(loadConfig(process.env));
  let leavingSince: number | undefined;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      // Some shells pass one Ctrl-C on twice; a second one by a person means: at once.
      if (leavingSince !== undefined && Date.now() - leavingSince > SAME_SIGNAL_MS) process.exit(130);
      if (leavingSince !== undefined) return;
      leavingSince = Date.now();
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
