/** Ridecast, as PROTOCOL.md has it: riders speak JSON, watchers MessagePack (or JSON). */
import { jsonCodec, msgpackCodec } from '../../../src/protocol/codec.ts';
import { type GatewayMessages, SUBPROTOCOLS } from '../../../src/protocol/messages.ts';
import type { Crowd, Dialect, Eye, Opening } from '../dialect.ts';
import { numberIn } from '../dialect.ts';
import { BINARY, frameOf, TEXT } from '../frames.ts';
import { mint } from '../token.ts';
import { Walk } from '../walk.ts';

export interface RidecastOptions {
  readonly secret: string;
  /** Watchers say how far they have read, as the SDK does. */
  readonly credit: boolean;
}

/** As the SDK does it: half of the frames the gateway lets be in flight, or a quarter of the bytes. */
const CREDIT_FRAMES = 4;
const CREDIT_BYTES = 16_384;

const EMPTY = Buffer.from(msgpackCodec.positionsFrame(0, []));
/** `t: 'positions'`, which comes after the size of the map, and where the array of blocks begins. */
const POSITIONS = EMPTY.subarray(1, EMPTY.indexOf('positions') + 'positions'.length);
export const BLOCKS_AT = EMPTY.length - 3;
const EVENT = Buffer.from(msgpackCodec.encode({ t: 'event' })).subarray(1);

const walk = new Walk();

/** @param more for the watchers' hello */
export function ridecastDialect(
  { secret, credit }: RidecastOptions,
  crowd: Crowd,
  more: object = {},
): Dialect {
  const watcherToken =
    crowd.channel === 'zone' ? mint(secret, 'operator', 'operator') : mint(secret, 'customer', 'customer');
  return {
    watcher(index) {
      const channel = crowd.channel === 'zone' ? 'zone:z' : `order:o${Math.floor(index / crowd.perOrder)}`;
      const hello = { t: 'hello', token: watcherToken, credit, ...more, watch: [{ w: 1, channel }] };
      return opening(SUBPROTOCOLS.msgpack, frameOf(msgpackCodec.encode(hello), BINARY), 'watching');
    },
    rider(index) {
      const hello = { t: 'hello', token: mint(secret, 'rider', `r${index}`), rider: {} };
      return opening(SUBPROTOCOLS.json, frameOf(jsonCodec.encode(hello), TEXT), 'welcome');
    },
    ping(_, seq, { lat, lng, heading, speed }, at) {
      return frameOf(
        `{"t":"ping","pings":[{"seq":${seq},"lat":${lat.toFixed(6)},"lng":${lng.toFixed(6)},` +
          `"heading":${heading},"speed":${speed.toFixed(1)},"accuracy":5,"at":${at}}]}`,
        TEXT,
      );
    },
    count: countPositions,
    see,
    introduce,
    event(buffer, from, to) {
      if (buffer.compare(EVENT, 0, EVENT.length, from + 1, Math.min(to, from + 1 + EVENT.length)) !== 0)
        return 0;
      walk.start(buffer, from + 1 + EVENT.length);
      for (const _ of ['c', 'its value', 'offset']) walk.skip();
      return walk.number();
    },
    ...(credit ? { credit: { frames: CREDIT_FRAMES, bytes: CREDIT_BYTES, frame: creditFrame } } : {}),
  };
}

function creditFrame(n: number): Buffer {
  return frameOf(msgpackCodec.encode({ t: 'credit', n }), BINARY);
}

function opening(subprotocol: string, hello: Buffer, word: string): Opening {
  return {
    path: '/v1/ws',
    subprotocol,
    first: [hello],
    ready(buffer, from, to) {
      const text = buffer.toString('latin1', from, Math.min(to, from + 200));
      if (text.includes('error')) throw new Error(`the gateway says ${text}`);
      return text.includes(word);
    },
  };
}

export function isPositions(buffer: Buffer, from: number, to: number): boolean {
  if (to - from < POSITIONS.length) return false;
  for (let i = 0; i < POSITIONS.length; i++) if (buffer[from + 1 + i] !== POSITIONS[i]) return false;
  return true;
}

function countPositions(buffer: Buffer, from: number, to: number): number {
  if (!isPositions(buffer, from, to)) return 0;
  walk.start(buffer, from + BLOCKS_AT);
  let count = 0;
  for (let blocks = walk.enter(); blocks > 0; blocks--) {
    let rest = walk.enter() - 3;
    walk.number();
    walk.number();
    const tuples = walk.enter();
    count += tuples;
    if (blocks === 1) break; // what follows is not counted
    for (rest += tuples; rest > 0; rest--) walk.skip();
  }
  return count;
}

function see(buffer: Buffer, from: number, to: number, eye: Eye): void {
  if (eye.rider !== undefined) return seeOne(buffer, from, eye, eye.rider);
  const { b } = msgpackCodec.decode(buffer.subarray(from, to)) as GatewayMessages['positions'];
  for (const [, , positions, introduced] of b) {
    for (const [ref, rider] of introduced ?? []) eye.refs.set(ref, numberIn(rider));
    for (const [ref, , seq] of positions) eye.saw(eye.refs.get(ref)!, seq);
  }
}

function introduce(buffer: Buffer, from: number, to: number, eye: Eye): void {
  const message = msgpackCodec.decode(buffer.subarray(from, to)) as GatewayMessages['watching'];
  for (const [ref, rider] of message.block?.[3] ?? []) eye.refs.set(ref, numberIn(rider));
}

/** An order has one rider: its position is the first of the first block. */
function seeOne(buffer: Buffer, from: number, eye: Eye, rider: number): void {
  walk.start(buffer, from + BLOCKS_AT);
  walk.enter();
  walk.enter();
  walk.number();
  walk.number();
  if (walk.enter() === 0) return;
  walk.enter();
  walk.number();
  walk.number();
  eye.saw(rider, walk.number());
}
