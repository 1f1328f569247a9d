import type { Env, Signal } from './types.ts';

/** A browser page's visibility and network; elsewhere nothing is known and nothing is told. */
export const page: Env = (signal) => {
  const { document } = globalThis;
  const stop = new AbortController();
  if (!document?.addEventListener) return () => {};
  const tell = ({ type }: { type: string }) =>
    // Into the back/forward cache: a page with an open link may not get there.
    signal(
      type === 'pagehide'
        ? 'freeze'
        : type.endsWith('line')
          ? (type as Signal)
          : document.hidden
            ? 'hide'
            : 'show',
    );
  for (const type of ['visibilitychange', 'pageshow', 'pagehide', 'online', 'offline'])
    addEventListener(type, tell, stop);
  if (document.hidden) signal('hide');
  return () => stop.abort();
};
