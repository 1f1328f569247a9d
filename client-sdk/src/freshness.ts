import { LOST, STALE_MS } from './limits.ts';
import { timer } from './timer.ts';
import type { Freshness } from './types.ts';
import type { Core } from './wire.ts';

/** The gateway's words, as numbered on the wire. */
export const words = ['live', 'stale', 'lost'] as const;

/** The gateway's last word, and the moment on its clock from which silence counts; undefined: nothing is known yet. */
export type Heard = readonly [word: number, since: number] | undefined;

/** To be called when anything it depends on changed; with a last word when there is none any more after that. */
export type Check = (last?: 'ended' | 'lost') => void;

/** Of a watch: the gateway's word while it can be heard; otherwise worse by age, so that a frozen dot never claims to be live. */
export function freshness(
  core: Core,
  watch: { freshness: Freshness },
  staleMs = STALE_MS,
  heard: () => Heard,
  tell: (event: 'freshness', value: Freshness) => void,
): Check {
  const next = timer();
  let over: Freshness | undefined;

  return function check(last?: 'ended' | 'lost') {
    next();
    over ??= last;
    const now = heard();
    let value = over;
    if (!over && now) {
      const silent = core.now() - now[1];
      const byAge = silent < staleMs ? 0 : silent < LOST * staleMs ? 1 : 2;
      if (byAge < 2) next(check, (byAge ? LOST : 1) * staleMs - silent);
      value = words[Math.max(byAge, now[0])]!;
    }
    if (value && value !== watch.freshness) {
      watch.freshness = value;
      tell('freshness', value);
    }
  };
}
