import { LONGEST_MS } from './limits.ts';
import { timer } from './timer.ts';
import type { Options } from './types.ts';
import type { Core } from './wire.ts';

/**
 * The token, kept while it is good: a redial does not ask the app's backend again. Renewed while the old one works.
 * Returns it for the next link, which ends with the signal.
 * @param stale the token could not be renewed; it is tried again
 */
export function credentials(
  core: Core,
  token: Options['token'],
  stale: (error: unknown) => void,
): (signal: AbortSignal) => Promise<string> {
  const renewing = timer();
  let kept = '';
  let why: 'initial' | 'expiring' | 'rejected' = 'initial';
  let link: AbortSignal;
  /** How long the newest token lives, ms. */
  let ttl: number;

  const get = async (signal: AbortSignal): Promise<string> => {
    link = signal;
    kept ||= typeof token === 'string' ? token : await token(why, signal);
    return kept;
  };

  const renew = async (): Promise<void> => {
    kept = '';
    try {
      // Without a link the next dial asks for one.
      if (core.greeting) core.say({ t: 'refresh', token: await get(link) });
    } catch (error) {
      if (link.aborted) return;
      stale(error);
      later(0.05);
    }
  };

  /** Renews it after that share of its life. */
  const later = (share: number) => renewing(renew, Math.min(Math.max(1000, share * ttl), LONGEST_MS));

  const plan = ({ tokenTtl }: { tokenTtl: number }): void => {
    if (typeof token === 'string') return;
    why = 'expiring';
    ttl = tokenTtl;
    later(0.8);
  };

  core.parts.add({
    welcome: plan,
    refreshed: plan,
    lost({ code }) {
      if (code !== 4401) return;
      kept = '';
      why = 'rejected';
    },
    bye: () => renewing(),
  });

  return get;
}
