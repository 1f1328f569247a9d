/** A raw client of PROTOCOL.md: one socket that says hello, hands over what comes, and dials again when it is lost. */
import WebSocket from 'ws';
import { msgpack } from '../client-sdk/src/msgpack.ts';
import { comesBack } from '../src/protocol/close-codes.ts';
import { type Codec, jsonCodec, msgpackCodec } from '../src/protocol/codec.ts';
import type {
  ClientMessage,
  ClientMessages,
  GatewayMessage,
  GatewayMessages,
} from '../src/protocol/messages.ts';

export const clientCodecs = { json: jsonCodec, msgpack: msgpackCodec } as const;

export interface Frame {
  readonly message: GatewayMessage;
  /** Payload of the WebSocket frame. */
  readonly bytes: number;
  /** `performance.now()` when it came, before it was decoded. */
  readonly at: number;
}

export interface ConnectionParts {
  /** http://host:port of the gateway. */
  readonly url: string;
  readonly token: string;
  readonly codec: Codec;
  /** What to say besides the token, at every dial anew. */
  readonly hello: () => Omit<ClientMessages['hello'], 't' | 'token'>;
  readonly welcomed: (welcome: GatewayMessages['welcome']) => void;
  readonly received: (frame: Frame) => void;
}

/** Reads what comes over one socket, in order. */
function readerOf(codec: Codec): Codec['decode'] {
  if (!codec.packed) return codec.decode;
  const reader = msgpack();
  return (bytes) => reader.decode(new Uint8Array(bytes).buffer);
}

const REDIAL_MS = 1000;

export class Connection {
  /** How often an open socket was lost. */
  lost = 0;
  private readonly parts: ConnectionParts;
  private socket: WebSocket | undefined;
  private open = false;
  private closing = false;
  private redial: NodeJS.Timeout | undefined;

  constructor(parts: ConnectionParts) {
    this.parts = parts;
  }

  /** Dials. Resolves at the first welcome; rejects if the socket closes before. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => this.dial(resolve, reject));
  }

  /** Whether the message went out: the connection is open. */
  send(message: ClientMessage): boolean {
    if (!this.open) return false;
    const { codec } = this.parts;
    this.socket!.send(codec.encode(message), { binary: codec.binary });
    return true;
  }

  /** Ends it for good. Resolves when the socket is closed. */
  async close(): Promise<void> {
    this.closing = true;
    clearTimeout(this.redial);
    const { socket } = this;
    if (socket === undefined || socket.readyState === WebSocket.CLOSED) return;
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.close();
    await closed;
  }

  private dial(welcomed: () => void, failed: (error: Error) => void): void {
    const { url, token, codec, hello, received } = this.parts;
    const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/v1/ws`, [codec.subprotocol], {
      perMessageDeflate: false,
      skipUTF8Validation: true,
    });
    this.socket = socket;
    const decode = readerOf(codec);
    let problem = '';
    socket.on('error', (error) => {
      problem = error.message;
    });
    socket.on('open', () => {
      const said = { token, client: 'ridecast-replay', packed: codec.packed };
      const first: ClientMessages['hello'] = { t: 'hello', ...said, ...hello() };
      socket.send(codec.encode(first), { binary: codec.binary });
    });
    socket.on('message', (data: Buffer) => {
      const at = performance.now();
      const message = decode(data) as GatewayMessage;
      if (message.t === 'welcome') {
        this.open = true;
        this.parts.welcomed(message);
        welcomed();
      } else received({ message, bytes: data.length, at });
    });
    socket.on('close', (code) => {
      if (this.open) this.lost++;
      this.open = false;
      failed(new Error(problem || `${url} closed the socket with ${code} before it said welcome`));
      if (this.closing || this.lost === 0 || !comesBack(code)) return;
      // biome-ignore format: one step
      this.redial = setTimeout(() => this.dial(() => {}, () => {}), REDIAL_MS);
    });
  }
}
