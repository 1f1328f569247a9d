import { type Logger, pino } from 'pino';

export type Log = Logger;

/** A logger. Never give it a token, a coordinate or a frame: those do not belong in logs. */
export function makeLog(level: string, node: string): Log {
  return pino({ level, base: { node }, timestamp: pino.stdTimeFunctions.isoTime });
}
