/** Frames to bytes and back, for the two sub-protocols; and the records nodes exchange. Only importer of msgpackr. */
import { Packr } from 'msgpackr';
import { SUBPROTOCOLS } from './messages.ts';
import { arePackedPings, unpackPings } from './packed-pings.ts';

export interface Codec {
  readonly subprotocol: string;
  /** Whether frames are binary WebSocket frames (else text). */
  readonly binary: boolean;
  /** Whether positions are packed: a client asks for it in its hello. */
  readonly packed: boolean;
  encode(message: unknown): Uint8Array;
  /** Throws on anything that is not one whole value in this codec. */
  decode(bytes: Uint8Array): unknown;
  /**
   * Builds a `positions` frame from blocks that are already encoded by this codec.
   * @param more numbers of the channels of which more follows
   * @param every ms between frames of an overloaded node
   */
  positionsFrame(
    at: number,
    blocks: readonly Uint8Array[],
    more?: readonly number[],
    every?: number,
  ): Uint8Array;
}

// Plain maps (no record extension), numbers never as bigint: any MessagePack library can read and write these.
// Without structuredClone no frame can hold a cycle or point into another one.
const packr = new Packr({
  useRecords: false,
  structuredClone: false,
  mapsAsObjects: true,
  int64AsType: 'number',
  variableMapSize: true,
});

/** MessagePack of any plain value. */
export const pack = (value: unknown): Uint8Array => packr.pack(value);
/** The opposite of `pack`; throws on malformed or trailing bytes. */
export const unpack = (bytes: Uint8Array): unknown => packr.unpack(bytes as Buffer);

const text = new TextDecoder('utf-8', { fatal: true });
const comma = 0x2c;

export const jsonCodec: Codec = {
  subprotocol: SUBPROTOCOLS.json,
  binary: false,
  packed: false,
  encode: (message) => Buffer.from(JSON.stringify(message)),
  decode: (bytes) => JSON.parse(text.decode(bytes)),
  positionsFrame(at, blocks, more = [], every) {
    const head = Buffer.from(`{"t":"positions","at":${at},"b":[`, 'latin1');
    let tail = more.length > 0 ? `],"more":[${more}]` : ']';
    tail += every === undefined ? '}' : `,"every":${every}}`;
    let length = head.length + tail.length + Math.max(0, blocks.length - 1);
    for (const block of blocks) length += block.length;
    const frame = Buffer.allocUnsafe(length);
    frame.set(head, 0);
    let offset = head.length;
    for (let i = 0; i < blocks.length; i++) {
      if (i > 0) frame[offset++] = comma;
      frame.set(blocks[i]!, offset);
      offset += blocks[i]!.length;
    }
    frame.write(tail, offset, 'latin1');
    return frame;
  },
};

// {t: 'positions', at: <float64>, b: <array16 of blocks>} with the two variable parts patched in.
const packedHead = Buffer.from('83a174a9706f736974696f6e73a26174cb0000000000000000a162dc0000', 'hex');
const packedAt = packedHead.length - 13;
const MAP_OF_3 = 0x83;
const packedMore = pack('more');
const packedEvery = pack('every');

export const msgpackCodec: Codec = {
  subprotocol: SUBPROTOCOLS.msgpack,
  binary: true,
  packed: false,
  // pack() hands out a slice of a shared buffer: valid as long as nobody writes to it, which msgpackr does not.
  encode: pack,
  decode: (frame) => (arePackedPings(frame) ? unpackPings(frame) : unpack(frame)),
  positionsFrame(at, blocks, more = [], every) {
    const tail: Uint8Array[] = [];
    if (more.length > 0) tail.push(packedMore, pack(more));
    if (every !== undefined) tail.push(packedEvery, pack(every));
    let length = packedHead.length;
    for (const part of tail) length += part.length;
    for (const block of blocks) length += block.length;
    const frame = Buffer.allocUnsafe(length);
    frame.set(packedHead, 0);
    frame.writeDoubleBE(at, packedAt);
    frame.writeUInt16BE(blocks.length, packedHead.length - 2);
    let offset = packedHead.length;
    for (const block of blocks) {
      frame.set(block, offset);
      offset += block.length;
    }
    frame[0] = MAP_OF_3 + tail.length / 2;
    for (const part of tail) {
      frame.set(part, offset);
      offset += part.length;
    }
    return frame;
  },
};

/** The same with packed positions. Frames that are told against those before come from packed-frames.ts. */
export const packedCodec: Codec = { ...msgpackCodec, packed: true };

/** By sub-protocol. */
export const codecs: readonly Codec[] = [jsonCodec, msgpackCodec];
