/** Pings in words of 32 bits instead of a `ping` message: a third of its bytes. PROTOCOL.md has the layout. */
import type { Ping } from './messages.ts';

const WORD = 4;
const PING_BYTES = 9 * WORD;
/** Added to the ms of a ping whose place an app made up. */
const MOCKED = 1024;

/** Whether a binary frame is such: no message in MessagePack begins with that byte. */
export function arePackedPings(frame: Uint8Array): boolean {
  return frame[0] === 0 && frame.length > WORD;
}

/** The message it stands for, its fields not yet checked. @throws RangeError when the last ping is not whole */
export function unpackPings(frame: Uint8Array): { t: 'ping'; pings: Ping[] } {
  if (frame.length % PING_BYTES !== WORD) throw new RangeError('a ping is cut off');
  const words = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const pings: Ping[] = [];
  for (let at = WORD; at < frame.length; at += PING_BYTES) {
    const unsigned = (i: number) => words.getUint32(at + i * WORD, true);
    const degrees = (i: number) => words.getInt32(at + i * WORD, true) / 1e6;
    const known = (i: number) => (unsigned(i) === 0 ? undefined : (unsigned(i) - 1) / 100);
    const ms = unsigned(2);
    pings.push({
      seq: unsigned(0),
      at: unsigned(1) * 1000 + (ms % MOCKED),
      mocked: ms >= MOCKED || undefined,
      lat: degrees(3),
      lng: degrees(4),
      heading: known(5),
      speed: known(6),
      accuracy: known(7),
      battery: known(8),
    });
  }
  return { t: 'ping', pings };
}
