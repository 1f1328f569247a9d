import type { Off } from './types.ts';

type Listener = (e: never) => void;

export interface Emitter<E> {
  on<K extends keyof E>(event: K, listener: (e: E[K]) => void): Off;
  emit<K extends keyof E>(event: K, e: E[K]): void;
  /** Nobody is told anything any more. */
  mute(): void;
}

/** Tells what the app or its store threw; what threw it is not to disturb the rest. */
export function report(error: unknown): void {
  (globalThis.reportError ?? console.error)(error);
}

/** Listeners are called in the order added, each once; one that throws is reported and disturbs nobody. */
export function emitter<E>(): Emitter<E> {
  let all: { [K in keyof E]?: Set<Listener> } = {};
  return {
    on(event, listener) {
      all[event] ??= new Set();
      const set = all[event].add(listener);
      return () => set.delete(listener);
    },
    emit(event, e) {
      // A copy: one that is taken off and put on again by what it does is not called again.
      for (const listener of [...(all[event] ?? [])]) {
        try {
          if (all[event]?.has(listener)) listener(e as never);
        } catch (error) {
          report(error);
        }
      }
    },
    mute() {
      all = {};
    },
  };
}
