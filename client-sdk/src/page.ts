import type { Env } from './types.ts';

/** A browser page's visibility and network; elsewhere nothing is known and nothing is told. */
export const page: Env = (signal) => {
  const doc = globalThis.document;
  if (!doc?.addEventListener) return () => {};
  const stop = new AbortController();
  const listen = (target: EventTarget | undefined, event: string, then: () => void) =>
    target?.addEventListener?.(event, then, { signal: stop.signal });
  const look = () => signal(doc.hidden ? 'hide' : 'show');
  listen(doc, 'visibilitychange', look);
  listen(doc, 'resume', look);
  listen(doc, 'freeze', () => signal('freeze'));
  listen(globalThis.window, 'pageshow', look);
  listen(globalThis.window, 'online', () => signal('online'));
  listen(globalThis.window, 'offline', () => signal('offline'));
  listen((navigator as { connection?: EventTarget }).connection, 'change', () => signal('network-changed'));
  if (doc.hidden) look();
  return () => stop.abort();
};
