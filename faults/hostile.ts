/** Frames that nobody in their right mind sends: bytes on a socket that was upgraded, unmasked rules of RFC 6455 included. */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { pack } from '../src/protocol/codec.ts';

export type Protocol = 'ridecast.v1.json' | 'ridecast.v1.msgpack';

/** What it is, over which protocol (null: before any), and the bytes after the upgrade. */
export interface Attack {
  readonly name: string;
  readonly protocol: Protocol | null;
  readonly bytes: Buffer;
}

const TEXT = 0x81;
const BINARY = 0x82;

/** A masked frame. @param first its first byte @param claimed the length it says it has */
function frame(first: number, payload: Buffer | string, claimed = payload.length): Buffer {
  const body = Buffer.from(payload);
  const head =
    claimed < 126 ? Buffer.from([first, 0x80 | claimed])
    : claimed < 65_536 ? Buffer.from([first, 0xfe, claimed >> 8, claimed & 255])
    : Buffer.concat([Buffer.from([first, 0xff, 0, 0]), lengthOf(claimed)]); // biome-ignore format: a table
  const mask = randomBytes(4);
  return Buffer.concat([head, mask, body.map((byte, i) => byte ^ mask[i % 4]!)]);
}

function lengthOf(n: number): Buffer {
  const bytes = Buffer.alloc(6);
  bytes.writeUIntBE(n, 0, 6);
  return bytes;
}

const json = (name: string, text: string): Attack => ({
  name,
  protocol: 'ridecast.v1.json',
  bytes: frame(TEXT, text),
});
const msgpack = (name: string, body: Uint8Array): Attack => ({
  name,
  protocol: 'ridecast.v1.msgpack',
  bytes: frame(BINARY, Buffer.from(body)),
});
const raw = (name: string, bytes: Buffer): Attack => ({ name, protocol: 'ridecast.v1.json', bytes });

const DEEP = 60_000;

export const ATTACKS: readonly Attack[] = [
  raw('unmasked', Buffer.from('8105', 'hex')),
  raw('reserved bits', frame(0xf1, 'x')),
  raw('unknown opcode', frame(0x83, 'x')),
  raw('continuation of nothing', frame(0x80, 'x')),
  raw('ping in pieces', frame(0x09, 'x')),
  raw('ping too long', frame(0x89, Buffer.alloc(200))),
  raw('close code 1', frame(0x88, Buffer.from([0, 1]))),
  raw('16 exabytes', Buffer.from('81ffffffffffffffffff00000000', 'hex')),
  raw('one byte too many', frame(TEXT, Buffer.alloc(65_537, 0x20))),
  raw('ends in the middle', frame(TEXT, 'x'.repeat(100), 60_000)),
  raw('a thousand pings', Buffer.concat(Array.from({ length: 1000 }, () => frame(0x89, '')))),
  raw('a thousand empty frames', Buffer.concat(Array.from({ length: 1000 }, () => frame(TEXT, '')))),
  raw('a thousand pieces', Buffer.concat(Array.from({ length: 1000 }, (_, i) => frame(i === 0 ? 1 : 0, '{')))),
  raw('invalid UTF-8', frame(TEXT, Buffer.from('ff'.repeat(500), 'hex'))),
  raw('binary on text', frame(BINARY, pack({ t: 'beat' }) as Buffer)),
  { name: 'noise before the upgrade', protocol: null, bytes: randomBytes(2000) },
  { name: 'endless header', protocol: null, bytes: Buffer.from(`GET / HTTP/1.1\r\nx: ${'a'.repeat(100_000)}`) },
  json('nothing', ''),
  json('a number', '7'),
  json('null', 'null'),
  json('arrays in arrays', `${'['.repeat(DEEP)}`),
  json('closed arrays in arrays', `${'['.repeat(DEEP / 2)}${']'.repeat(DEEP / 2)}`),
  json('objects in objects', `${'{"t":'.repeat(DEEP / 6)}`),
  json('hello with depth', `{"t":"hello","token":${'['.repeat(DEEP / 2)}${']'.repeat(DEEP / 2)}}`),
  json('ten thousand keys', `{"t":"hello",${Array.from({ length: 6000 }, (_, i) => `"k${i}":1`)}}`),
  json('ten thousand watches', `{"t":"hello","watch":[${Array.from({ length: 6000 }, () => '{"w":1}')}]}`),
  json('__proto__', '{"t":"hello","__proto__":{"token":"x"},"constructor":{"prototype":{"t":1}}}'),
  json('t is toString', '{"t":"toString"}'),
  json('huge numbers', `{"t":"hello","rider":{"session":1e999},"watch":[{"w":${'9'.repeat(400)}}]}`),
  json('half a surrogate', '{"t":"\\ud800"}'),
  json('long token', `{"t":"hello","token":"${'e'.repeat(60_000)}"}`),
  json('token of dots', `{"t":"hello","token":"${'.'.repeat(60_000)}"}`),
  json('token alg none', '{"t":"hello","token":"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIiwicm9sZSI6InNlcnZpY2UifQ."}'),
  msgpack('arrays in arrays', Buffer.alloc(DEEP, 0x91)),
  msgpack('maps in maps', Buffer.alloc(DEEP, 0x81)),
  msgpack('four billion elements', Buffer.from('ddffffffff', 'hex')),
  msgpack('four billion keys', Buffer.from('dfffffffff', 'hex')),
  msgpack('four billion bytes', Buffer.from('c6ffffffff', 'hex')),
  msgpack('string past the end', Buffer.from('dbffffffff61', 'hex')),
  msgpack('65,000 nulls', Buffer.concat([Buffer.from('dcfde8', 'hex'), Buffer.alloc(65_000, 0xc0)])),
  msgpack('record extension', Buffer.from('d4720091a174c0', 'hex')),
  msgpack('every extension', Buffer.concat(Array.from({ length: 256 }, (_, type) => Buffer.from([0xd4, type, 0])))),
  msgpack('structured clone', Buffer.from('d6690000000191d670000000 01'.replaceAll(' ', ''), 'hex')),
  msgpack('never used byte', Buffer.from('c1', 'hex')),
  msgpack('trailing bytes', Buffer.concat([pack({ t: 'beat' }), Buffer.from([0xc0])])),
  msgpack('a map that names itself', Buffer.from('81a95f5f70726f746f5f5f81a17401', 'hex')),
  msgpack('text for t', pack({ t: 'x'.repeat(60_000) })),
]; // biome-ignore format: a table

