/** Time as the parts see it, so that a test can be the one who drives it. */
export interface Timers {
  /** Runs it after what this turn of the event loop still has to do. */
  soon(run: () => void): void;
  /** Runs it every so many ms until the returned undo is called. */
  every(ms: number, run: () => void): () => void;
  /**
   * The same on the beat of the clock on the wall: `phaseMs` after every multiple of `ms` since epoch. Nodes whose
   * clocks agree keep time, so what one step hands to the next waits for the phase between them, not for a tick.
   */
  beat(ms: number, phaseMs: number, run: () => void): () => void;
  /** Runs it once, after so many ms, if the process is still there. */
  after(ms: number, run: () => void): void;
}

/** A beat that comes sooner after the one before than this share of a beat is left out: that one was late. */
const TOO_SOON = 0.25;

export const realTimers: Timers = {
  soon: (run) => void setImmediate(run),
  every(ms, run) {
    const timer = setInterval(run, ms);
    return () => clearInterval(timer);
  },
  beat(ms, phaseMs, run) {
    let timer: NodeJS.Timeout;
    const next = () => {
      const left = ms - ((Date.now() - phaseMs) % ms);
      timer = setTimeout(
        () => {
          next();
          run();
        },
        left < ms * TOO_SOON ? left + ms : left,
      );
    };
    next();
    return () => clearTimeout(timer);
  },
  after: (ms, run) => void setTimeout(run, ms).unref(),
};
