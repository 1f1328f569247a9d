/** The gateway's clock, guessed from its answers. Wall clock on purpose: it goes on while the device sleeps. */
export interface Clock {
  /** The gateway's clock minus this device's, ms. */
  skew: number;
  now(): number;
}

export function clock(): Clock {
  const time = { skew: 0, now: () => Date.now() + time.skew };
  return time;
}

/** The gateway said `at` in answer to something sent `rtt` ms ago. */
export function answered(time: Clock, at: number, rtt: number): void {
  time.skew = at + rtt / 2 - Date.now();
}
