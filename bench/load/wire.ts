/** One socket of the load: a bare WebSocket client, as cheap as Node allows, so that it is not what is measured. */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { CLOSE, FrameCutter, frameOf, PING, PONG } from './frames.ts';

export interface WireParts {
  /** http://host:port */
  readonly url: string;
  readonly path: string;
  readonly subprotocol?: string | undefined;
  /** Upgraded: frames may be sent. */
  readonly opened: () => void;
  /** A message came, as bytes [from, to) of a buffer that is only valid during the call. */
  readonly received: (buffer: Buffer, from: number, to: number) => void;
  /** The socket ended, for a reason of somebody else's. */
  readonly lost: (why: string) => void;
}

/** All sockets are read into the same bytes: each read is dealt with before the next. */
const READ_BYTES = 262_144;
const shared = Buffer.allocUnsafe(READ_BYTES);

export class Wire {
  private readonly parts: WireParts;
  private readonly socket: Socket;
  private readonly frames: FrameCutter;
  /** The answer to the upgrade as far as it came; undefined once it is complete. */
  private answer: string | undefined = '';
  private ended = false;

  constructor(parts: WireParts) {
    this.parts = parts;
    this.frames = new FrameCutter((opcode, buffer, from, to) => this.frame(opcode, buffer, from, to));
    const { hostname, port } = new URL(parts.url);
    this.socket = connect({
      host: hostname,
      port: Number(port),
      noDelay: true,
      onread: { buffer: shared, callback: (bytes) => this.read(bytes) },
    });
    this.socket.on('connect', () => this.socket.write(this.upgrade(hostname, port)));
    this.socket.on('error', (error) => this.gone(error.message));
    this.socket.on('close', () => this.gone('closed without a word'));
  }

  /** Sends a whole frame (frames.ts makes them). */
  send(frame: Buffer): void {
    this.socket.write(frame);
  }

  /** Bytes that wait in this process. */
  get waiting(): number {
    return this.socket.writableLength;
  }

  /** The port at this end. */
  get port(): number | undefined {
    return this.socket.localPort;
  }

  /** Stops reading for good. */
  stall(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  end(): void {
    this.ended = true;
    this.socket.destroy();
  }

  private upgrade(host: string, port: string): string {
    const { path, subprotocol } = this.parts;
    const key = randomBytes(16).toString('base64');
    const named = subprotocol === undefined ? '' : `Sec-WebSocket-Protocol: ${subprotocol}\r\n`;
    return (
      `GET ${path} HTTP/1.1\r\nHost: ${host}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n${named}\r\n`
    );
  }

  private read(bytes: number): boolean {
    if (this.answer === undefined) this.frames.push(shared, 0, bytes);
    else this.readAnswer(bytes);
    return true;
  }

  private readAnswer(bytes: number): void {
    const before = this.answer!.length;
    this.answer += shared.toString('latin1', 0, bytes);
    const end = this.answer!.indexOf('\r\n\r\n');
    if (end < 0) return;
    const [first] = this.answer!.split('\r\n', 1);
    if (!first!.includes(' 101 ')) return this.gone(`the upgrade was answered ${first}`);
    this.answer = undefined;
    this.parts.opened();
    this.frames.push(shared, end + 4 - before, bytes);
  }

  private frame(opcode: number, buffer: Buffer, from: number, to: number): void {
    if (opcode === PING) this.send(frameOf(buffer.subarray(from, to), PONG));
    else if (opcode === CLOSE) this.gone(`closed with ${to - from < 2 ? 1005 : buffer.readUInt16BE(from)}`);
    else if (opcode !== PONG) this.parts.received(buffer, from, to);
  }

  private gone(why: string): void {
    if (this.ended) return;
    this.end();
    this.parts.lost(why);
  }
}
