/** The bare servers of ours: the path says which topic, and what a rider sends is what watchers get. */
import type { Crowd, Dialect } from '../dialect.ts';
import { frameOf, TEXT } from '../frames.ts';
import type { Place } from '../motion.ts';

/** Numbers begin here, so that each has as many digits as any other and stands at the same place. */
const FIRST = 1_000_000;
const DIGITS = 7;
const SEQ = '"seq":';
const ID = '{"id":"r';
const EVENT = '{"event":';
/** An event is padded to about as many bytes as one of Ridecast. */
const PADDING = 'x'.repeat(250);

/** The topic of an order, or the zone's for all. */
export function topicOf({ channel }: Crowd, order: number): string {
  return channel === 'zone' ? 'z' : `o${order}`;
}

/** What a rider says of itself. @param at ms since epoch */
export function positionText(
  rider: number,
  seq: number,
  { lat, lng, heading, speed }: Place,
  at: number,
): string {
  return (
    `${ID}${FIRST + rider}",${SEQ}${FIRST + seq},"lat":${lat.toFixed(6)},"lng":${lng.toFixed(6)},` +
    `"heading":${heading},"speed":${speed.toFixed(1)},"accuracy":5,"at":${at}}`
  );
}

export function eventText(n: number): string {
  return `${EVENT}${FIRST + n},"data":"${PADDING}"}`;
}

/** Reads such texts where they begin so many bytes into a message. */
export function readTexts(positionAt: number, eventAt: number): Pick<Dialect, 'count' | 'see' | 'event'> {
  /** `{"event"` and `{"id"` differ in the third byte. */
  const is = (buffer: Buffer, at: number, letter: number) => buffer[at + 2] === letter;
  const isPosition = (buffer: Buffer, from: number) => is(buffer, from + positionAt, 0x69);
  return {
    count: (buffer, from) => (isPosition(buffer, from) ? 1 : 0),
    see(buffer, from, _, eye) {
      const id = from + positionAt + ID.length;
      eye.saw(digits(buffer, id) - FIRST, digits(buffer, id + DIGITS + 2 + SEQ.length) - FIRST);
    },
    event: (buffer, from) =>
      is(buffer, from + eventAt, 0x65) ? digits(buffer, from + eventAt + EVENT.length) - FIRST : 0,
  };
}

export function rawDialect(crowd: Crowd): Dialect {
  return {
    watcher: (index) => ({ path: `/sub/${topicOf(crowd, Math.floor(index / crowd.perOrder))}`, first: [] }),
    rider: (index) => ({ path: `/pub/${topicOf(crowd, index)}`, first: [] }),
    ping: (rider, seq, place, at) => frameOf(positionText(rider, seq, place, at), TEXT),
    tell: (n) => frameOf(eventText(n), TEXT),
    ...readTexts(0, 0),
  };
}

function digits(buffer: Buffer, from: number): number {
  let value = 0;
  for (let i = 0; i < DIGITS; i++) value = value * 10 + buffer[from + i]! - 0x30;
  return value;
}
