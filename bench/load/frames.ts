/** WebSocket frames by hand: whole ones out, headers of those that come in. */

export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

const FIN = 0x80;
const MASKED = 0x80;
const MASK_BYTES = 4;

/** A client's frame. It is masked with zeros, so that the payload stands in it as it is. */
export function frameOf(payload: Uint8Array | string, opcode: number): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload) : payload;
  const extra = body.length < 126 ? 0 : body.length < 65_536 ? 2 : 8;
  const frame = Buffer.alloc(2 + extra + MASK_BYTES + body.length);
  frame[0] = FIN | opcode;
  frame[1] = MASKED | (extra === 0 ? body.length : extra === 2 ? 126 : 127);
  if (extra === 2) frame.writeUInt16BE(body.length, 2);
  if (extra === 8) frame.writeBigUInt64BE(BigInt(body.length), 2);
  frame.set(body, 2 + extra + MASK_BYTES);
  return frame;
}

/**
 * Cuts a stream of a server's frames. The payload of each is handed on as a piece of a buffer that is only valid
 * during the call.
 */
export class FrameCutter {
  private readonly take: (opcode: number, buffer: Buffer, from: number, to: number) => void;
  /** The beginning of a frame whose rest has not come yet, with room for all of it once its header is known. */
  private held: Buffer | undefined;
  private filled = 0;

  constructor(take: (opcode: number, buffer: Buffer, from: number, to: number) => void) {
    this.take = take;
  }

  /** Bytes [from, to) of the buffer came. */
  push(buffer: Buffer, from: number, to: number): void {
    let at = this.held === undefined ? from : this.complete(buffer, from, to);
    while (at < to) {
      const size = sizeOf(buffer, at, to);
      if (size === 0 || at + size > to) return this.hold(buffer, at, to, size);
      this.hand(buffer, at, at + size);
      at += size;
    }
  }

  private hand(buffer: Buffer, from: number, to: number): void {
    const length = buffer[from + 1]! & 0x7f;
    this.take(buffer[from]! & 0x0f, buffer, from + (length === 127 ? 10 : length === 126 ? 4 : 2), to);
  }

  private hold(buffer: Buffer, from: number, to: number, size: number): void {
    this.held = Buffer.allocUnsafe(Math.max(size, HEADER_BYTES));
    this.filled = buffer.copy(this.held, 0, from, to);
    if (size === 0) this.held = this.held.subarray(0, HEADER_BYTES);
  }

  /** Goes on with the frame that is held. Returns where the bytes after it begin. */
  private complete(buffer: Buffer, from: number, to: number): number {
    let at = from;
    let size = sizeOf(this.held!, 0, this.filled);
    while (size === 0 && at < to) {
      this.held![this.filled++] = buffer[at++]!;
      size = sizeOf(this.held!, 0, this.filled);
    }
    if (size === 0) return at;
    if (this.held!.length < size) {
      const grown = Buffer.allocUnsafe(size);
      this.held!.copy(grown, 0, 0, this.filled);
      this.held = grown;
    }
    const copied = buffer.copy(this.held!, this.filled, at, Math.min(to, at + size - this.filled));
    this.filled += copied;
    if (this.filled < size) return to;
    const whole = this.held!;
    this.held = undefined;
    this.hand(whole, 0, size);
    return at + copied;
  }
}

const HEADER_BYTES = 10;

/** Bytes of the frame that begins there; 0 while its header is not complete. */
function sizeOf(buffer: Buffer, from: number, to: number): number {
  if (to - from < 2) return 0;
  const length = buffer[from + 1]! & 0x7f;
  if (length < 126) return 2 + length;
  if (length === 126) return to - from < 4 ? 0 : 4 + buffer.readUInt16BE(from + 2);
  return to - from < 10 ? 0 : 10 + Number(buffer.readBigUInt64BE(from + 2));
}
