/** What the fan-out needs of time, so that a test can be the one who drives it. */
export interface Timers {
  /** Runs it after what this turn of the event loop still has to do. */
  soon(run: () => void): void;
  /** Runs it every so many ms until the returned undo is called. */
  every(ms: number, run: () => void): () => void;
  /** Runs it once, after so many ms, if the process is still there. */
  after(ms: number, run: () => void): void;
}

export const realTimers: Timers = {
  soon: (run) => void setImmediate(run),
  every(ms, run) {
    const timer = setInterval(run, ms);
    return () => clearInterval(timer);
  },
  after: (ms, run) => void setTimeout(run, ms).unref(),
};
