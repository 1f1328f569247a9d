/** The demo as a process: start, say where to look, stop on a signal. */
import { ConfigError } from '../src/config.ts';
import { greeting, startDemo } from './main.ts';

async function main(): Promise<void> {
  const demo = await startDemo(process.env);
  process.stdout.write(greeting(demo, process.env));
  let leaving = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (leaving) process.exit(130); // a second signal: at once
      leaving = true;
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
