/** One authenticated connection: frames in, messages out. hello.ts lets it in, watches.ts holds what it watches. */
import type { Revocation } from '../backbone/store.ts';
import type { Hub } from '../fanout/hub.ts';
import { type Grant, subjectOf } from '../fanout/visibility.ts';
import { Bucket } from '../ingest/bucket.ts';
import type { Opened, RiderLink } from '../ingest/ingest.ts';
import { type Counts, tally } from '../observe/metrics.ts';
import { audienceOf } from '../orders/order.ts';
import { type CloseCode, CloseCodes } from '../protocol/close-codes.ts';
import { type Codec, jsonCodec, packedCodec } from '../protocol/codec.ts';
import type { ClientMessage, ClientMessages, GatewayMessage, Refusal } from '../protocol/messages.ts';
import { checkClientMessage, type Problem } from '../protocol/validate.ts';
import { EXPIRY_GRACE_MS } from './auth.ts';
import { type Backlog, isPing } from './backlog.ts';
import { CreditWindow } from './credit-window.ts';
import { admit, type HelloParts, leave, verify, welcome } from './hello.ts';
import { type Host, Outbox, type Socket } from './outbox.ts';
import { splitPings } from './pings.ts';
import { Watches, type Host as WatchesHost } from './watches.ts';

export interface SessionParts extends HelloParts {
  readonly load: { readonly factor: number };
  /** Whether the grant's token was revoked. */
  readonly revoked: (grant: Grant) => boolean;
  /** Where pings wait while the node is overloaded. */
  readonly backlog: Backlog<Session>;
  readonly hub: Pick<Hub, 'watch' | 'unwatch' | 'later'>;
  readonly counts: Counts;
  readonly config: HelloParts['config'] & {
    readonly helloTimeoutMs: number;
    readonly creditFrames: number;
    readonly creditBytes: number;
  };
}

type State =
  | { readonly phase: 'hello'; readonly until: number }
  | { readonly phase: 'verifying'; readonly queue: ClientMessage[] }
  | OpenState
  | { readonly phase: 'closed' };

interface OpenState {
  readonly phase: 'open';
  grant: Grant;
  /** For a rider. */
  readonly rider: Opened | undefined;
  readonly outbox: Outbox;
  readonly watches: Watches;
}

const MAX_QUEUED = 64;
const MAX_BAD_FRAMES = 10;
/** Seconds of the frame rate a client may use at once. */
const FRAME_BURST_S = 10;
/** From this factor of overload on, not every ping is read; ms that the newest waits, per factor. */
const SHED_FROM = 4;
const SHED_MS = 20;

export class Session implements Host, WatchesHost {
  private readonly socket: Socket;
  private readonly name: string;
  /** A token that came before the hello. */
  private header: string | undefined;
  private readonly parts: SessionParts;
  private readonly frames: Bucket;
  private state: State;
  private badFrames = 0;

  /** Starts a session on a socket. `name` shows up in `welcome`; `header` is a token the upgrade carried. */
  constructor(socket: Socket, name: string, header: string | undefined, parts: SessionParts) {
    const { framesPerSecond, helloTimeoutMs } = parts.config;
    this.socket = socket;
    this.name = name;
    this.header = header;
    this.parts = parts;
    this.frames = new Bucket(framesPerSecond, framesPerSecond * FRAME_BURST_S);
    this.state = { phase: 'hello', until: parts.now() + helloTimeoutMs };
  }

  /** A frame came; the bytes are valid during the call only. `binary` as the WebSocket frame says: text is JSON always. */
  message(bytes: Uint8Array, binary: boolean): void {
    const codec = binary ? this.socket.codec : jsonCodec;
    if (this.state.phase === 'closed') return;
    if (!this.frames.take(1, this.parts.now())) return this.close(CloseCodes.rate);
    if (binary !== codec.binary) return this.close(CloseCodes.protocol);
    const { factor } = this.parts.load;
    if (factor >= SHED_FROM && this.state.phase === 'open' && isPing(bytes, binary)) {
      const kept = bytes.slice();
      this.parts.backlog.keep(this, () => this.read(kept, codec), factor * SHED_MS);
    } else this.read(bytes, codec);
  }

