/** The bare server that sends one frame a tick: what riders say is as at the other one, frames are records. */
import { RECORD_SEQ_BYTES, TICK_HEADER_BYTES } from '../../servers/tick-frame.ts';
import type { Crowd, Dialect } from '../dialect.ts';
import { rawDialect } from './raw.ts';

/** @param recordBytes of one position; below RECORD_SEQ_BYTES nobody can be told apart in it */
export function tickDialect(crowd: Crowd, recordBytes: number): Dialect {
  return {
    ...rawDialect(crowd),
    count: (buffer, from) => buffer.readUInt32LE(from),
    see(buffer, from, _, eye) {
      if (recordBytes < RECORD_SEQ_BYTES) return;
      for (let left = buffer.readUInt32LE(from), at = from + TICK_HEADER_BYTES; left > 0; left--) {
        eye.saw(buffer.readUInt16LE(at), buffer.readUInt16LE(at + 2));
        at += recordBytes;
      }
    },
    event: () => 0,
  };
}
