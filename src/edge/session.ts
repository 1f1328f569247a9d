/** One authenticated connection: `opened(socket)` in, what the edge does with it out. */
import type { Hub, WatchRequest } from '../fanout/hub.ts';
import { type Grant, mayWatch } from '../fanout/visibility.ts';
import { Bucket } from '../ingest/bucket.ts';
import type { Ingest, Opened } from '../ingest/ingest.ts';
import { type Counts, tally } from '../observe/metrics.ts';
import { audienceOf } from '../orders/order.ts';
import { parseChannel } from '../protocol/channel.ts';
import { type CloseCode, CloseCodes } from '../protocol/close-codes.ts';
import {
  type ClientMessage,
  type ClientMessages,
  type GatewayMessage,
  MAX_PINGS,
  type Refusal,
} from '../protocol/messages.ts';
import { checkClientMessage, type Problem } from '../protocol/validate.ts';
import { type Auth, EXPIRY_GRACE_MS, TokenError } from './auth.ts';
import type { Limits } from './limits.ts';
import { Outbox, type Socket } from './outbox.ts';
import { splitPings } from './pings.ts';

export interface SessionParts {
  readonly auth: Auth;
  readonly hub: Pick<Hub, 'watch'>;
  readonly ingest: Pick<Ingest, 'open'>;
  readonly counts: Counts;
  readonly subjects: Limits;
  readonly node: string;
  readonly now: () => number;
  readonly config: {
    readonly heartbeatMs: number;
    readonly helloTimeoutMs: number;
    readonly frameBytes: number;
    readonly framesPerSecond: number;
    readonly maxWatches: number;
    readonly creditFrames: number;
    readonly reconnectAfterMs: number;
    readonly reconnectSpreadMs: number;
  };
}

/** What the edge does with a session. */
export interface Session {
  /** A frame came; the bytes are the session's to keep. `binary` as the WebSocket frame says. */
  message(bytes: Uint8Array, binary: boolean): void;
  drained(): void;
  closed(): void;
  /** Called once a second: deadlines and beats, without a timer per session. */
  sweep(now: number): void;
  drain(after: number, spread: number): void;
  /** The backbone was lost or is back. */
  backbone(healthy: boolean): void;
  /** Ends the session with a close code. */
  leave(code: CloseCode): void;
}

type State =
  | { readonly phase: 'hello'; readonly until: number }
  | { readonly phase: 'verifying'; readonly queue: ClientMessage[] }
  | OpenState
  | { readonly phase: 'closed' };

interface OpenState {
  readonly phase: 'open';
  grant: Grant;
  readonly outbox: Outbox;
  readonly rider: Opened | undefined;
  /** By the client's number. */
  readonly watches: Map<number, WatchState>;
}

/** `leave` is absent while the watch is being set up. */
interface WatchState {
  readonly channel: string;
  leave?: () => void;
}

