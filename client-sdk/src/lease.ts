import { LINGER_MS } from './limits.ts';
import { type Timer, timer } from './timer.ts';
import type { Off } from './types.ts';

/** What is shared by all who name it, while anybody uses it. */
export type Leases<T> = Map<string, { readonly held: T; users: number; readonly ending: Timer }>;

/**
 * Uses the one of that name, which is opened for its first user and closed after its last.
 * @param use begins with it, and gives the end of that
 */
export function lease<T extends { close(): void }>(
  all: Leases<T>,
  name: string,
  open: () => T,
  use: (value: T) => Off,
): Off {
  const mine = all.get(name) ?? { held: open(), users: 0, ending: timer() };
  all.set(name, mine);
  mine.ending();
  mine.users++;
  const off = use(mine.held);
  return () => {
    off();
    if (--mine.users) return;
    mine.ending(() => {
      all.delete(name);
      mine.held.close();
    }, LINGER_MS);
  };
}
