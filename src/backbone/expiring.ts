/** Entries looked at per write. Two, so that the walk is faster than any growth. */
const STRIDE = 2;

interface Entry<V> {
  value: V;
  /** ms since epoch. */
  until: number;
}

/**
 * A map whose entries end at a time of their own. For readers an ended entry is gone at once; its memory is given
 * back as others are written, a few per write, so there is no timer and no long sweep.
 */
export class Expiring<V> {
  private readonly entries = new Map<string, Entry<V>>();
  private walk = this.entries.entries();
  private readonly now: () => number;
  private readonly ended: (key: string, value: V) => void;

  /** `ended` hears of every entry that is taken out, ended or deleted. */
  constructor(now: () => number, ended: (key: string, value: V) => void = () => {}) {
    this.now = now;
    this.ended = ended;
  }

  /** Entries held, ended ones included. */
  get size(): number {
    return this.entries.size;
  }

  get(key: string): V | undefined {
    const entry = this.entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.until > this.now()) return entry.value;
    this.delete(key);
    return undefined;
  }

  /** Those that have not ended. */
  *living(): IterableIterator<[string, V]> {
    const now = this.now();
    for (const [key, { value, until }] of this.entries) if (until > now) yield [key, value];
  }

  /** Puts a value that ends `ttl` ms from now. */
  set(key: string, value: V, ttl: number): void {
    const until = this.now() + ttl;
    const entry = this.entries.get(key);
    if (entry === undefined) this.entries.set(key, { value, until });
    else Object.assign(entry, { value, until });
    this.sweep();
  }

  delete(key: string): void {
    const entry = this.entries.get(key);
    if (entry === undefined) return;
    this.entries.delete(key);
    this.ended(key, entry.value);
  }

  private sweep(): void {
    const now = this.now();
    for (let i = 0; i < STRIDE; i++) {
      const step = this.walk.next();
      if (step.done) {
        this.walk = this.entries.entries();
        return;
      }
      const [key, entry] = step.value;
      if (entry.until <= now) this.delete(key);
    }
  }
}
