/** The bare servers of ours: the path says which topic, and what a rider sends is what watchers get. */
import type { Crowd, Dialect } from '../dialect.ts';
import { frameOf, TEXT } from '../frames.ts';

/** Numbers begin here, so that each has as many digits as any other and stands at the same place. */
const FIRST = 1_000_000;
const DIGITS = 7;
const SEQ = '"seq":';
const ID = '{"id":"r';
const EVENT = '{"event":';

export function rawDialect(crowd: Crowd): Dialect {
  const topic = (order: number) => (crowd.channel === 'zone' ? 'z' : `o${order}`);
  return {
    watcher: (index) => ({ path: `/sub/${topic(Math.floor(index / crowd.perOrder))}`, first: [] }),
    rider: (index) => ({ path: `/pub/${topic(index)}`, first: [] }),
    ping: (rider, seq, { lat, lng, heading, speed }, at) =>
      frameOf(
        `${ID}${FIRST + rider}",${SEQ}${FIRST + seq},"lat":${lat.toFixed(6)},"lng":${lng.toFixed(6)},` +
          `"heading":${heading},"speed":${speed.toFixed(1)},"accuracy":5,"at":${at}}`,
        TEXT,
      ),
    count: (buffer, from) => (isEvent(buffer, from) ? 0 : 1),
    see(buffer, from, _, eye) {
      if (isEvent(buffer, from)) return;
      const id = from + ID.length;
      eye.saw(digits(buffer, id) - FIRST, digits(buffer, id + DIGITS + 2 + SEQ.length) - FIRST);
    },
    event: (buffer, from) => (isEvent(buffer, from) ? digits(buffer, from + EVENT.length) - FIRST : 0),
  };
}

/** `{"event"` and `{"id"` differ in the third byte. */
function isEvent(buffer: Buffer, from: number): boolean {
  return buffer[from + 2] === 0x65;
}

function digits(buffer: Buffer, from: number): number {
  let value = 0;
  for (let i = 0; i < DIGITS; i++) value = value * 10 + buffer[from + i]! - 0x30;
  return value;
}
