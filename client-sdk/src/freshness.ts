import { LOST, STALE_MS } from './limits.ts';
import { timer } from './timer.ts';
import type { Freshness } from './types.ts';
import type { Core } from './wire.ts';

/** The gateway's words, as numbered on the wire. */
export const words = ['live', 'stale', 'lost'] as const;

/** The gateway's last word, and the moment on its clock from which silence counts; undefined: nothing is known yet. */
export type Heard = readonly [word: number, since: number] | undefined;

export interface FreshnessOf {
  readonly value: Freshness;
  /** To be called when anything it depends on changed. */
  check(): void;
  /** No word any more, but this last one. */
  end(last: Freshness): void;
}

/** The gateway's word while it can be heard; otherwise worse by age, so that a frozen dot never claims to be live. */
export function freshness(
  core: Core,
  staleMs = STALE_MS,
  heard: () => Heard,
  tell: (f: Freshness) => void,
): FreshnessOf {
  const next = timer();

  function become(value: Freshness): void {
    if (value === fresh.value) return;
    fresh.value = value;
    tell(value);
  }

  const fresh = {
    value: 'catching-up' as Freshness,
    check() {
      const now = heard();
      if (!now) return;
      const silent = core.now() - now[1];
      const byAge = silent < staleMs ? 0 : silent < LOST * staleMs ? 1 : 2;
      next(byAge < 2 ? fresh.check : undefined, (byAge ? LOST : 1) * staleMs - silent);
      become(words[Math.max(byAge, now[0])]!);
    },
    end(last: Freshness) {
      fresh.check = () => {};
      next();
      become(last);
    },
  };
  return fresh;
}
