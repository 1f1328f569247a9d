/** A WebSocket over node:http, as much of it as the SDK uses: what Node 20 lacks, without a package. */
import { createHash, randomBytes } from 'node:crypto';
import { type ClientRequest, request } from 'node:http';
import { request as secureRequest } from 'node:https';
import type { Socket } from 'node:net';

const MAGIC = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const [CONTINUATION, TEXT, CLOSE, PING, PONG] = [0, 1, 8, 9, 10];
const ABNORMAL = 1006;

interface Frame {
  readonly fin: boolean;
  readonly opcode: number;
  readonly payload: Buffer;
  /** Where the next one begins. */
  readonly end: number;
}

export class NodeSocket {
  binaryType = 'arraybuffer';
  onopen: (() => void) | undefined;
  onmessage: ((e: { data: string | ArrayBuffer }) => void) | undefined;
  onclose: ((e: { code: number; reason: string }) => void) | undefined;
  onerror: unknown;
  private readonly asking: ClientRequest;
  private socket: Socket | undefined;
  /** Bytes that are no whole frame yet, and the frames of a message that is not whole yet. */
  private rest: Buffer = Buffer.alloc(0);
  private parts: Buffer[] = [];
  private partsText = false;
  private code: number | undefined;
  private reason = '';
  private over = false;

  constructor(url: string, protocol: string) {
    const key = randomBytes(16).toString('base64');
    const to = url.replace(/^ws/, 'http');
    this.asking = (to.startsWith('https') ? secureRequest : request)(to, {
      headers: {
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': key,
        'Sec-WebSocket-Protocol': protocol,
      },
    });
    this.asking.on('upgrade', ({ headers }, socket, head) => {
      const accept = createHash('sha1').update(key).update(MAGIC).digest('base64');
      if (headers['sec-websocket-accept'] !== accept) socket.destroy();
      else this.begin(socket as Socket, head);
    });
    this.asking.on('response', () => this.asking.destroy());
    this.asking.on('error', () => {});
    this.asking.on('close', () => this.socket ?? this.end());
    this.asking.end();
  }

  /** Bytes not handed to the kernel yet. */
  get bufferedAmount(): number {
    return this.socket?.writableLength ?? 0;
  }

  send(data: string | Uint8Array): void {
    if (typeof data === 'string') this.write(TEXT, Buffer.from(data));
    else this.write(2, data);
  }

  /** Says the code and goes; without one it does not wait for what a dead link will not answer. */
  close(code?: number): void {
    if (!code || !this.socket) return this.terminate();
    const body = Buffer.alloc(2);
    body.writeUInt16BE(code);
    this.write(CLOSE, body);
    this.socket.end();
    this.socket.unref(); // an answer that never comes keeps no process alive
  }

  terminate(): void {
    this.asking.destroy();
    this.socket?.destroy();
  }

  private begin(socket: Socket, head: Buffer): void {
    this.socket = socket;
    socket.setNoDelay();
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    socket.on('close', () => this.end());
    this.onopen?.();
    socket.on('data', (chunk: Buffer) => this.take(chunk));
    if (head.length > 0) this.take(head);
  }

  private end(): void {
    if (this.over) return;
    this.over = true;
    this.onclose?.({ code: this.code ?? ABNORMAL, reason: this.reason });
  }

  private take(chunk: Buffer): void {
    this.rest = this.rest.length > 0 ? Buffer.concat([this.rest, chunk]) : chunk;
    for (let frame = read(this.rest); frame; frame = read(this.rest)) {
      this.rest = this.rest.subarray(frame.end);
      this.frame(frame);
    }
  }

  private frame({ fin, opcode, payload }: Frame): void {
    if (opcode === PING) this.write(PONG, payload);
    else if (opcode === CLOSE) {
      this.code ??= payload.length < 2 ? 1005 : payload.readUInt16BE(0);
      this.reason = payload.subarray(2).toString();
      this.write(CLOSE, payload);
      this.socket!.end();
    } else if (opcode < CLOSE) {
      if (opcode !== CONTINUATION) this.partsText = opcode === TEXT;
      this.parts.push(payload);
      if (!fin) return;
      const whole = Buffer.concat(this.parts);
      this.parts = [];
      // A copy of its own: a small buffer is a piece of one that others share.
      this.onmessage?.({ data: this.partsText ? whole.toString() : new Uint8Array(whole).buffer });
    }
  }

  private write(opcode: number, payload: Uint8Array): void {
    if (!this.socket?.writable) return;
    const { length } = payload;
    const mask = randomBytes(4);
    const size =
      length < 126
        ? [0x80 | length]
        : length < 65_536
          ? [0x80 | 126, 0, 0]
          : [0x80 | 127, ...Array(8).fill(0)];
    const head = Buffer.from([0x80 | opcode, ...size]);
    if (size.length === 3) head.writeUInt16BE(length, 2);
    else if (size.length === 9) head.writeBigUInt64BE(BigInt(length), 2);
    const masked = payload.map((byte, i) => byte ^ mask[i & 3]!);
    this.socket.write(Buffer.concat([head, mask, masked]));
  }
}

/** The first frame of these bytes, if it is whole. */
function read(bytes: Buffer): Frame | undefined {
  if (bytes.length < 2) return undefined;
  let length = bytes[1]! & 127;
  const at = length < 126 ? 2 : length === 126 ? 4 : 10;
  if (bytes.length < at) return undefined;
  if (at === 4) length = bytes.readUInt16BE(2);
  else if (at === 10) length = Number(bytes.readBigUInt64BE(2));
  const end = at + length;
  if (bytes.length < end) return undefined;
  return { fin: bytes[0]! >= 0x80, opcode: bytes[0]! & 15, payload: bytes.subarray(at, end), end };
}