/** Random bytes in a frame that is whole: most likely not a value of any codec. */
export function randomAttack(random: () => number): Attack {
  const binary = random() < 0.5;
  const body = Buffer.from(Array.from({ length: 1 + random() * 300 }, () => random() * 256));
  return {
    name: 'random',
    protocol: binary ? 'ridecast.v1.msgpack' : 'ridecast.v1.json',
    bytes: frame(binary ? BINARY : TEXT, body),
  };
}

/** One more attack, of one that has been changed in some places. */
export function mutated({ name, protocol, bytes }: Attack, random: () => number): Attack {
  const other = Buffer.from(bytes);
  for (let i = 0; i < 3; i++) other[Math.floor(random() * other.length)] = random() * 256;
  return { name, protocol, bytes: other };
}

/** Upgrades, sends what there is, and looks. Resolves when the gateway closed it, or after so many ms. */
export function attack({ protocol, bytes }: Attack, port: number, ms: number): Promise<number | 'open'> {
  return new Promise((resolve) => {
    const socket: Socket = connect(port, '127.0.0.1');
    let seen = Buffer.alloc(0);
    const done = (outcome: number | 'open') => {
      clearTimeout(late);
      socket.destroy();
      resolve(outcome);
    };
    const late = setTimeout(done, ms, 'open');
    socket.on('error', () => {});
    socket.on('close', () => done(closeCode(seen)));
    if (protocol === null) return void socket.write(bytes);
    socket.write(
      `GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ${protocol}\r\n\r\n`,
    );
    socket.on('data', (chunk) => {
      const upgrading = !seen.includes('\r\n\r\n');
      seen = Buffer.concat([seen, chunk]);
      if (upgrading && seen.includes('\r\n\r\n')) socket.write(bytes);
    });
  });
}

/** The code of the close frame that came last; 1006: it just ended. */
function closeCode(bytes: Buffer): number {
  const at = bytes.lastIndexOf(0x88);
  return at >= 0 && at + 3 < bytes.length ? bytes.readUInt16BE(at + 2) : 1006;
}
