/** @ridecast/client/msgpack: the binary codec, with packed positions where the gateway grants them. */
import { unpacker } from './packed.ts';
import type { Codec } from './types.ts';
import type { ClientMessage, WirePing } from './wire.ts';

/**
 * MessagePack and packed positions: `connect(url, { token, codec: msgpack() })`. A tenth of the bytes, the same messages;
 * positions are up to 63 ms and 1 degree of heading off what JSON says. Pings are packed, too; what else a client says is rare,
 * and stays JSON. It keeps what it was told, so every client gets one of its own. `decode` throws on what is cut off or not of
 * the gateway.
 */
export function msgpack(): Codec {
  const { understand, forget } = unpacker(unpack);
  return {
    protocol: 'ridecast.v1.msgpack',
    encode(frame) {
      const m = frame as ClientMessage;
      if (m.t === 'unwatch') forget(m.w);
      if (m.t === 'ping') return new Uint8Array(new Int32Array([0, ...m.pings.flatMap(words)]).buffer);
      return JSON.stringify(m.t === 'hello' ? { ...m, packed: true } : m);
    },
    decode: (data) => understand(new Uint8Array(data as ArrayBuffer)),
  };
}

/** A ping in words of 32 bits, whose fractions are cut off: millionths, hundredths, and 0 (NaN) where nothing is known. */
const words = ({ seq, at, mocked, lat, lng, heading, speed, accuracy, battery }: WirePing) => [
  seq,
  at! / 1000,
  (at! % 1000) + (mocked ? 1024 : 0),
  Math.round(lat * 1e6),
  Math.round(lng * 1e6),
  ...[heading, speed, accuracy, battery].map((known) => known! * 100 + 1.5),
];

/**
 * Reads all that a gateway writes in MessagePack. That is without signed integers of 64 bits, floats of 32 and extensions: their
 * types come out as sizes that no frame has.
 */
function unpack(bytes: Uint8Array): unknown {
  let at = 0;

  const take = (size: number): Uint8Array => {
    at += size;
    if (size < 0 || at > bytes.length) throw new RangeError('a frame is cut off');
    return bytes.subarray(at - size, at);
  };

  const uint = (size: number) => take(size).reduce((n, byte) => n * 256 + byte, 0);
  const int = (size: number) => (uint(size) << (32 - 8 * size)) >> (32 - 8 * size);
  const float = (of: Uint8Array) => new Float64Array(of.slice().reverse().buffer)[0];
  const string = (n: number) => new TextDecoder().decode(take(n));

  const list = (n: number): unknown[] => {
    const all = [];
    while (n--) all.push(any());
    return all;
  };

  const map = (n: number): unknown => {
    const entries: unknown[][] = [];
    while (n--) entries.push([any(), any()]);
    return Object.fromEntries(entries);
  };

  const any = (): unknown => {
    const type = uint(1);
    if (type < 0x80) return type;
    if (type < 0x90) return map(type & 15);
    if (type < 0xa0) return list(type & 15);
    if (type < 0xc0) return string(type & 31);
    if (type > 0xdf) return type - 256;
    if (type < 0xc1) return null;
    if (type < 0xc4) return type > 0xc2;
    if (type < 0xc7) return take(uint(1 << (type - 0xc4)));
    if (type === 0xcb) return float(take(8));
    if (type < 0xd0) return uint(1 << (type - 0xcc));
    if (type < 0xd3) return int(1 << (type - 0xd0));
    if (type < 0xdc) return string(uint(1 << (type - 0xd9)));
    return (type < 0xde ? list : map)(uint(2 << (type & 1)));
  };

  return any();
}
