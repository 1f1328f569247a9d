/** Reads the numbers of packed positions (PROTOCOL.md, section 10): just enough to count what a frame shows. */
export class Bits {
  private bytes: Uint8Array = new Uint8Array();
  /** In bits. */
  private at = 0;

  /** Begins at a byte. */
  start(bytes: Uint8Array, at: number): this {
    this.bytes = bytes;
    this.at = at * 8;
    return this;
  }

  bit(): number {
    return (this.bytes[this.at >> 3]! >> (~this.at++ & 7)) & 1;
  }

  /** E(k). */
  number(k: number): number {
    let size = k;
    while (this.bit() === 0) if (++size > 48) throw new Error('this is no packed number');
    let value = 1;
    for (; size > 0; size--) value = value * 2 + this.bit();
    return value - 2 ** k;
  }

  /** Passes the rest of a byte that was begun; returns the next one's place. */
  byte(): number {
    this.at = (this.at + 7) & ~7;
    return this.at >> 3;
  }
}
