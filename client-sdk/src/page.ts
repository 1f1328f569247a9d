import type { Env, Signal } from './types.ts';

/** A browser page's visibility and network; elsewhere nothing is known and nothing is told. */
export const page: Env = (signal) => {
  const doc = globalThis.document;
  if (!doc?.addEventListener) return () => {};
  const stop = new AbortController();
  const listen = (target: EventTarget | undefined, event: string, then: (e: Event) => void) =>
    target?.addEventListener?.(event, then, stop);
  const look = () => signal(doc.hidden ? 'hide' : 'show');
  const tell = (e: Event) => signal(e.type as Signal);
  listen(doc, 'visibilitychange', look);
  listen(doc, 'resume', look);
  listen(doc, 'freeze', tell);
  listen(globalThis.window, 'pageshow', look);
  listen(globalThis.window, 'online', tell);
  listen(globalThis.window, 'offline', tell);
  listen((navigator as { connection?: EventTarget }).connection, 'change', () => signal('network-changed'));
  if (doc.hidden) look();
  return () => stop.abort();
};
