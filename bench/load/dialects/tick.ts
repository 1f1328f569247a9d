/** The bare server that sends one frame a tick: what riders say is as at the other one, frames are records. */
import { RECORD_SEQ_BYTES, recordStep, TICK_HEADER_BYTES } from '../../servers/tick-frame.ts';
import type { Crowd, Dialect } from '../dialect.ts';
import { rawDialect } from './raw.ts';

/** @param recordBytes of one position; where they are few, not all of a frame can be told apart */
export function tickDialect(crowd: Crowd, recordBytes: number): Dialect {
  const step = recordStep(recordBytes);
  return {
    ...rawDialect(crowd),
    count: (buffer, from) => buffer.readUInt32LE(from),
    see(buffer, from, to, eye) {
      let at = from + TICK_HEADER_BYTES;
      for (let left = buffer.readUInt32LE(from); left > 0 && at + RECORD_SEQ_BYTES <= to; left--) {
        eye.saw(buffer.readUInt16LE(at), buffer.readUInt16LE(at + 2));
        at += step;
      }
    },
    event: () => 0,
  };
}
