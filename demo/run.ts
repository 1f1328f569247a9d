/** The demo as a process: start, say where to look, stop on a signal. */
import { run } from '../src/run.ts';
import { greeting, startDemo } from './main.ts';

await run('ridecast demo', process, async () => {
  const demo = await startDemo(process.env);
  process.stdout.write(greeting(demo, process.env));
  return () => demo.stop();
});
