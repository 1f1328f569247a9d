/** One socket of the load: says hello, gives credit, and comes back as PROTOCOL.md asks when it is lost. */
import WebSocket from 'ws';
import { comesBack } from '../../src/protocol/close-codes.ts';
import type { Codec } from '../../src/protocol/codec.ts';
import type {
  ClientMessage,
  ClientMessages,
  GatewayMessage,
  GatewayMessages,
} from '../../src/protocol/messages.ts';
import { at as atTime, now } from './clock.ts';
import type { Absence } from './plan.ts';
import type { SocketTally } from './tally.ts';

export interface LinkParts {
  readonly url: string;
  readonly token: string;
  readonly codec: Codec;
  readonly tally: SocketTally;
  /** What to say besides the token, at every dial anew. */
  readonly hello: () => Omit<ClientMessages['hello'], 't' | 'token'>;
  readonly welcomed: (welcome: GatewayMessages['welcome']) => void;
  /** @param at `now()` when the frame came */
  readonly received: (message: GatewayMessage, bytes: number, at: number) => void;
}

const BACKOFF_MS = 1000;
const BACKOFF_CAP_MS = 30_000;
/** The longest a credit waits, as in the SDK. */
const CREDIT_MS = 100;

export class Link {
  private readonly parts: LinkParts;
  private socket: WebSocket | undefined;
  private redial: NodeJS.Timeout | undefined;
  private open = false;
  private everOpen = false;
  /** The end of the socket is our own doing. */
  private leaving = false;
  private attempts = 0;
  private dueAt = 0;
  private reconnect = { after: 0, spread: 0 };
  private window: GatewayMessages['welcome']['credit'];
  /** Bytes of the frames handled and not credited. */
  private uncredited = 0;
  private handled = 0;
  private credited = 0;

  constructor(parts: LinkParts) {
    this.parts = parts;
  }

  get isOpen(): boolean {
    return this.open;
  }

  /** Whether it should be open and is not. */
  get isMissing(): boolean {
    return !this.open && !this.leaving;
  }

  /** Dials. @param due `now()` when that should have happened: connecting is timed from there */
  dial(due = now()): void {
    clearTimeout(this.redial);
    const { url, codec } = this.parts;
    this.dueAt = due;
    this.leaving = false;
    const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/v1/ws`, [codec.subprotocol], {
      perMessageDeflate: false,
      skipUTF8Validation: true,
    });
    this.socket = socket;
    socket.on('error', () => {}); // 'close' follows
    socket.on('open', () => {
      const said = { token: this.parts.token, credit: true, client: 'ridecast-loadtest' };
      const hello: ClientMessages['hello'] = { t: 'hello', ...said, ...this.parts.hello() };
      socket.send(codec.encode(hello), { binary: codec.binary });
    });
    socket.on('message', (data: Buffer) => {
      if (socket === this.socket) this.receive(data);
    });
    socket.on('close', (code) => {
      if (socket === this.socket) this.closed(code);
    });
  }

  /** Whether the message went out: the link is open. */
  send(message: ClientMessage): boolean {
    if (!this.open) return false;
    const { codec } = this.parts;
    this.socket!.send(codec.encode(message), { binary: codec.binary });
    return true;
  }

  /** Closes and stays away until the next `dial`. @param abruptly as a network does that is gone: without a word */
  leave(abruptly = false): void {
    clearTimeout(this.redial);
    this.leaving = true;
    if (abruptly) this.socket?.terminate();
    else this.socket?.close();
  }

  /** Stops and starts reading: what comes meanwhile waits in the kernel, and then at the gateway. */
  pause(): void {
    this.socket?.pause();
  }

  resume(): void {
    this.socket?.resume();
  }

  /** Gives the credit that is due. Called every CREDIT_MS for all links. */
  credit(): void {
    const { window, handled } = this;
    if (window === undefined) return;
    if (handled - this.credited < window.frames / 2 && this.uncredited < window.bytes / 2) return;
    this.credited = handled;
    this.uncredited = 0;
    this.send({ t: 'credit', n: this.handled });
  }

  private receive(data: Buffer): void {
    const at = now();
    const message = this.parts.codec.decode(data) as GatewayMessage;
    if (message.t === 'welcome') this.enter(message, at);
    else if (message.t === 'drain') this.later(message.after, message.spread);
    this.parts.received(message, data.length, at);
    if (message.t !== 'positions') return;
    this.handled++;
    this.uncredited += data.length;
  }

  private enter(welcome: GatewayMessages['welcome'], at: number): void {
    const { tally } = this.parts;
    this.open = true;
    this.attempts = this.handled = this.credited = this.uncredited = 0;
    this.reconnect = welcome.reconnect;
    this.window = welcome.credit;
    tally.open++;
    tally.connects++;
    if (this.everOpen) tally.reconnects++;
    this.everOpen = true;
    tally.connect.add(at - this.dueAt);
    this.parts.welcomed(welcome);
  }

  /** The gateway wants us elsewhere: leaves and dials again at a moment within the window it named. */
  private later(after: number, spread: number): void {
    clearTimeout(this.redial);
    this.redial = setTimeout(
      () => {
        this.leave();
        this.dial();
      },
      after + Math.random() * spread,
    );
  }

  private closed(code: number): void {
    const { tally } = this.parts;
    const wasOpen = this.open;
    this.open = false;
    if (wasOpen) tally.open--;
    if (this.leaving) return;
    if (wasOpen) tally.closed(code);
    else tally.failed++;
    if (!comesBack(code)) return;
    const { after, spread } = this.reconnect;
    const delay = wasOpen
      ? after + Math.random() * spread
      : Math.random() * Math.min(BACKOFF_CAP_MS, BACKOFF_MS * 2 ** this.attempts++);
    clearTimeout(this.redial);
    this.redial = setTimeout(() => this.dial(), delay);
  }
}

/** Lets a link leave and dial as planned, from `joined` on; both counted from `start`. */
export function comeAndGo(
  link: Link,
  absences: Iterator<Absence>,
  start: number,
  joined: number,
  abruptly: boolean,
): void {
  const { value, done } = absences.next();
  if (done === true) return;
  const { off, on } = value as Absence;
  if (off < joined) return comeAndGo(link, absences, start, joined, abruptly);
  atTime(start + off, () => {
    link.leave(abruptly);
    atTime(start + on, () => {
      link.dial();
      comeAndGo(link, absences, start, joined, abruptly);
    });
  });
}

/** Gives the credit of many links, a few times a second. Returns what stops it. */
export function giveCredit(links: readonly Link[]): () => void {
  const timer = setInterval(() => {
    for (const link of links) link.credit();
  }, CREDIT_MS);
  return () => clearInterval(timer);
}
