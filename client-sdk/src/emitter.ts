import type { Off } from './types.ts';

type Listener = (e: never) => void;

export interface Emitter<E> {
  on<K extends keyof E>(event: K, listener: (e: E[K]) => void): Off;
  emit<K extends keyof E>(event: K, e: E[K]): void;
}

/** Listeners are called in the order added; one that throws is reported and disturbs nobody. */
export function emitter<E>(): Emitter<E> {
  const all = new Map<keyof E, Set<Listener>>();
  return {
    on(event, listener) {
      // Wrapped, so that adding one function twice gives two independent entries.
      const entry = (e: never) => listener(e);
      const set = all.get(event) ?? new Set();
      all.set(event, set.add(entry));
      return () => set.delete(entry);
    },
    emit(event, e) {
      for (const listener of [...(all.get(event) ?? [])]) {
        try {
          listener(e as never);
        } catch (error) {
          (globalThis.reportError ?? console.error)(error);
        }
      }
    },
  };
}
