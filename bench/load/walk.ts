/** Reads just enough of a MessagePack value: the counts that stand in its headers, a number here and there. */
export class Walk {
  private buffer: Buffer = Buffer.alloc(0);
  at = 0;

  /** Begins at a byte of a buffer. */
  start(buffer: Buffer, at: number): this {
    this.buffer = buffer;
    this.at = at;
    return this;
  }

  /** Whether a string or bytes stand here, as opposed to an array. */
  get isBinary(): boolean {
    const type = this.buffer[this.at]!;
    return type === 0xc4 || type === 0xc5 || type === 0xc6;
  }

  /** Enters an array or a map; returns how many items or pairs it has. */
  enter(): number {
    const type = this.buffer[this.at++]!;
    if (type >= 0x80 && type <= 0x9f) return type & 0x0f;
    if (type === 0xdc || type === 0xde) return this.unsigned(2);
    if (type === 0xdd || type === 0xdf) return this.unsigned(4);
    throw new Error(`0x${type.toString(16)} begins neither an array nor a map`);
  }

  /** Passes a number and returns it. */
  number(): number {
    const type = this.buffer[this.at++]!;
    if (type < 0x80) return type;
    if (type >= 0xe0) return type - 0x100;
    if (type >= 0xcc && type <= 0xce) return this.unsigned(1 << (type - 0xcc));
    if (type >= 0xd0 && type <= 0xd2) return this.signed(1 << (type - 0xd0));
    if (type === 0xcb || type === 0xca || type === 0xcf || type === 0xd3) return this.long(type);
    throw new Error(`0x${type.toString(16)} begins no number`);
  }

  /** Enters a string; returns its length in bytes. */
  text(): number {
    const type = this.buffer[this.at++]!;
    if (type >= 0xa0 && type <= 0xbf) return type & 0x1f;
    if (type >= 0xd9 && type <= 0xdb) return this.unsigned(1 << (type - 0xd9));
    throw new Error(`0x${type.toString(16)} begins no string`);
  }

  /** Enters a byte string; returns its length. */
  bytes(): number {
    const type = this.buffer[this.at++]!;
    return this.unsigned(1 << (type - 0xc4));
  }

  /** Passes any value. */
  skip(): void {
    const type = this.buffer[this.at]!;
    if (type < 0x80 || type >= 0xe0 || (type >= 0xca && type <= 0xd3)) this.number();
    else if ((type >= 0xa0 && type <= 0xbf) || (type >= 0xd9 && type <= 0xdb)) this.pass(this.text());
    else if (type >= 0xc4 && type <= 0xc6) this.pass(this.bytes());
    else if (type >= 0xc0 && type <= 0xc3) this.at++;
    else {
      const isMap = type <= 0x8f || type >= 0xde;
      for (let left = this.enter() * (isMap ? 2 : 1); left > 0; left--) this.skip();
    }
  }

  private pass(bytes: number): void {
    this.at += bytes;
  }

  private long(type: number): number {
    const { buffer, at } = this;
    this.at += type === 0xca ? 4 : 8;
    if (type === 0xcb) return buffer.readDoubleBE(at);
    if (type === 0xca) return buffer.readFloatBE(at);
    return Number(type === 0xcf ? buffer.readBigUInt64BE(at) : buffer.readBigInt64BE(at));
  }

  private unsigned(bytes: number): number {
    const value = this.buffer.readUIntBE(this.at, bytes);
    this.at += bytes;
    return value;
  }

  private signed(bytes: number): number {
    const value = this.buffer.readIntBE(this.at, bytes);
    this.at += bytes;
    return value;
  }
}
