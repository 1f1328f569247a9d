/** Socket.IO over a WebSocket from the start: engine.io's 4 (message), then 2 (event) and a JSON array. */
import type { Crowd, Dialect, Opening } from '../dialect.ts';
import { frameOf, TEXT } from '../frames.ts';
import { eventText, positionText, readTexts, topicOf } from './raw.ts';

const POSITION = '42["position",';
const EVENT = '42["event",';

export function socketioDialect(crowd: Crowd): Dialect {
  const opening = (verb: string, order: number): Opening => ({
    path: '/socket.io/?EIO=4&transport=websocket',
    first: [frameOf(`40{"${verb}":"${topicOf(crowd, order)}"}`, TEXT)],
    ready: (buffer, from, to) => buffer.toString('latin1', from, to) === '42["ready"]',
  });
  return {
    watcher: (index) => opening('watch', Math.floor(index / crowd.perOrder)),
    rider: (index) => opening('ride', index),
    ping: (rider, seq, place, at) => frameOf(`${POSITION}${positionText(rider, seq, place, at)}]`, TEXT),
    tell: (n) => frameOf(`${EVENT}${eventText(n)}]`, TEXT),
    ...readTexts(POSITION.length, EVENT.length),
  };
}
