/** A raw client: a real WebSocket, both codecs, every message checked against the schemas. */
import WebSocket from 'ws';
import { type Codec, jsonCodec } from '../../src/protocol/codec.ts';
import { type GatewayMessage, type GatewayMessages, gatewayMessages } from '../../src/protocol/messages.ts';

type Type = keyof GatewayMessages;

export class RawClient {
  readonly messages: GatewayMessage[] = [];
  readonly socket: WebSocket;
  closeCode: number | undefined;
  private readonly codec: Codec;
  private waiters: (() => void)[] = [];
  private failure: Error | undefined;

  constructor(
    url: string,
    options: { codec?: Codec; headers?: Record<string, string>; protocols?: string[] } = {},
  ) {
    this.codec = options.codec ?? jsonCodec;
    const address = `${url.replace('http', 'ws')}/v1/ws`;
    this.socket = new WebSocket(address, options.protocols ?? [this.codec.subprotocol], {
      headers: options.headers,
    });
    this.socket.on('open', () => this.wake());
    this.socket.on('message', (data: Buffer) => this.receive(data));
    this.socket.on('close', (code) => {
      this.closeCode = code;
      this.wake();
    });
    this.socket.on('error', (error) => {
      this.failure = error;
      this.wake();
    });
  }

  /** Opens, says hello and awaits welcome. */
  static async hello(
    url: string,
    token: string,
    hello: Record<string, unknown> = {},
    options: { codec?: Codec } = {},
  ): Promise<RawClient> {
    const client = new RawClient(url, options);
    await client.open();
    client.send({ t: 'hello', token, ...hello });
    await client.next('welcome');
    return client;
  }

  open(): Promise<void> {
    return this.until(() => (this.socket.readyState === WebSocket.OPEN ? true : undefined)).then(() => {});
  }

  send(message: unknown): void {
    this.raw(this.codec.encode(message));
  }

  /** Sends bytes as they are, in the frame kind of the codec unless told otherwise. */
  raw(bytes: Uint8Array | string, binary = this.codec.binary): void {
    this.socket.send(bytes, { binary });
  }

  /** Awaits a message of that type that fits, among those not yet awaited; takes it. */
  next<K extends Type>(
    t: K,
    fits: (message: GatewayMessages[K]) => boolean = () => true,
  ): Promise<GatewayMessages[K]> {
    return this.until(() => {
      const index = this.messages.findIndex((m) => m.t === t && fits(m as GatewayMessages[K]));
      return index === -1 ? undefined : (this.messages.splice(index, 1)[0] as GatewayMessages[K]);
    }, t);
  }

  /** Awaits the close and gives its code. */
  closed(): Promise<number> {
    return this.until(() => this.closeCode, 'close');
  }

  /** A round trip: whatever the gateway had to say before it has arrived. */
  async settle(): Promise<void> {
    this.send({ t: 'beat' });
    await this.next('beat');
  }

  close(): void {
    this.socket.terminate();
  }

  private receive(data: Buffer): void {
    try {
      const message = this.codec.decode(data) as GatewayMessage;
      gatewayMessages[message.t].parse(message);
      this.messages.push(message);
    } catch (error) {
      this.failure = error as Error;
    }
    this.wake();
  }

  private wake(): void {
    const waiters = this.waiters;
    this.waiters = [];
    for (const waiter of waiters) waiter();
  }

  private async until<T>(look: () => T | undefined, what = 'open'): Promise<T> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.wake();
    }, 15_000);
    try {
      for (;;) {
        const found = look();
        if (found !== undefined) return found;
        if (this.failure !== undefined) throw this.failure;
        if (this.closeCode !== undefined && what !== 'close')
          throw new Error(`closed with ${this.closeCode} before ${what}`);
        if (late) throw new Error(`no ${what} in 15 s; got ${JSON.stringify(this.messages).slice(0, 500)}`);
        await new Promise<void>((resolve) => this.waiters.push(resolve));
      }
    } finally {
      clearTimeout(timer);
    }
  }
}
