/** Notices a dead link: armed by what arrives, and it kills only after a probe stayed unanswered. */
export interface Watchdog {
  /** Longest silence expected, ms. */
  start(heartbeat: number): void;
  /** Something arrived. Returns the round trip in ms if a probe was out. */
  heard(): number | undefined;
  /** Asks for a sign of life within PROBE_MS. */
  probe(): void;
  stop(): void;
}

const PROBE_MS = 3000;

export function watchdog(ask: () => void, dead: () => void): Watchdog {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let limit = 0;
  let asked = 0;

  const probe = () => {
    asked = Date.now();
    arm(expired, PROBE_MS);
    ask();
  };
  // A timer that fires late says that the page slept, not that the gateway is silent: ask again.
  const expired = () => (Date.now() - asked > 2 * PROBE_MS ? probe() : dead());
  const arm = (then: () => void, ms: number) => {
    clearTimeout(timer);
    timer = setTimeout(then, ms);
  };
  return {
    start(heartbeat) {
      limit = 2.5 * heartbeat;
      arm(probe, limit);
    },
    heard() {
      const rtt = asked && Date.now() - asked;
      asked = 0;
      if (limit) arm(probe, limit);
      return rtt || undefined;
    },
    probe() {
      if (!asked) probe();
    },
    stop() {
      clearTimeout(timer);
      limit = asked = 0;
    },
  };
}
