import { jitter, type Window, within } from './backoff.ts';
import { credentials } from './credentials.ts';
import { credit } from './credit.ts';
import { dial } from './dial.ts';
import { emitter } from './emitter.ts';
import { liveness } from './liveness.ts';
import { page } from './page.ts';
import { webSocket } from './socket.ts';
import { timer } from './timer.ts';
import type { Client, ClientError, ClientEvents, Codec, Link, Options, Reason, State } from './types.ts';
import { type ClientMessage, type Core, fault, type GatewayMessage, type Hello } from './wire.ts';

/** Covers token, open and welcome, ms. */
const CONNECT_MS = 10_000;
/** On waking up, everybody dials within this, ms. */
const WAKE_MS = 300;
const SUSPEND_MS = 30_000;

const json: Codec = {
  protocol: 'ridecast.v1.json',
  encode: JSON.stringify,
  decode: JSON.parse as Codec['decode'],
};

/**
 * Connects to a gateway, and stays connected: it ends only by `close()`, a refused token that cannot be replaced, or a
 * close code 4500–4999. Returns at once; `url` (`wss://host/v1/ws`) is asked for before each dial.
 */
export function connect(url: string | (() => string | Promise<string>), options: Options): Client {
  const o = { codec: json, webSocket, ...options };
  const { on, emit, mute } = emitter<ClientEvents & { debug: Debug }>();
  /** The next step of dialling: the dial itself, its deadline, the moment to leave. */
  const next = timer();
  const hiding = timer();

  let attempt: Link | undefined;
  /** Of the newest welcome or drain: it outlives its link. */
  let window: Window | undefined;
  /** Lost links and failed dials since a link was healthy. */
  let losses = 0;
  let watches = 0;
  let hidden = false;
  let offline = false;
  let paused = false;

  const close = () => finish();
  const core: Core = {
    info: { state: 'connecting', attempt: 0 },
    welcome: undefined,
    heardAt: 0,
    skew: 0,
    parts: new Set(),
    on,
    now: () => Date.now() + core.skew,
    ready: (signal) => ready(core, signal),
    nextWatch: () => ++watches,
    send: (message) => core.welcome && send(message),
    buffered: () => attempt!.buffered(),
    pause() {
      paused = true;
      suspend();
    },
    resume() {
      paused = false;
      wake();
    },
    close,
    [Symbol.dispose]: close,
  };
  const alive = liveness(core, () => lose('timeout'));
  const tokens = credentials(core, o.token, (error) => fail(0, 'auth', error));
  core.parts.add(alive).add(tokens).add(credit(core));

  const resting = () => paused || (hidden && !o.background);
  const debug = (ev: string, data?: unknown) => emit('debug', { t: Date.now(), ev, data });

  function set(state: State, reason?: Reason, retryAt?: number): void {
    core.info = { state, reason, attempt: losses, retryAt, rttMs: alive.rttMs };
    debug('state', core.info);
    for (const part of core.parts) part.state?.();
    emit('state', core.info);
  }

  function fail(code: number | string, reason: Reason, error: unknown): void {
    emit('error', fault(code, reason, String(error), true));
  }

  // ---- one link ----

  function begin(): void {
    if (resting()) return rest();
    next(() => lose('timeout'), CONNECT_MS);
    attempt = dial(url, o, tokens.get, {
      open: greet,
      data: (data) =>
        guarded(() => take((typeof data === 'string' ? json : o.codec).decode(data) as GatewayMessage)),
      close: (code) => lose(reasonOf(code), code),
      failed(error) {
        if (!error.retryable) return finish(error);
        emit('error', error);
        lose(error.reason);
      },
    });
    set('connecting', core.info.reason);
  }

  function send(message: ClientMessage): void {
    debug('send', message.t);
    attempt?.send(o.codec.encode(message), message);
  }

  function greet(token: string): void {
    const hello: Hello = { t: 'hello', token, credit: true, client: 'ridecast-js/0.1.0' };
    for (const part of core.parts) part.hello?.(hello);
    send(hello);
  }

  function take(m: GatewayMessage): void {
    debug('take', m.t);
    if (m.t === 'welcome') {
      next();
      core.welcome = m;
      window = m.reconnect;
    } else if (m.t === 'drain') {
      window = m;
      next(() => lose('server-restart', 0, 0), within(m));
    } else if (m.t === 'error' && !m.w) fail(m.code, 'protocol', m.message);
    for (const part of core.parts) guarded(() => part.take(m));
    // Unless a listener has closed or paused it by now.
    if (core.welcome === m) set('live');
  }

  // A frame we cannot make sense of costs that frame: the next gap check heals what it held.
  function guarded(then: () => void): void {
    try {
      then();
    } catch (error) {
      fail(0, 'protocol', error);
    }
  }

  // ---- between links ----

  /** Lets go of the link, or of the attempt at one; does not wait for its close. */
  function detach(code?: number): void {
    next();
    attempt?.drop(code);
    attempt = core.welcome = undefined;
  }

  /** @param ms until the next dial; by default what the gateway's window or the back-off says */
  function lose(reason: Reason, code = 0, ms?: number): void {
    if (alive.healthy) losses = 0;
    detach();
    if (code === 4401 ? !tokens.rejected() : isFinal(code)) return finish(fault(code, reason));
    const wait = window && !losses ? within(window) : jitter(losses, o.backoff);
    losses++;
    rest(reason, ms ?? wait);
  }

  /** Dials after so many ms, unless nobody looks. */
  function rest(reason?: Reason, ms = 0): void {
    next();
    if (resting()) return set('suspended', paused ? 'user' : 'hidden');
    next(begin, ms);
    set(offline ? 'offline' : 'waiting', reason, Date.now() + ms);
  }

  function suspend(): void {
    if (core.info.state === 'closed') return;
    detach(1000);
    rest();
  }

  /** Something changed for the better: prove the link, or dial soon. */
  function wake(): void {
    if (core.welcome) alive.probe();
    else if (!attempt && core.info.state !== 'closed') {
      losses = 0;
      rest(core.info.reason, Math.random() * WAKE_MS);
    }
  }

  function finish(error?: ClientError): void {
    if (core.info.state === 'closed') return;
    // First, while a last word can still be sent.
    for (const part of core.parts) part.close?.();
    detach(1000);
    hiding();
    stopEnv();
    set('closed', error?.reason ?? 'user');
    if (error) emit('error', error);
    mute();
  }

  const stopEnv = (o.env ?? page)((signal) => {
    hiding();
    if (signal === 'hide' || signal === 'freeze') {
      hidden = true;
      if (o.background) return;
      if (signal === 'freeze') suspend();
      else hiding(suspend, o.suspendAfterMs ?? SUSPEND_MS);
      return;
    }
    if (signal === 'show') hidden = false;
    else offline = signal === 'offline';
    if (!offline || core.welcome) wake();
  });

  if (o.onDebug) on('debug', o.onDebug);
  begin();
  return core;
}

type Debug = Parameters<NonNullable<Options['onDebug']>>[0];

function ready(core: Core, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const { state, reason } = core.info;
      if (signal?.aborted) reject(signal.reason);
      else if (state === 'closed') reject(fault(0, reason!));
      else if (state === 'live') resolve();
      else return;
      off();
      signal?.removeEventListener('abort', look);
    };
    const off = core.on('state', look);
    signal?.addEventListener('abort', look);
    look();
  });
}

const reasons: { [code: number]: Reason } = {
  4300: 'server-restart',
  4301: 'overload',
  4401: 'auth',
  4501: 'replaced',
};

/** 4500–4999 */
const isFinal = (code: number) => Math.floor(code / 500) === 9;

function reasonOf(code: number): Reason {
  return reasons[code] ?? (isFinal(code) ? 'denied' : 'network');
}
