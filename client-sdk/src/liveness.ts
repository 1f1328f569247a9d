import { timer } from './timer.ts';
import type { Core, Part } from './wire.ts';

/** A probe is answered within this, or the link is dead, ms. */
const PROBE_MS = 3000;
/** A clock that is this far from the gateway's was set, ms. */
const OFF_MS = 2000;
/** A link that was heard this long after its welcome is healthy, ms. */
const HEALTHY_MS = 10_000;

export interface Liveness extends Part {
  /** The link of now has proven itself. */
  healthy: boolean;
  /** Newest round trip, ms. */
  rttMs?: number;
  /** Asks for a sign of life. */
  probe(): void;
}

/**
 * Notices a dead link: armed by what arrives, and it kills only after a probe stayed unanswered. Each answer tells the
 * gateway's clock, too; the hello is a question that the welcome answers.
 */
export function liveness(core: Core, dead: () => void): Liveness {
  const silence = timer();
  /** Longest silence expected, ms. */
  let limit = 0;
  let liveAt = 0;
  let askedAt: number | undefined;

  function probe(): void {
    askedAt = performance.now();
    silence(expired, PROBE_MS);
    core.send({ t: 'beat' });
  }

  // A timer that fires late says that the page slept, not that the gateway is silent: ask again.
  function expired(): void {
    if (performance.now() - askedAt! > 2 * PROBE_MS) probe();
    else dead();
  }

  const part: Liveness = {
    healthy: false,
    hello() {
      askedAt = performance.now();
    },
    take(m) {
      const now = performance.now();
      if (m.t === 'welcome') {
        limit = 2.5 * m.heartbeat;
        liveAt = now;
      }
      if (askedAt !== undefined && 'now' in m) {
        part.rttMs = now - askedAt;
        core.skew = m.now + part.rttMs / 2 - Date.now();
      }
      const off = 'now' in m ? Math.abs(m.now - core.now()) : 0;
      askedAt = undefined;
      core.heardAt = core.now();
      part.healthy = now - liveAt >= HEALTHY_MS;
      if (off > OFF_MS) probe();
      else silence(probe, limit);
    },
    state() {
      if (core.welcome) return;
      silence();
      part.healthy = false;
    },
    probe() {
      if (askedAt === undefined) probe();
    },
  };
  return part;
}
