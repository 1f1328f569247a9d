import { PROBE_MS } from './limits.ts';
import { timer } from './timer.ts';
import type { Core } from './wire.ts';

/**
 * Notices a dead link: armed by what arrives, and it kills only after a probe stayed unanswered. What it hears tells the
 * gateway's clock, too; the hello is a question that the welcome answers. Returns the probe: it asks for a sign of life.
 */
export function liveness(core: Core, dead: () => void): () => void {
  const silence = timer();
  /** Longest silence expected, ms. */
  let limit: number;
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

  core.parts.add((m) => {
    const now = performance.now();
    if (m.t === 'lost') silence();
    else if (m.t === 'hello') askedAt = now;
    else if (m.t !== 'bye') {
      if ('now' in m) {
        if (askedAt !== undefined) core.rttMs = now - askedAt;
        // Asked or not: either clock may have been set. A beat that was late is corrected by the next.
        core.skew = m.now + (core.rttMs ?? 0) / 2 - Date.now();
      }
      if (m.t === 'welcome') limit = 2.5 * m.heartbeat;
      askedAt = undefined;
      core.heardAt = core.now();
      silence(probe, limit);
    }
  });

  return () => {
    if (askedAt === undefined) probe();
  };
}
