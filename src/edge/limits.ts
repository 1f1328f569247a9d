/** How many of something each key may have at once. Keys nobody holds take no memory. */
export class Limits {
  private readonly most: number;
  private readonly held = new Map<string, number>();

  constructor(most: number) {
    this.most = most;
  }

  /** Whether the key may have one more; if so it has. */
  enter(key: string): boolean {
    const held = this.held.get(key) ?? 0;
    if (held >= this.most) return false;
    this.held.set(key, held + 1);
    return true;
  }

  leave(key: string): void {
    const held = this.held.get(key) ?? 0;
    if (held > 1) this.held.set(key, held - 1);
    else this.held.delete(key);
  }

  /** How many keys are held. */
  get size(): number {
    return this.held.size;
  }
}
