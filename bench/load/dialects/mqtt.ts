/** MQTT 3.1.1, QoS 0: packets in frames, of which each holds one or many. */
import type { Crowd, Dialect, Opening } from '../dialect.ts';
import { BINARY, frameOf } from '../frames.ts';
import { positionText, readTexts, topicOf } from './raw.ts';

const [CONNECT, CONNACK, PUBLISH, SUBSCRIBE, SUBACK] = [0x10, 0x20, 0x30, 0x82, 0x90];
const CLEAN_SESSION = 2;
const MORE = 0x80;

export function mqttDialect(crowd: Crowd): Dialect {
  const texts = readTexts(0, 0);
  const connect = (id: string) =>
    packet(CONNECT, Buffer.concat([text('MQTT'), Buffer.from([4, CLEAN_SESSION, 0, 0]), text(id)]));
  const opening = (id: string, then: Buffer[], last: number): Opening => ({
    path: '/mqtt',
    subprotocol: 'mqtt',
    first: [frameOf(Buffer.concat([connect(id), ...then]), BINARY)],
    ready(buffer, from, to) {
      let came = false;
      eachPacket(buffer, from, to, (type) => {
        came ||= type === last;
      });
      return came;
    },
  });
  return {
    watcher(index) {
      const topic = topicOf(crowd, Math.floor(index / crowd.perOrder));
      const subscribe = packet(
        SUBSCRIBE,
        Buffer.concat([Buffer.from([0, 1]), text(topic), Buffer.from([0])]),
      );
      return opening(`w${index}`, [subscribe], SUBACK);
    },
    rider: (index) => opening(`r${index}`, [], CONNACK),
    ping(rider, seq, place, at) {
      const said = Buffer.from(positionText(rider, seq, place, at));
      return frameOf(packet(PUBLISH, Buffer.concat([text(topicOf(crowd, rider)), said])), BINARY);
    },
    count(buffer, from, to) {
      let count = 0;
      eachPublished(buffer, from, to, (at, end) => {
        count += texts.count(buffer, at, end);
      });
      return count;
    },
    see(buffer, from, to, eye) {
      eachPublished(buffer, from, to, (at, end) => texts.see(buffer, at, end, eye));
    },
    event: () => 0,
  };
}

/** A string with its length before it. */
function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
}

function packet(type: number, body: Buffer): Buffer {
  const size: number[] = [];
  for (let left = body.length; ; ) {
    const digit = left % MORE;
    left = Math.floor(left / MORE);
    size.push(left > 0 ? digit | MORE : digit);
    if (left === 0) return Buffer.concat([Buffer.from([type, ...size]), body]);
  }
}

function eachPacket(
  buffer: Buffer,
  from: number,
  to: number,
  visit: (type: number, from: number, to: number) => void,
): void {
  for (let at = from; at < to; ) {
    const type = buffer[at++]!;
    let size = 0;
    for (let unit = 1; ; unit *= MORE) {
      const digit = buffer[at++]!;
      size += (digit & ~MORE) * unit;
      if (digit < MORE) break;
    }
    visit(type, at, at + size);
    at += size;
  }
}

function eachPublished(
  buffer: Buffer,
  from: number,
  to: number,
  visit: (from: number, to: number) => void,
): void {
  eachPacket(buffer, from, to, (type, body, end) => {
    if (type === PUBLISH) visit(body + 2 + buffer.readUInt16BE(body), end);
  });
}
