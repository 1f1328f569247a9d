/** Time and chance of one schedule: timers fire when told to, and chance is the same in every run. */

export interface VirtualTime {
  /** Timers that are set. */
  readonly pending: number;
  /** Lets promises settle. */
  settle(): Promise<void>;
  /** Lets so many ms pass, firing what is due. */
  pass(ms: number): Promise<void>;
  /** Lets so many ms pass while nothing runs: what became due fires late, with the next `pass`. */
  sleep(ms: number): void;
  /** Sets the device's clock by so many ms; timers do not notice. */
  setClock(by: number): void;
  /** Gives the process its own time back. */
  stop(): void;
}

/** Timers that are due within so many ms fire in any order. */
const COALESCED_MS = 4;
const BEGIN = 1_764_000_000_000;
let now = BEGIN;

/** The gateway's clock, which nobody sets. */
export const gatewayNow = () => now;

/** Replaces the process's timers, clocks and chance until `stop`; nothing real may be awaited in between. */
export function virtualTime(seed: number): VirtualTime {
  const real = { setTimeout, clearTimeout, now: Date.now, random: Math.random, monotonic: performance.now };
  const timers = new Map<number, { at: number; run: () => void }>();
  let ids = 0;
  let state = seed;
  let offset = 0;
  now = BEGIN;

  globalThis.setTimeout = ((run: () => void, ms = 0) => {
    timers.set(++ids, { at: now + Math.max(0, ms), run });
    return ids;
  }) as never;
  globalThis.clearTimeout = ((id: number) => timers.delete(id)) as never;
  Date.now = () => now + offset;
  performance.now = () => now - BEGIN + 1;
  // mulberry32
  Math.random = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };

  /** The next to fire of those due until then. */
  function due(until: number): number | undefined {
    let first = Infinity;
    for (const { at } of timers.values()) first = Math.min(first, at);
    if (first > until) return undefined;
    const near: number[] = [];
    for (const [id, { at }] of timers) if (at <= Math.min(until, first + COALESCED_MS)) near.push(id);
    return near.length > 1 ? near[Math.floor(Math.random() * near.length)] : near[0];
  }

  async function settle(): Promise<void> {
    for (let n = 0; n < 8; n++) await undefined;
  }

  return {
    get pending() {
      return timers.size;
    },
    settle,
    async pass(ms) {
      const until = now + ms;
      for (let id = due(until); id !== undefined; id = due(until)) {
        const { at, run } = timers.get(id)!;
        timers.delete(id);
        now = Math.max(now, at);
        run();
        await settle();
      }
      now = until;
    },
    sleep(ms) {
      now += ms;
    },
    setClock(by) {
      offset += by;
    },
    stop() {
      globalThis.setTimeout = real.setTimeout;
      globalThis.clearTimeout = real.clearTimeout;
      Date.now = real.now;
      Math.random = real.random;
      performance.now = real.monotonic;
    },
  };
}