  /** Reads a frame: now, or when the backlog says so. */
  read(bytes: Uint8Array, codec: Codec): void {
    if (this.state.phase === 'closed') return;
    let frame: unknown;
    try {
      frame = codec.decode(bytes);
    } catch {
      this.refuse({
        code: 'bad_frame',
        message: `the frame is not ${codec.binary ? 'MessagePack' : 'JSON'}`,
      });
      if (++this.badFrames >= MAX_BAD_FRAMES) this.close(CloseCodes.protocol);
      return;
    }
    const checked = checkClientMessage(frame);
    if (checked.ok) {
      tally(this.parts.counts.frames, checked.value.t);
      this.accept(checked.value);
      return;
    }
    this.refuse(checked.problem);
    if (checked.problem.of === 'ping') this.salvage(frame as { pings?: unknown });
  }

  /** The socket's buffer is empty again. */
  drained(): void {
    if (this.state.phase === 'open') this.state.outbox.drained();
  }

  /** The socket is gone. */
  closed(): void {
    if (this.state.phase === 'open') {
      this.state.watches.leaveAll();
      leave(this.state.grant, this.state.rider, this.parts);
    }
    this.state = { phase: 'closed' };
  }

  /** Called once a second: deadlines and beats, without a timer per session. */
  sweep(now: number): void {
    const { state } = this;
    if (state.phase === 'hello' && now > state.until) return this.close(CloseCodes.helloTimeout);
    if (state.phase !== 'open') return;
    if (now > state.grant.expiresAt + EXPIRY_GRACE_MS) return this.close(CloseCodes.token);
    if (now - state.outbox.lastSentAt >= this.parts.config.heartbeatMs) state.outbox.beat(now);
  }

  /** Bytes that wait in this process for the client to read. */
  get buffered(): number {
    return this.socket.buffered();
  }

  /** Tells the client to dial again in [after, after + spread] ms. */
  drain(after: number, spread: number): void {
    this.send({ t: 'drain', after, spread });
  }

  /** The backbone was lost or is back. */
  backbone(healthy: boolean): void {
    if (this.state.phase !== 'open') return;
    const message = healthy ? 'positions and events flow again' : 'positions and events may be late; stay';
    this.state.outbox.send({ t: 'error', code: healthy ? 'recovered' : 'degraded', message });
  }

  /** Ends the session if its token is void. */
  revoke({ subject, before }: Revocation): void {
    const { state } = this;
    if (state.phase !== 'open' || subjectOf(state.grant) !== subject) return;
    if ((state.grant.issuedAt ?? 0) < before) this.close(CloseCodes.token);
  }

  /** Ends the session with a close code. */
  close(code: CloseCode): void {
    if (this.state.phase === 'closed') return;
    tally(this.parts.counts.closes, code.reason);
    this.closed();
    this.socket.close(code.code, code.reason);
  }

  private send(message: GatewayMessage): void {
    const { codec } = this.socket;
    if (this.state.phase === 'open') this.state.outbox.send(message);
    else if (this.state.phase !== 'closed') this.socket.send(codec.encode(message), codec.binary);
  }

  /** A flush is wanted. */
  later(): void {
    if (this.state.phase === 'open') this.parts.hub.later(this.state.outbox);
  }

  /** What the client was asked to answer does not count against its rate. */
  answerable(): void {
    this.frames.give();
  }

  /** A message that must not be lost could not be sent. */
  behind(): void {
    this.close(CloseCodes.behind);
  }

  /** What was begun could not be finished. */
  failed(): void {
    this.close(CloseCodes.overloaded);
  }

  /** A watch is over on the gateway's side. */
  forget(w: number): void {
    if (this.state.phase === 'open') this.state.watches.forget(w);
  }

  /** A watch starts, or starts again, with the log up to that offset. */
  started(w: number, offset: number | undefined): void {
    if (this.state.phase === 'open') this.state.watches.started(w, offset);
  }

  /** Says what was wrong with what came. */
  refuse(problem: Problem): void {
    tally(this.parts.counts.refusedFrames, problem.code);
    this.send({ t: 'error', ...problem });
  }

  private accept(received: ClientMessage): void {
    const { state } = this;
    switch (state.phase) {
      case 'hello':
        if (received.t !== 'hello')
          return this.refuse({ code: 'bad_frame', message: 'say hello first', of: received.t });
        this.state = { phase: 'verifying', queue: [] };
        this.hello(received).catch(() => this.close(CloseCodes.overloaded));
        return;
      case 'verifying':
        if (received.t === 'hello' || state.queue.length >= MAX_QUEUED)
          return this.close(CloseCodes.protocol);
        state.queue.push(received);
        return;
      case 'open':
        return this.dispatch(received, state);
    }
  }

