/** Packed positions, read. PROTOCOL.md has the layout; src/protocol/packed.ts of the gateway writes it. */
import type { Block, GatewayMessage, PositionTuple } from './wire.ts';

const TIME_MS = 125;

/**
 * A position tuple, and after it what the rider's next one is told against: its time in units of TIME_MS, and the way
 * from the one before, north and east.
 */
type Row = (number | null)[];

/** Heading, speed, accuracy: place in the tuple, order of the code, unit, and what it is less than. */
const FIELDS = [
  [7, 1, 2, 360],
  [8, 3, 1, 1e12],
  [9, 1, 1, 1e12],
] as const;

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
  /** Of the last frame with positions: its time in ms, and its last channel. */
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
    let time = at / TIME_MS;
    const all: Row[] = [];

    const row = (from: Row, what: number, key?: number): void => {
      const r = [...from];
      if (key) r[1] = number(24);
      const pings = what & 1 ? number(key ? 8 : 1) : 1;
      r[2]! += pings;
      r[6] = what & 4 ? number(0) : 0;
      time += signed(timeK);
      r[11] = time;
      r[5] = Math.max(0, at - time * TIME_MS);
      const wayK = (3 * (32 - Math.clz32(Math.abs(r[12]!) | Math.abs(r[13]!)))) >> 2;
      for (const i of [0, 1]) {
        const way = r[12 + i]! - (r[12 + i]! >> 3) + signed(wayK);
        r[12 + i] = way;
        r[3 + i]! += what & 2 ? way * Math.min(8, pings) + signed(key ?? wayK + 2) : way;
      }
      for (const [i, order, unit, most] of FIELDS)
        r[i] = (what & 8 ? bit() : r[i] !== null) ? (r[i]! + signed(order) * unit + most) % most : null;
      if (what & 8) r[10] = number(2);
      all.push(r);
    };

    let ref = 0;
    for (let n = keys; n--; ref++) {
      ref += signed(2);
      channel.delete(ref);
      row([ref, 0, 0, 0, 0, 0, 0, null, null, null, 0, 0, 0, 0], 15, 22);
    }
    const known = [...channel.values()].sort((a, b) => a[11]! - b[11]! || a[0]! - b[0]!);
    for (let i = 0, n = changes; n--; i++) {
      i += number(k);
      if (!known[i]) throw new RangeError('a frame does not fit');
      row(known[i]!, usual ? 0 : number(0));
    }
    for (const r of all) channel.set(r[0]!, r);
    return all as PositionTuple[];
  };

  const packed = (data: Uint8Array): GatewayMessage => {
    const one = data[0]! < 128;
    bytes = data;
    read = one ? 1 : 8;
    at += number(6) * TIME_MS;
    const b: Block[] = [];
    for (let n = one ? 0 : number(0); n-- >= 0; ) {
      if (!one) c += signed(0);
      const length = one ? Infinity : number(7);
      read = (read + 7) & ~7;
      const end = read + length * 8;
      const channel = channels.get(c);
      if (channel) b.push([c, 0, rows(channel)]);
      read = end;
    }
    return { t: 'positions', at, b };
  };

  /** Brings what is kept in line with a block in MessagePack, and unpacks it. */
  const block = (of: Block): void => {
    c = of[0];
    if (of[1]) channels.set(c, new Map());
    const channel = channels.get(c) ?? new Map<number, Row>();
    for (const [ref] of of[4] ?? []) channel.delete(ref);
    bytes = of[2] as unknown as Uint8Array;
    read = 0;
    if (bytes.buffer) of[2] = rows(channel);
  };

  const forget = (w: number): void => {
    const channel = watches.get(w);
    watches.delete(w);
    if (![...watches.values()].includes(channel!)) channels.delete(channel!);
  };

  return {
    forget,
    understand(data) {
      if (data[0]! < 128 || data[0] === 193) return packed(data);
      const m = decode(data) as GatewayMessage;
      if (m.t === 'welcome') {
        watches = new Map();
        channels = new Map();
      } else if (m.t === 'closed') forget(m.w);
      else if (m.t === 'watching') {
        watches.set(m.w, m.c);
        m.at = at = rounded(m.at);
        block(m.block);
      } else if (m.t === 'positions') {
        m.at = at = rounded(m.at);
        m.b.forEach(block);
      }
      return m;
    },
  };
}

const rounded = (ms: number) => Math.round(ms / TIME_MS) * TIME_MS;
