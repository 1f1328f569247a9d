/** NATS: its text protocol in frames, of which each holds one message or many. */
import type { Crowd, Dialect, Opening } from '../dialect.ts';
import { BINARY, frameOf } from '../frames.ts';
import { positionText, readTexts, topicOf } from './raw.ts';

const CONNECT = 'CONNECT {"verbose":false,"pedantic":false,"echo":false}\r\n';
const LF = 0x0a;
const SPACE = 0x20;

export function natsDialect(crowd: Crowd): Dialect {
  const texts = readTexts(0, 0);
  const opening = (more: string): Opening => ({
    path: '/',
    first: [frameOf(`${CONNECT}${more}PING\r\n`, BINARY)],
    ready: (buffer, from, to) => buffer.toString('latin1', from, to).includes('PONG'),
  });
  return {
    watcher: (index) => opening(`SUB ${topicOf(crowd, Math.floor(index / crowd.perOrder))} 1\r\n`),
    rider: () => opening(''),
    ping(rider, seq, place, at) {
      const text = positionText(rider, seq, place, at);
      return frameOf(`PUB ${topicOf(crowd, rider)} ${text.length}\r\n${text}\r\n`, BINARY);
    },
    count(buffer, from, to) {
      let count = 0;
      eachPayload(buffer, from, to, (at, end) => {
        count += texts.count(buffer, at, end);
      });
      return count;
    },
    see(buffer, from, to, eye) {
      eachPayload(buffer, from, to, (at, end) => texts.see(buffer, at, end, eye));
    },
    event: () => 0,
  };
}

/** Walks `MSG subject sid size\r\npayload\r\n`, again and again. */
function eachPayload(
  buffer: Buffer,
  from: number,
  to: number,
  visit: (from: number, to: number) => void,
): void {
  for (let at = from; at < to && buffer[at] === 0x4d; ) {
    const line = buffer.indexOf(LF, at);
    const size = Number(buffer.toString('latin1', buffer.lastIndexOf(SPACE, line) + 1, line - 1));
    visit(line + 1, line + 1 + size);
    at = line + 1 + size + 2;
  }
}
