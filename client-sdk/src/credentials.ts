import { timer } from './timer.ts';
import type { Options } from './types.ts';
import type { Core, Part } from './wire.ts';

/** The longest setTimeout can wait, ms. */
const LONGEST_MS = 2 ** 31 - 1;

/** The token, kept while it is good: a redial does not ask the app's backend again. Renewed while the old one works. */
export interface Credentials extends Part {
  /** For the next link, which ends with the signal. */
  get(signal: AbortSignal): Promise<string>;
  /** The gateway refused it. False: there is no other to be had. */
  rejected(): boolean;
}

/** @param stale the token could not be renewed; it is tried again */
export function credentials(
  core: Core,
  token: Options['token'],
  stale: (error: unknown) => void,
): Credentials {
  const renewable = typeof token !== 'string';
  const renewing = timer();
  let kept = '';
  let goodUntil = 0;
  let why: 'initial' | 'expiring' | 'rejected' = 'initial';
  let link: AbortSignal;

  async function fetch(): Promise<string> {
    kept = renewable ? await token(why, link) : token;
    goodUntil = Infinity; // until the gateway says
    return kept;
  }

  async function renew(retryMs: number): Promise<void> {
    const of = link;
    try {
      const fresh = await fetch();
      if (!of.aborted) core.send({ t: 'refresh', token: fresh });
    } catch (error) {
      if (of.aborted) return;
      stale(error);
      renewIn(retryMs, retryMs);
    }
  }

  function renewIn(ms: number, retryMs: number): void {
    if (renewable) renewing(() => renew(retryMs), Math.min(ms, LONGEST_MS));
  }

  return {
    async get(signal) {
      link = signal;
      return Date.now() < goodUntil ? kept : fetch();
    },
    rejected() {
      goodUntil = 0;
      why = 'rejected';
      return renewable;
    },
    take(m) {
      if (!('tokenTtl' in m)) return;
      const ttl = m.tokenTtl;
      goodUntil = Date.now() + 0.9 * ttl;
      why = 'expiring';
      renewIn(Math.max(1000, 0.8 * ttl), Math.max(1000, ttl / 20));
    },
    state() {
      if (!core.welcome) renewing();
    },
  };
}
