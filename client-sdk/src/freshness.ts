import type { Freshness } from './types.ts';
import type { Core } from './wire.ts';

/** The gateway's words, as numbered on the wire. */
export const words = ['live', 'stale', 'lost'] as const;

const STALE_MS = 30_000;
/** Lost after so many times the time to stale, as the gateway's defaults have it. */
const LOST = 4;

export interface Watched {
  /** Something is known at all. */
  known(): boolean;
  /** The gateway is there and its word counts. */
  synced(): boolean;
  /** Its last word. */
  word(): number;
  /** How old what we show is, on the gateway's clock; counts while it is not there. */
  since(): number;
}

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
  watched: Watched,
  tell: (f: Freshness) => void,
): FreshnessOf {
  let value: Freshness = 'catching-up';
  let over = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function become(next: Freshness): void {
    if (next === value) return;
    value = next;
    tell(next);
  }

  function check(): void {
    clearTimeout(timer);
    if (over || !watched.known()) return;
    const silent = core.now() - (watched.synced() ? core.heardAt : watched.since());
    const byAge = silent >= LOST * staleMs ? 2 : silent >= staleMs ? 1 : 0;
    if (byAge < 2) timer = setTimeout(check, (byAge ? LOST : 1) * staleMs - silent);
    become(words[Math.max(byAge, watched.word())]!);
  }

  return {
    get value() {
      return value;
    },
    check,
    end(last) {
      clearTimeout(timer);
      over = true;
      become(last);
    },
  };
}
