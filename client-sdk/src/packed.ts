/** Packed positions, read. PROTOCOL.md has the layout; src/protocol/packed.ts of the gateway writes it. */
import type { Block, GatewayMessage, PositionTuple } from './wire.ts';

const TIME_MS = 125;

/**
 * A position tuple, and after it what the rider's next one is told against: its time in units of TIME_MS, and the way
 * from the one before, north and east.
 */
type Row = (number | null)[];

/**
 * Reads the messages of one socket after the other, the packed ones and, with `decode`, those in MessagePack. What was last
 * told of every rider is kept, so every message has to pass through it, in order; a `welcome` begins anew. It throws on what
 * is cut off or does not fit: what follows on that socket cannot be read then.
 */
export function unpacker(decode: (bytes: Uint8Array) => unknown): {
  understand(data: Uint8Array): GatewayMessage;
  /** The client left that watch. */
  forget(w: number): void;
} {
  /** By the client's number of a watch, the channel's; by the channel's, its riders. */
  let watches = new Map<number, number>();
  let channels = new Map<number, Map<number, Row>>();
  let bytes: Uint8Array;
  /** Bits read of `bytes`. */
  let read: number;
  /** Of the last frame with positions: its time in units of TIME_MS, and its last channel. */
  let at = 0;
  let c = 0;

  const bit = (): number => {
    if (read >= bytes.length * 8) throw new RangeError('a frame is cut off');
    return (bytes[read >> 3]! >> (~read++ & 7)) & 1;
  };

  const number = (k: number): number => {
    let size = k;
    while (!bit()) size++;
    let v = 1;
    while (size--) v = v * 2 + bit();
    return v - 2 ** k;
  };

  const signed = (k: number): number => {
    const n = number(k);
    return n % 2 ? (n + 1) / -2 : n / 2;
  };

  /** The rows of a block. */
  const rows = (channel: Map<number, Row>): PositionTuple[] => {
    const keys = number(0);
    const changes = number(1);
    const usual = bit();
    const k = number(0);
    const timeK = number(0);
    let time = at;
    const all: Row[] = [];

    const row = (from: Row, what: number, key?: number): void => {
      const r = [...from];
      if (key) r[1] = number(24);
      const pings = what & 1 ? number(key ? 8 : 1) : 1;
      r[2]! += pings;
      r[6] = what & 4 ? number(0) : 0;
      time += signed(timeK);
      r[11] = time;
      r[5] = Math.max(0, at - time) * TIME_MS;
      const wayK = (3 * (32 - Math.clz32(Math.abs(r[12]!) | Math.abs(r[13]!)))) >> 2;
      for (const i of [3, 4]) {
        r[i + 9]! += signed(wayK) - (r[i + 9]! >> 3);
        const way = r[i + 9]!;
        r[i]! += what & 2 ? way * Math.min(8, pings) + signed(key ?? wayK + 2) : way;
      }
      // Heading in steps of 2 degrees, speed, accuracy.
      for (const i of [7, 8, 9]) {
        if (what & 8 ? !bit() : r[i] === null) r[i] = null;
        else if (i === 7) r[i] = (r[i]! + signed(1) * 2 + 360) % 360;
        else r[i]! += signed(i === 8 ? 3 : 1);
      }
      if (what & 8) r[10] = number(2);
      all.push(r);
    };

    let ref = 0;
    for (let n = keys; n--; ref++) {
      ref += signed(2);
      channel.delete(ref);
      row([ref, ...Array(13).fill(0)], 15, 22);
    }
    const known = [...channel.values()].sort((a, b) => a[11]! - b[11]! || a[0]! - b[0]!);
    let i = 0;
    for (let n = changes; n--; i++) {
      i += number(k);
      // Without it what came does not fit, and this throws.
      row(known[i]!, usual ? 0 : number(0));
    }
    for (const r of all) channel.set(r[0]!, r);
    return all as PositionTuple[];
  };

  /** What a packed frame says: such blocks as a message in MessagePack has. */
  const packed = (data: Uint8Array): GatewayMessage => {
    bytes = data;
    read = 0;
    const many = bit();
    if (many) read = 8;
    const b: Block[] = [];
    const passed = number(6);
    for (let n = many ? number(0) : 0, of = c; n-- >= 0; ) {
      if (many) of += signed(0);
      const length = many ? number(7) : Infinity;
      const from = (read + 7) >> 3;
      read = 8 * (from + length);
      b.push([of, 0, data.subarray(from, from + length) as never]);
    }
    return { t: 'positions', at: (at + passed) * TIME_MS, b };
  };

  /** Brings what is kept in line with a block, and unpacks it. */
  const block = (of: Block): void => {
    c = of[0];
    if (of[1]) channels.set(c, new Map());
    const channel = channels.get(c);
    for (const [ref] of of[4] ?? []) channel?.delete(ref);
    bytes = of[2] as unknown as Uint8Array;
    read = 0;
    // Of a channel that the client left nothing is read.
    if (bytes.buffer) of[2] = channel ? rows(channel) : [];
  };

  const forget = (w: number): void => {
    const channel = watches.get(w);
    watches.delete(w);
    if (![...watches.values()].includes(channel!)) channels.delete(channel!);
  };

  return {
    forget,
    understand(data) {
      const m = data[0]! < 128 || data[0] === 193 ? packed(data) : (decode(data) as GatewayMessage);
      if (m.t === 'welcome') {
        watches = new Map();
        channels = new Map();
      } else if (m.t === 'closed') forget(m.w);
      else if (m.t === 'watching' || m.t === 'positions') {
        at = Math.round(m.at / TIME_MS);
        m.at = at * TIME_MS;
        if (m.t === 'positions') m.b.forEach(block);
        else {
          watches.set(m.w, m.c);
          block(m.block);
        }
      }
      return m;
    },
  };
}
