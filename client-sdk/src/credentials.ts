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
): (signal: AbortSignal) => string | Promise<string> {
  const renewing = timer();
  let kept = '';
  let why: 'initial' | 'expiring' | 'rejected' = 'initial';
  let link: AbortSignal;
  /** When it could not be renewed: tried again after so many ms. */
  let again: number;

  const fetch = async (): Promise<string> => {
    kept = typeof token === 'string' ? token : await token(why, link);
    return kept;
  };

  const renew = async (): Promise<void> => {
    kept = '';
    try {
      // Without a link the next dial asks for one.
      if (core.greeting) core.say({ t: 'refresh', token: await fetch() });
    } catch (error) {
      if (link.aborted) return;
      stale(error);
      renewing(renew, again);
    }
  };

  const plan = ({ tokenTtl }: { tokenTtl: number }): void => {
    if (typeof token === 'string') return;
    why = 'expiring';
    again = Math.max(1000, tokenTtl / 20);
    renewing(renew, Math.min(Math.max(1000, 0.8 * tokenTtl), LONGEST_MS));
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

  return (signal) => {
    link = signal;
    return kept || fetch();
  };
}
