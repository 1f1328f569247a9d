import type { Bus } from './bus.ts';
import type { Store } from './store.ts';

/** Backbone: bus and store of one kind, and its health. */
export interface Backbone {
  readonly bus: Bus;
  readonly store: Store;
  /** 'memory' or 'redis', for health and logs. */
  readonly kind: string;
  /** Resolves when usable; rejects with one line that says what to check. Called once. */
  start(): Promise<void>;
  /** Leaves the bus and lets go of every connection and timer. What is still on the way rejects. */
  stop(): Promise<void>;
  /** Whether commands and messages go through, as far as known. */
  healthy(): boolean;
}
