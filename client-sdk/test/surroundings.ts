/** What happens around an app: its page is hidden, its network goes. */
import type { Around, Env } from '../src/types.ts';

const HAPPENINGS = {
  hide: { hidden: true },
  freeze: { hidden: true, frozen: true },
  show: { hidden: false, frozen: false },
  offline: { offline: true },
  online: { offline: false },
  /** One network for another. */
  'network-changed': {},
} satisfies Record<string, Around>;

export type Happening = keyof typeof HAPPENINGS;

/** Tells all that listen. */
export class Surroundings {
  readonly listeners = new Set<(around: Around) => void>();
  private around: Around = {};

  readonly env: Env = (tell) => {
    this.listeners.add(tell);
    return () => this.listeners.delete(tell);
  };

  happens(what: Happening): void {
    this.around = { ...this.around, ...HAPPENINGS[what] };
    for (const tell of [...this.listeners]) tell(this.around);
  }
}
