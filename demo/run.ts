/** The demo as a process: start, say where to look, stop on a signal. */
import { ConfigError } from '../src/config.ts';
import { greeting, startDemo } from './main.ts';

/** Signals this close together are one. */
const SAME_SIGNAL_MS = 500;

async function main(): Promise<void> {
  const demo = await startDemo(process.env);
  process.stdout.write(greeting(demo, process.env));
  let leavingSince: number | undefined;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      // Some shells pass one Ctrl-C on twice; a second one by a person means: at once.
      if (leavingSince !== undefined && Date.now() - leavingSince > SAME_SIGNAL_MS) process.exit(130);
      if (leavingSince !== undefined) return;
      leavingSince = Date.now();
      demo.stop().then(
        () => process.exit(0),
        () => process.exit(1),
      );
    });
  }
}

main().catch((error: Error) => {
  process.stderr.write(`ridecast demo: ${error.message}\n`);
  process.exit(error instanceof ConfigError ? 78 : 1);
});
