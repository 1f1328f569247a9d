/** Ridecast with packed positions (PROTOCOL.md, section 10), as the SDK's binary entry asks for them. */
import { msgpack } from '../../../client-sdk/src/msgpack.ts';
import type { GatewayMessages } from '../../../src/protocol/messages.ts';
import { Bits } from '../bits.ts';
import type { Crowd, Dialect, Eye } from '../dialect.ts';
import { numberIn } from '../dialect.ts';
import { Walk } from '../walk.ts';
import { BLOCKS_AT, isPositions, type RidecastOptions, ridecastDialect } from './ridecast.ts';

/** The first byte of a frame of several channels. */
const MANY = 193;
const TWO = 'nobody watches two channels here';

const bits = new Bits();
const walk = new Walk();

export function packedDialect(options: RidecastOptions, crowd: Crowd): Dialect {
  return { ...ridecastDialect(options, crowd, { packed: true }), count, see, introduce };
}

function count(buffer: Buffer, from: number, to: number): number {
  const first = buffer[from]!;
  if (first === MANY) throw new Error(TWO);
  if (first > 127) return countWhole(buffer, from, to);
  bits.start(buffer, from).bit();
  bits.number(6);
  return rowsAt(buffer, bits.byte());
}

/** A frame in MessagePack, whose block has packed rows in it. */
function countWhole(buffer: Buffer, from: number, to: number): number {
  if (!isPositions(buffer, from, to)) return 0;
  walk.start(buffer, from + BLOCKS_AT);
  if (walk.enter() !== 1) throw new Error(TWO);
  walk.enter();
  walk.number();
  walk.number();
  if (!walk.isBinary) return 0;
  walk.bytes();
  return rowsAt(buffer, walk.at);
}

/** Keys and changes. */
function rowsAt(buffer: Buffer, at: number): number {
  return bits.start(buffer, at).number(0) + bits.number(1);
}

function see(buffer: Buffer, from: number, to: number, eye: Eye): void {
  const message = read(buffer, from, to, eye);
  for (const [, , positions] of message.b ?? [])
    for (const [ref, , seq] of positions) eye.saw(eye.rider ?? eye.refs.get(ref)!, seq);
}

function introduce(buffer: Buffer, from: number, to: number, eye: Eye): void {
  read(buffer, from, to, eye);
}

/** Every message of the socket that has positions passes here: each is told against those before it. */
function read(buffer: Buffer, from: number, to: number, eye: Eye): Read {
  eye.decode ??= decoder();
  const message = eye.decode(buffer.subarray(from, to)) as Read;
  const blocks = message.b ?? (message.block === undefined ? [] : [message.block]);
  for (const block of blocks) for (const [ref, rider] of block[3] ?? []) eye.refs.set(ref, numberIn(rider));
  return message;
}

function decoder(): (bytes: Uint8Array) => unknown {
  const { decode } = msgpack();
  return (bytes) => decode(new Uint8Array(bytes).buffer);
}

type Read = Partial<Pick<GatewayMessages['positions'], 'b'> & Pick<GatewayMessages['watching'], 'block'>>;
