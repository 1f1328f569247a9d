/** Numbers as bits, most significant first, into one buffer that is used again and again. */
export class Bits {
  private bytes = new Uint8Array(4096);
  private length = 0;
  /** Bits not yet in `bytes`, in the low end of `held`; fewer than 8. */
  private held = 0;
  private holds = 0;

  clear(): void {
    this.length = 0;
    this.held = 0;
    this.holds = 0;
  }

  /** Appends the low `count` bits of `value`, which has no others. `count` 0..24. */
  put(value: number, count: number): void {
    let held = (this.held << count) | value;
    let holds = this.holds + count;
    if (this.length + 4 > this.bytes.length) this.grow(this.length + 4);
    while (holds >= 8) {
      holds -= 8;
      this.bytes[this.length++] = held >>> holds;
      held &= (1 << holds) - 1;
    }
    this.held = held;
    this.holds = holds;
  }

  /**
   * Appends a whole number, 0..2^53 - 1, as an exponential Golomb code of order `k`: with `v = n + 2^k`, as many
   * zeros as `v` has bits beyond `k + 1`, then `v`. Numbers up to about `2^k` take `k + 1` bits.
   */
  number(n: number, k: number): void {
    const v = n + 2 ** k;
    if (v >= 0x1000000) return this.large(v, k);
    const size = 32 - Math.clz32(v);
    const total = 2 * size - 1 - k;
    if (total <= 24) return this.put(v, total);
    this.put(0, total - size);
    this.put(v, size);
  }

  /** The same of a number that may be negative: 0, -1, 1, -2, 2 … are written as 0, 1, 2, 3, 4 …  */
  signed(n: number, k: number): void {
    this.number(n < 0 ? -2 * n - 1 : 2 * n, k);
  }

  /** Fills the last byte with zeros. */
  align(): void {
    if (this.holds > 0) this.put(0, 8 - this.holds);
  }

  /** Appends whole bytes, on a byte's border. */
  append(bytes: Uint8Array): void {
    this.align();
    this.grow(this.length + bytes.length + 4);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** A copy of all that was written, the last byte filled with zeros. */
  take(): Uint8Array {
    this.align();
    const taken = Buffer.allocUnsafe(this.length);
    for (let i = 0; i < this.length; i++) taken[i] = this.bytes[i]!;
    return taken;
  }

  private large(v: number, k: number): void {
    let size = 24;
    while (v >= 2 ** size) size++;
    for (let zeros = size - 1 - k; zeros > 0; zeros -= 24) this.put(0, Math.min(24, zeros));
    for (let left = size; left > 0; left -= 16) {
      const count = Math.min(16, left);
      this.put(Math.floor(v / 2 ** (left - count)) % 2 ** count, count);
    }
  }

  private grow(length: number): void {
    if (length <= this.bytes.length) return;
    const larger = new Uint8Array(2 * length);
    larger.set(this.bytes);
    this.bytes = larger;
  }
}
