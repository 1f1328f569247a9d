/** The gateway's clock, guessed from its time stamps. Wall clock on purpose: it goes on while the device sleeps. */
export interface Clock {
  now(): number;
  /** A time of this device's clock, on the gateway's. */
  toServer(at: number): number;
  /** The gateway said `at` in answer to something sent `rtt` ms ago. */
  answered(at: number, rtt: number): void;
  /** The gateway said `at`, some time ago: its clock is at least there. */
  heard(at: number): void;
}

export function clock(): Clock {
  let skew = 0;
  const now = () => Date.now() + skew;
  return {
    now,
    toServer: (at) => at + skew,
    answered(at, rtt) {
      skew = at + rtt / 2 - Date.now();
    },
    heard(at) {
      if (at > now()) skew = at - Date.now();
    },
  };
}
