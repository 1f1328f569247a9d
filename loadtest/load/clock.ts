/** Time that all processes of one machine agree on, finer than a millisecond. */

const hrtime = () => Number(process.hrtime.bigint()) / 1e6;

/** From `performance.now()` to the machine's own count; of several looks the one that was interrupted least. */
const OFFSET = Array.from({ length: 20 }, () => {
  const before = hrtime();
  const here = performance.now();
  const after = hrtime();
  return { took: after - before, offset: (before + after) / 2 - here };
}).reduce((best, look) => (look.took < best.took ? look : best)).offset;

/** ms since some moment, the same moment for every process of this machine; never goes back. */
export const now = (): number => performance.now() + OFFSET;

/** Runs something once a millisecond of `now()` is reached; at once if it has passed. Returns what cancels it. */
export function at(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, Math.max(0, ms - now()));
  return () => clearTimeout(timer);
}
