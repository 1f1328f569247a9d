import type { Off } from './types.ts';

type Listener = (e: never) => void;

export interface Handle<E> extends Disposable {
  on<K extends keyof E>(event: K, listener: (e: E[K]) => void): Off;
  close(): void;
}

export interface Emitter<E> {
  /** What the app holds. */
  readonly handle: Handle<E>;
  emit<K extends keyof E>(event: K, e: E[K]): void;
  /** Nobody is told anything any more. */
  mute(): void;
}

/** Tells what the app or its store threw; what threw it is not to disturb the rest. */
export function report(error: unknown): void {
  (globalThis.reportError ?? console.error)(error);
}

/** Listeners are called in the order added, as often as they were added; one that throws is reported and disturbs nobody. */
export function emitter<E>(close: () => void): Emitter<E> {
  const all = new Set<readonly [event: keyof E, listener: Listener]>();
  return {
    handle: {
      on(...entry) {
        all.add(entry);
        return () => all.delete(entry);
      },
      close,
      [Symbol.dispose]: close,
    },
    emit(event, e) {
      // A copy: one that is put on by what another does is not called for this.
      for (const entry of [...all]) {
        try {
          if (entry[0] === event && all.has(entry)) entry[1](e as never);
        } catch (error) {
          report(error);
        }
      }
    },
    mute: () => all.clear(),
  };
}
