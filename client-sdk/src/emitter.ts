import type { Off } from './types.ts';

type Listener = (e: never) => void;

export interface Emitter<E> {
  on<K extends keyof E>(event: K, listener: (e: E[K]) => void): Off;
  emit<K extends keyof E>(event: K, e: E[K]): void;
}

/** Listeners are called in the order added, each once; one that throws is reported and disturbs nobody. */
export function emitter<E>(): Emitter<E> {
  const all: { [K in keyof E]?: Set<Listener> } = {};
  return {
    on(event, listener) {
      all[event] ??= new Set();
      const set = all[event].add(listener);
      return () => set.delete(listener);
    },
    emit(event, e) {
      all[event]?.forEach((listener) => {
        try {
          listener(e as never);
        } catch (error) {
          (globalThis.reportError ?? console.error)(error);
        }
      });
    },
  };
}
