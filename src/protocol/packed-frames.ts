/** The `positions` frames of one packed session, each told against the one before. */
import { msgpackCodec } from './codec.ts';
import { Packer } from './packed.ts';
import { toTime } from './packed-history.ts';

/** A channel's block as packed sessions are sent it. */
export interface FrameBlock {
  readonly channel: number;
  /** Packed rows if it is bare, else the block in MessagePack. */
  readonly bytes: Uint8Array;
  readonly bare: boolean;
}

const packer = new Packer();
/** The last frame of one bare block: sessions that watch just that are mostly sent the same bytes. */
let last: { rows: Uint8Array; passed: number; frame: Uint8Array } | undefined;

export class PackedFrames {
  /** Of the last message with positions that was sent: its time in units of TIME_MS, and its last channel. */
  private time = 0;
  private channel = 0;

  /** A message with positions was sent, and stamped `at`. */
  sent(at: number, channel: number): void {
    this.time = toTime(at);
    this.channel = channel;
  }

  /**
   * A frame of these blocks, at least one, to be sent next. In MessagePack where it says what has no packed form, and
   * where the clock was set back.
   */
  frame(
    at: number,
    blocks: readonly FrameBlock[],
    more: readonly number[],
    every: number | undefined,
  ): Uint8Array {
    const passed = toTime(at) - this.time;
    const bare = more.length === 0 && every === undefined && blocks.every((block) => block.bare);
    if (!bare || passed < 0) return msgpackCodec.positionsFrame(at, blocks.map(inMessagePack), more, every);
    const [{ channel, bytes }] = blocks as readonly [FrameBlock];
    const alone = blocks.length === 1 && channel === this.channel;
    if (alone && last?.rows === bytes && last.passed === passed) return last.frame;
    const rows = blocks.map((block) => ({ channel: block.channel, rows: block.bytes }));
    const frame = packer.frame(passed, this.channel, rows);
    if (alone) last = { rows: bytes, passed, frame };
    return frame;
  }
}

function inMessagePack({ channel, bytes, bare }: FrameBlock): Uint8Array {
  return bare ? msgpackCodec.encode([channel, 0, bytes]) : bytes;
}
