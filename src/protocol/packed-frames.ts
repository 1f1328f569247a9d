/** The `positions` frames of one packed session, each told against the one before. */
import { msgpackCodec } from './codec.ts';
import { type PackedBlock, Packer } from './packed.ts';
import { toTime } from './packed-history.ts';

/** A channel's block as packed sessions are sent it. */
export interface FrameBlock {
  readonly channel: number;
  /** Packed rows if it is bare, else the block in MessagePack. */
  readonly bytes: Uint8Array;
  readonly bare: boolean;
}

const packer = new Packer();
/** The last frame of one block, and what it depends on: sessions that watch just that are mostly sent the same bytes. */
let last:
  | { bytes: Uint8Array; at: number; passed: number; every: number | undefined; frame: Uint8Array }
  | undefined;
/** Of a frame in MessagePack, which tells its time whole. */
const WHOLE = -1;

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
    const bare = more.length === 0 && every === undefined && blocks.every((block) => block.bare);
    const passed = bare ? Math.max(WHOLE, toTime(at) - this.time) : WHOLE;
    const [{ channel, bytes }] = blocks as readonly [FrameBlock];
    const alone = blocks.length === 1 && (passed === WHOLE || channel === this.channel);
    if (alone && last?.bytes === bytes && last.at === at && last.passed === passed && last.every === every)
      return last.frame;
    const frame =
      passed === WHOLE
        ? msgpackCodec.positionsFrame(at, blocks.map(inMessagePack), more, every)
        : packer.frame(passed, this.channel, blocks.map(rowsOf));
    if (alone) last = { bytes, at, passed, every, frame };
    return frame;
  }
}

function rowsOf({ channel, bytes }: FrameBlock): PackedBlock {
  return { channel, rows: bytes };
}

function inMessagePack({ channel, bytes, bare }: FrameBlock): Uint8Array {
  return bare ? msgpackCodec.encode([channel, 0, bytes]) : bytes;
}
