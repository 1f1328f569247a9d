/** What nodes say to each other on the bus, and its bytes. */
import { pack, unpack } from './codec.ts';
import type { PositionRecord } from './positions.ts';

/** On zone and partner channels: [position, ids of the orders that channel may know of]. */
export type FleetEntry = [PositionRecord, string[]];

/** A rider left a zone: [rider, session, seq] of the ping that showed it. */
export type Departure = [rider: string, session: number, seq: number];

/** One entry of an order's log, as it crosses the bus and stands in the stream. */
export interface LogEntry {
  readonly epoch: string;
  readonly offset: number;
  readonly id: string;
  /** The id of the entry before, '' for the first. */
  readonly prev: string;
  /** Server time, ms since epoch. */
  readonly at: number;
  /** The JSON of an `orders/` event; opaque to the backbone. */
  readonly data: string;
}

export type BusMessage =
  | { kind: 'position'; position: PositionRecord } // order channels
  | { kind: 'event'; entry: LogEntry } // order channels
  | { kind: 'fleet'; entries: FleetEntry[]; left: Departure[] } // zone and partner channels
  | { kind: 'order'; data: string } // partner channels: the JSON of an order record that changed
  | { kind: 'assignments' } // rider channels: read the rider's orders again
  | { kind: 'session'; session: number } // rider channels: this rider session began; older ones are over
  | { kind: 'revoked'; subject: string; before: number }; // the control channel: tokens issued before are void

// A first element that no other version uses. The event form is written by the publish script, hence text.
const KINDS = { position: 1, fleet: 2, order: 3, assignments: 4, session: 5, revoked: 6 } as const;
const EVENT = 0x45; // 'E'

export function encodeBus(message: Exclude<BusMessage, { kind: 'event' }>): Uint8Array {
  switch (message.kind) {
    case 'position':
      return pack([KINDS.position, message.position]);
    case 'fleet':
      return pack([KINDS.fleet, message.entries, message.left]);
    case 'order':
      return pack([KINDS.order, message.data]);
    case 'assignments':
      return pack([KINDS.assignments]);
    case 'session':
      return pack([KINDS.session, message.session]);
    case 'revoked':
      return pack([KINDS.revoked, message.subject, message.before]);
  }
}

/** The text the publish script sends: `E|epoch|offset|id|prev|at|data`. */
export function encodeEvent(entry: LogEntry): Uint8Array {
  const { epoch, offset, id, prev, at, data } = entry;
  return Buffer.from(`E|${epoch}|${offset}|${id}|${prev}|${at}|${data}`);
}

/** Throws on bytes that no node of this version wrote. */
export function decodeBus(bytes: Uint8Array): BusMessage {
  if (bytes[0] === EVENT) return decodeEvent(Buffer.from(bytes).toString('utf8'));
  const parts = unpack(bytes);
  if (!Array.isArray(parts)) throw new Error('not a bus message');
  switch (parts[0]) {
    case KINDS.position:
      return { kind: 'position', position: record(parts[1]) };
    case KINDS.fleet:
      return { kind: 'fleet', entries: list(parts[1]).map(fleetEntry), left: list(parts[2]).map(departure) };
    case KINDS.order:
      return { kind: 'order', data: String(parts[1]) };
    case KINDS.assignments:
      return { kind: 'assignments' };
    case KINDS.session:
      return { kind: 'session', session: Number(parts[1]) };
    case KINDS.revoked:
      return { kind: 'revoked', subject: String(parts[1]), before: Number(parts[2]) };
    default:
      throw new Error('unknown bus message');
  }
}

function decodeEvent(text: string): BusMessage {
  const parts = text.split('|', 6);
  const [, epoch, offset, id, prev, at] = parts;
  if (at === undefined) throw new Error('cut bus event');
  const data = text.slice(parts.join('|').length + 1);
  return {
    kind: 'event',
    entry: { epoch: epoch!, offset: Number(offset), id: id!, prev: prev!, at: Number(at), data },
  };
}

function record(value: unknown): PositionRecord {
  if (!Array.isArray(value) || typeof value[0] !== 'string') throw new Error('not a position record');
  // session, seq, lat, lng, fixAt, heardAt: without one of them a rider would freeze, or go back.
  for (let i = 1; i <= 6; i++) if (!Number.isFinite(value[i])) throw new Error('not a position record');
  return value as PositionRecord;
}

function fleetEntry(value: unknown): FleetEntry {
  const [position, orders] = list(value);
  return [record(position), list(orders).map(String)];
}

function departure(value: unknown): Departure {
  const [rider, session, seq] = list(value);
  if (typeof rider !== 'string' || !Number.isFinite(session) || !Number.isFinite(seq))
    throw new Error('not a departure');
  return [rider, session as number, seq as number];
}

function list(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new Error('not a list');
  return value;
}
