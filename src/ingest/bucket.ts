/** Token bucket: `rate` a second, sustained; `burst` at once. */
export class Bucket {
  private readonly rate: number;
  private readonly burst: number;
  private tokens: number;
  private at = 0;

  constructor(rate: number, burst: number) {
    this.rate = rate;
    this.burst = burst;
    this.tokens = burst;
  }

  /** Puts one token back. */
  give(): void {
    this.tokens = Math.min(this.burst, this.tokens + 1);
  }

  /** Takes `cost` tokens if they are there; a cost above the burst needs a full bucket. `now` in ms. */
  take(cost: number, now: number): boolean {
    this.tokens = Math.min(this.burst, this.tokens + (Math.max(0, now - this.at) / 1000) * this.rate);
    this.at = now;
    if (this.tokens < Math.min(cost, this.burst)) return false;
    this.tokens -= cost;
    return true;
  }
}
