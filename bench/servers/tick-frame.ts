/**
 * The frame of the bare tick server: how many records, then each record cut or padded to so many bytes.
 * Little endian: u16 rider, u16 seq, then latitude, longitude, heading, speed.
 */
export const TICK_HEADER_BYTES = 4;
/** A record tells who and which ping with so many bytes. Where there are fewer each, the first of a frame have them. */
export const RECORD_SEQ_BYTES = 4;
/** All that a position has to say. */
const FULL_BYTES = 16;

export interface Spot {
  readonly rider: number;
  readonly seq: number;
  readonly lat: number;
  readonly lng: number;
  readonly heading: number;
  readonly speed: number;
}

/** Bytes from one record to the next. */
export const recordStep = (recordBytes: number): number =>
  Math.max(RECORD_SEQ_BYTES, Math.floor(recordBytes));

/** @param recordBytes of one position; need not be whole */
export function tickFrame(spots: Iterable<Spot>, count: number, recordBytes: number): Buffer {
  const whole = recordStep(recordBytes);
  const frame = Buffer.alloc(
    TICK_HEADER_BYTES + Math.max(whole * count + FULL_BYTES, Math.round(recordBytes * count)),
  );
  frame.writeUInt32LE(count, 0);
  let at = TICK_HEADER_BYTES;
  for (const { rider, seq, lat, lng, heading, speed } of spots) {
    frame.writeUInt16LE(rider & 0xffff, at);
    frame.writeUInt16LE(seq & 0xffff, at + 2);
    frame.writeInt32LE(Math.round(lat * 1e5), at + 4);
    frame.writeInt32LE(Math.round(lng * 1e5), at + 8);
    frame.writeUInt16LE(heading, at + 12);
    frame.writeUInt16LE(Math.round(speed * 10), at + 14);
    at += whole;
  }
  return frame.subarray(0, TICK_HEADER_BYTES + Math.round(recordBytes * count));
}