const MAX_QUEUED = 64;
const MAX_BAD_FRAMES = 10;
/** Seconds of the frame rate a client may use at once. */
const FRAME_BURST_S = 10;
/** Starts a session on a socket. `name` shows up in `welcome`; `header` is a token the upgrade carried. */
export function opened(
  socket: Socket,
  name: string,
  header: string | undefined,
  parts: SessionParts,
): Session {
  const { config, counts } = parts;
  let state: State = { phase: 'hello', until: parts.now() + config.helloTimeoutMs };
  let badFrames = 0;
  const frames = new Bucket(config.framesPerSecond, config.framesPerSecond * FRAME_BURST_S);

  function close(code: CloseCode): void {
    if (state.phase === 'closed') return;
    tally(counts.closes, code.reason);
    end();
    socket.close(code.code, code.reason);
  }

  function end(): void {
    if (state.phase === 'open') {
      for (const { leave } of state.watches.values()) leave?.();
      state.rider?.close();
      parts.subjects.leave(subjectKey(state.grant));
    }
    state = { phase: 'closed' };
  }

  function send(message: GatewayMessage): void {
    if (state.phase === 'open') state.outbox.send(message);
    else if (state.phase !== 'closed') socket.send(socket.codec.encode(message), socket.codec.binary);
  }

  function refuse(problem: Problem): void {
    tally(counts.refusedFrames, problem.code);
    send({ t: 'error', ...problem });
  }

  function message(bytes: Uint8Array, binary: boolean): void {
    if (state.phase === 'closed') return;
    if (!frames.take(1, parts.now())) return close(CloseCodes.rate);
    if (binary !== socket.codec.binary) return close(CloseCodes.protocol);
    let frame: unknown;
    try {
      frame = socket.codec.decode(bytes);
    } catch {
      refuse({ code: 'bad_frame', message: `the frame is not ${binary ? 'MessagePack' : 'JSON'}` });
      if (++badFrames >= MAX_BAD_FRAMES) close(CloseCodes.protocol);
      return;
    }
    const checked = checkClientMessage(frame);
    if (checked.ok) {
      tally(counts.frames, checked.value.t);
      accept(checked.value);
    } else if (checked.problem.of === 'ping' && state.phase === 'open' && state.rider !== undefined) {
      salvage(frame as { pings?: unknown }, checked.problem, state.rider, state.outbox);
    } else refuse(checked.problem);
  }

  function accept(received: ClientMessage): void {
    switch (state.phase) {
      case 'hello':
        if (received.t !== 'hello')
          return refuse({ code: 'bad_frame', message: 'say hello first', of: received.t });
        state = { phase: 'verifying', queue: [] };
        hello(received).catch(() => close(CloseCodes.overloaded));
        return;
      case 'verifying':
        if (received.t === 'hello' || state.queue.length >= MAX_QUEUED) return close(CloseCodes.protocol);
        state.queue.push(received);
        return;
      case 'open':
        return dispatch(received, state);
    }
  }

  async function hello(asked: ClientMessages['hello']): Promise<void> {
    const token = asked.token ?? header;
    const grant = token === undefined ? undefined : await verify(token);
    if (state.phase !== 'verifying') return;
    if (grant === undefined) return close(CloseCodes.token);
    if (!parts.subjects.enter(subjectKey(grant))) return close(CloseCodes.sessions);
    let rider: Opened | undefined;
    try {
      if (grant.role === 'rider') rider = await openRider(grant.sub, asked.rider?.session);
    } catch (error) {
      parts.subjects.leave(subjectKey(grant));
      throw error;
    }
    if ((state as State).phase !== 'verifying') {
      parts.subjects.leave(subjectKey(grant));
      rider?.close();
      return;
    }
    if (grant.role === 'rider' && rider === undefined) {
      parts.subjects.leave(subjectKey(grant));
      return close(CloseCodes.replaced);
    }
    const { queue } = state;
    const creditFrames = asked.credit === true ? config.creditFrames : undefined;
    const outbox = new Outbox({
      socket,
      audience: audienceOf(grant.role) ?? 'customer',
      counts,
      now: parts.now,
      creditFrames,
      behind: () => close(CloseCodes.behind),
      forget: (w) => {
        if (state.phase === 'open') state.watches.delete(w);
      },
    });
    const open: OpenState = { phase: 'open', grant, outbox, rider, watches: new Map() };
    state = open;
    outbox.send(welcome(grant, rider, creditFrames));
    for (const watch of asked.watch ?? []) watchChannel(watch, open);
    for (const queued of queue) accept(queued);
  }

  async function verify(token: string): Promise<Grant | undefined> {
    try {
      return await parts.auth(token);
    } catch (error) {
      if (!(error instanceof TokenError)) throw error;
      return undefined;
    }
  }

  function openRider(sub: string, session: number | undefined): Promise<Opened | undefined> {
    return parts.ingest.open(sub, session, {
      pinged: (seq, refused) => send(pinged(seq, refused)),
      replaced: () => close(CloseCodes.replaced),
    });
  }

  function welcome(
    grant: Grant,
    rider: Opened | undefined,
    creditFrames: number | undefined,
  ): GatewayMessage {
    const now = parts.now();
    return {
      t: 'welcome',
      session: name,
      node: parts.node,
      now,
      role: grant.role,
      sub: grant.sub,
      heartbeat: config.heartbeatMs,
      tokenTtl: Math.max(0, grant.expiresAt - now),
      limits: {
        frameBytes: config.frameBytes,
        framesPerSecond: config.framesPerSecond,
        watches: config.maxWatches,
        pingsPerFrame: MAX_PINGS,
      },
      reconnect: { after: config.reconnectAfterMs, spread: config.reconnectSpreadMs },
      ...(rider === undefined ? {} : { rider: { session: rider.session, seq: rider.seq } }),
      ...(creditFrames === undefined ? {} : { credit: { frames: creditFrames } }),
      packed: false,
    };
  }

  function dispatch(received: ClientMessage, open: OpenState): void {
    switch (received.t) {
      case 'hello':
        return close(CloseCodes.protocol);
      case 'refresh':
        refresh(received.token, open).catch(() => close(CloseCodes.overloaded));
        return;
      case 'watch':
        return watchChannel(received, open);
      case 'unwatch':
        open.watches.get(received.w)?.leave?.();
        open.watches.delete(received.w);
        return;
      case 'credit':
        return open.outbox.credit(received.n);
      case 'ack':
        return; // Its use comes with push fall-back; until then it is valid and without effect.
      case 'ping':
        if (open.rider === undefined) return refuse(notARider(open.grant.role));
        return open.rider.ping(received.pings);
      case 'beat':
        return open.outbox.beat(parts.now());
    }
  }

  async function refresh(token: string, open: OpenState): Promise<void> {
    const grant = await verify(token);
    if (state !== open) return;
    if (grant === undefined) return close(CloseCodes.token);
    if (subjectKey(grant) !== subjectKey(open.grant)) return close(CloseCodes.refused);
    open.grant = grant;
    for (const [w, { channel, leave }] of open.watches) {
      if (mayWatch(grant, parseChannel(channel))) continue;
      leave?.();
      open.watches.delete(w);
      open.outbox.send({ t: 'closed', w, reason: 'denied' });
    }
    open.outbox.send({ t: 'refreshed', tokenTtl: Math.max(0, grant.expiresAt - parts.now()) });
  }

  function watchChannel(request: WatchRequest, open: OpenState): void {
    const { w } = request;
    const about = { of: 'watch', w };
    // Watching again under the same number is how a client that missed an event starts over.
    const again = open.watches.get(w);
    if (again !== undefined && again.leave === undefined) {
      return refuse({ code: 'watch_exists', message: `watch ${w} is being set up`, field: 'w', ...about });
    }
    again?.leave?.();
    open.watches.delete(w);
    if (open.watches.size >= config.maxWatches) {
      return refuse({
        code: 'too_many_watches',
        message: `at most ${config.maxWatches} watches a session`,
        ...about,
      });
    }
    const mine: WatchState = { channel: request.channel };
    open.watches.set(w, mine);
    parts.hub.watch(open.outbox, open.grant, request).then(
      (outcome) => {
        const wanted = state === open && open.watches.get(w) === mine;
        if (outcome.ok) {
          if (wanted) mine.leave = outcome.leave;
          else outcome.leave();
        } else if (wanted) {
          open.watches.delete(w);
          refuse({ code: outcome.code, message: outcome.message, ...about });
        }
      },
      () => close(CloseCodes.overloaded),
    );
  }

  /** A batch with a bad ping in it must not be sent for ever: the good ones count, the bad ones are refused. */
  function salvage(frame: { pings?: unknown }, problem: Problem, rider: Opened, outbox: Outbox): void {
    refuse(problem);
    const { good, refused } = splitPings(frame.pings);
    for (const _ of refused) tally(counts.pings, 'range');
    if (good.length > 0) rider.ping(good);
    if (refused.length > 0) outbox.send(pinged(0, refused));
  }

  return {
    message,
    drained: () => {
      if (state.phase === 'open') state.outbox.drained();
    },
    closed: end,
    sweep(now) {
      if (state.phase === 'hello' && now > state.until) return close(CloseCodes.helloTimeout);
      if (state.phase !== 'open') return;
      if (now > state.grant.expiresAt + EXPIRY_GRACE_MS) return close(CloseCodes.token);
      if (now - state.outbox.lastSentAt >= config.heartbeatMs) state.outbox.beat(now);
    },
    drain: (after, spread) => send({ t: 'drain', after, spread }),
    backbone(healthy) {
      if (state.phase !== 'open') return;
      const message = healthy ? 'positions and events flow again' : 'positions and events may be late; stay';
      state.outbox.send({ t: 'error', code: healthy ? 'recovered' : 'degraded', message });
    },
    leave: close,
  };
}

function pinged(seq: number, refused: [number, Refusal][]): GatewayMessage {
  return refused.length > 0 ? { t: 'pinged', seq, refused } : { t: 'pinged', seq };
}

function notARider(role: string): Problem {
  return { code: 'not_allowed', message: `a ${role} does not ping`, of: 'ping' };
}

/** Sessions of one subject are counted per role, and identity is both. */
function subjectKey(grant: Grant): string {
  return `${grant.role}:${grant.sub}`;
}
