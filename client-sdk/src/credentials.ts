import type { Options } from './types.ts';

/** The token, kept while it is good: a redial does not ask the app's backend again. */
export interface Credentials {
  get(signal: AbortSignal): Promise<string>;
  /** The gateway took it, for this many ms. */
  granted(ttl: number): void;
  /** A fresh one, while the old one still works. */
  renew(signal: AbortSignal): Promise<string>;
  /** The gateway refused it. False: there is no other to be had. */
  rejected(): boolean;
  readonly renewable: boolean;
}

export function credentials(token: Options['token']): Credentials {
  let kept: string | undefined;
  let goodUntil = 0;
  let why: 'initial' | 'expiring' | 'rejected' = 'initial';

  const fetch = async (reason: typeof why, signal: AbortSignal) => {
    const fresh = typeof token === 'string' ? token : await token(reason, signal);
    kept = fresh;
    goodUntil = 0;
    return fresh;
  };
  return {
    async get(signal) {
      if (kept !== undefined && (!goodUntil || Date.now() < goodUntil)) return kept;
      const fresh = await fetch(kept === undefined ? why : 'expiring', signal);
      why = 'initial';
      return fresh;
    },
    granted(ttl) {
      goodUntil = Date.now() + 0.9 * ttl;
    },
    renew: (signal) => fetch('expiring', signal),
    rejected() {
      kept = undefined;
      why = 'rejected';
      return typeof token !== 'string';
    },
    renewable: typeof token !== 'string',
  };
}
