/** Time that all processes of one machine agree on, finer than a millisecond. */

const OFFSET = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** ms since some moment, the same moment for every process of this machine; never goes back. */
export const now = (): number => performance.now() + OFFSET;

/** Runs something once a millisecond of `now()` is reached; at once if it has passed. Returns what cancels it. */
export function at(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, Math.max(0, ms - now()));
  return () => clearTimeout(timer);
}