  private async hello(asked: ClientMessages['hello']): Promise<void> {
    const token = asked.token ?? this.header;
    this.header = undefined;
    const grant = await verify(this.parts.auth, token);
    if (this.state.phase !== 'verifying') return;
    if (grant === undefined) return this.close(CloseCodes.token);
    const link: RiderLink = {
      pinged: (seq, refused) => this.send(pinged(seq, refused)),
      replaced: () => this.close(CloseCodes.replaced),
    };
    const admitted = await admit(grant, asked.rider?.session, link, this.parts);
    if (!admitted.ok) return this.close(admitted.code);
    const { rider } = admitted;
    if (this.state.phase !== 'verifying') return leave(grant, rider, this.parts);
    if (this.parts.revoked(grant)) {
      leave(grant, rider, this.parts);
      return this.close(CloseCodes.token);
    }
    this.begin(asked, grant, rider, this.state.queue);
  }

  /** The session is open: says welcome, then does what was asked in the meantime. */
  private begin(
    asked: ClientMessages['hello'],
    grant: Grant,
    rider: Opened | undefined,
    queue: readonly ClientMessage[],
  ): void {
    const { parts, socket } = this;
    const { creditFrames, creditBytes } = parts.config;
    const credit = asked.credit === true ? { frames: creditFrames, bytes: creditBytes } : undefined;
    const packed = asked.packed === true && socket.codec.binary;
    const outbox = new Outbox({
      host: this,
      socket,
      codec: packed ? packedCodec : socket.codec,
      audience: audienceOf(grant.role) ?? 'customer',
      window: credit && new CreditWindow(credit.frames, credit.bytes),
      node: parts,
    });
    const watches = new Watches(this, outbox, parts);
    this.state = { phase: 'open', grant, rider, outbox, watches };
    outbox.send(welcome(this.name, grant, rider, { credit, packed }, parts));
    for (const watch of asked.watch ?? []) this.accept({ t: 'watch', ...watch });
    for (const queued of queue) this.accept(queued);
  }

  private dispatch(received: ClientMessage, open: OpenState): void {
    switch (received.t) {
      case 'hello':
        return this.close(CloseCodes.protocol);
      case 'refresh':
        this.refresh(received.token, open).catch(() => this.close(CloseCodes.overloaded));
        return;
      case 'watch':
        return open.watches.open(received, open.grant);
      case 'unwatch':
        return open.watches.leave(received.w);
      case 'credit':
        return open.outbox.credit(received.n);
      case 'ack':
        return open.watches.ack(received.w, received.offset);
      case 'ping':
        if (open.rider === undefined) return this.refuse(notARider(open.grant.role));
        return open.rider.ping(received.pings);
      case 'beat':
        return open.outbox.beat(this.parts.now());
    }
  }

  private async refresh(token: string, open: OpenState): Promise<void> {
    const grant = await verify(this.parts.auth, token);
    if (this.state !== open) return;
    if (grant === undefined) return this.close(CloseCodes.token);
    if (subjectOf(grant) !== subjectOf(open.grant)) return this.close(CloseCodes.refused);
    open.grant = grant;
    open.watches.narrow(grant);
    open.outbox.send({ t: 'refreshed', tokenTtl: Math.max(0, grant.expiresAt - this.parts.now()) });
  }

  /** A batch with a bad ping in it must not be sent for ever: the good ones count, the bad ones are refused. */
  private salvage({ pings }: { pings?: unknown }): void {
    if (this.state.phase !== 'open') return;
    const { rider } = this.state;
    if (rider === undefined) return;
    const { good, refused } = splitPings(pings);
    for (const _ of refused) tally(this.parts.counts.pings, 'range');
    if (good.length > 0) rider.ping(good);
    if (refused.length > 0) this.send(pinged(0, refused));
  }
}

function pinged(seq: number, refused: [number, Refusal][]): GatewayMessage {
  return refused.length > 0 ? { t: 'pinged', seq, refused } : { t: 'pinged', seq };
}

function notARider(role: string): Problem {
  return { code: 'not_allowed', message: `a ${role} does not ping`, of: 'ping' };
}
