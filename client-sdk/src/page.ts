import type { Env } from './types.ts';

/** A browser page's visibility and network; elsewhere nothing is known and nothing is told. */
export const page: Env = (tell) => {
  const { document } = globalThis;
  const stop = new AbortController();
  if (!document?.addEventListener) return () => {};
  const look = (frozen?: boolean) =>
    tell({ hidden: frozen || document.hidden, frozen, offline: !navigator.onLine });
  // Into the back/forward cache: a page with an open link may not get there.
  for (const type of ['visibilitychange', 'pageshow', 'pagehide', 'online', 'offline'])
    addEventListener(type, () => look(type === 'pagehide'), stop);
  if (document.hidden) look();
  return () => stop.abort();
};
