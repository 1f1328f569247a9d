import { PROBE_MS } from './limits.ts';
import { timer } from './timer.ts';
import type { Core, GatewayMessage } from './wire.ts';

export interface Liveness {
  /** Asks for a sign of life. */
  probe(): void;
  /** To be told of all that arrives. */
  heard(message: GatewayMessage): void;
}

/**
 * Notices a dead link: armed by what arrives, and it kills only after a probe stayed unanswered. What it hears tells the
 * gateway's clock, too; the hello is a question that the welcome answers.
 */
export function liveness(core: Core, dead: () => void): Liveness {
  const silence = timer();
  /** Longest silence expected, ms; 0 before a welcome said so: until then the dial's own deadline counts. */
  let limit = 0;
  /** 0: no answer is due. */
  let askedAt = 0;

  const ask = (): void => {
    askedAt = performance.now();
    silence(expired, PROBE_MS);
    core.say({ t: 'beat' });
  };

  // A timer that fires late says that the page slept, not that the gateway is silent: ask again.
  const expired = (): void => {
    if (performance.now() - askedAt > 2 * PROBE_MS) ask();
    else dead();
  };

  core.parts.add({
    hello() {
      askedAt = performance.now();
    },
    lost: () => silence(),
  });

  return {
    probe() {
      if (!askedAt) ask();
    },
    heard(m) {
      if ('now' in m) {
        if (askedAt) core.roundTrip = performance.now() - askedAt;
        // Asked or not: either clock may have been set. A beat that was late is corrected by the next.
        core.skew = Math.round(m.now + (core.roundTrip ?? 0) / 2 - Date.now());
      }
      if ('heartbeat' in m) limit = 2.5 * m.heartbeat;
      askedAt = 0;
      core.heardAt = core.now();
      if (limit) silence(ask, limit);
    },
  };
}
