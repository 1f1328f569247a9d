import { jitter, type Window, within } from './backoff.ts';
import { credentials } from './credentials.ts';
import { credit } from './credit.ts';
import { emitter } from './emitter.ts';
import { CONNECT_MS, HEALTHY_MS, SUSPEND_MS, WAKE_MS } from './limits.ts';
import { liveness } from './liveness.ts';
import { page } from './page.ts';
import { webSocket } from './socket.ts';
import { timer } from './timer.ts';
import type {
  Around,
  Client,
  ClientError,
  ClientEvents,
  Codec,
  Link,
  Off,
  Options,
  Reason,
  State,
} from './types.ts';
import { type ClientMessage, type Core, fault, type GatewayMessage, type Hello, type Word } from './wire.ts';

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
  const o = { ...options, codec: options.codec ?? json, webSocket };
  const { handle, emit, mute } = emitter<ClientEvents>(() => finish());
  /** The next step of dialling: the dial itself, its deadline, the moment to leave. */
  const next = timer();
  const hiding = timer();

  /** Ends the attempt at a link, or the link. */
  let attempt: AbortController | undefined;
  let link: Link | undefined;
  /** Of the newest welcome or drain: it outlives its link. */
  let window: Window | undefined;
  /** Since when the link is live. */
  let liveAt = 0;
  /** Lost links and failed dials since a link was healthy. */
  let losses = 0;
  let around: Around = {};
  let paused = false;

  const core = {
    info: { state: 'connecting', attempt: 0 },
    skew: 0,
    lastWatch: 0,
    parts: new Set(),
    now: () => Date.now() + core.skew,
    async ready() {
      while (core.info.state !== 'live') {
        if (core.info.state === 'closed') throw fault(0, core.info.reason!);
        let off: Off;
        await new Promise((changed) => {
          off = handle.on('state', changed);
        });
        off!();
      }
    },
    say: (message) => core.greeting && send(message),
    backlog: () => link!.buffered(),
    pause() {
      paused = true;
      suspend();
    },
    resume() {
      paused = false;
      wake();
    },
    ...handle,
  } satisfies Omit<Core, 'heardAt' | 'frameSize'> as Core;
  const { probe, heard } = liveness(core, () => lose('timeout'));
  const getToken = credentials(core, o.token, (error) => fail(0, 'auth', error));
  credit(core);

  const unseen = () => around.hidden && !o.background;
  const resting = () => paused || unseen();

  const set = (state: State, reason?: Reason, retryAt?: number): void => {
    core.info = { state, reason, attempt: losses, retryAt, rttMs: core.roundTrip };
    emit('state', core.info);
  };

  const fail = (code: number | string, reason: Reason, error: unknown): void =>
    emit('error', fault(code, reason, String(error), true));

  // ---- one link ----

  /** One attempt at a link: token, url, open. What it says after it was let go is not heard. */
  const begin = async (): Promise<void> => {
    if (resting()) return rest();
    attempt = new AbortController();
    const { signal } = attempt;
    next(() => lose('timeout'), CONNECT_MS);
    set('connecting', core.info.reason);
    let reason: Reason = 'auth';
    try {
      const token = await getToken(signal);
      reason = 'network';
      const to = typeof url === 'string' ? url : await url();
      if (signal.aborted) return;
      link = (o.transport ?? webSocket)(
        to,
        {
          open() {
            if (signal.aborted) return;
            const hello: Hello = { t: 'hello', token, credit: true, client: 'ridecast-js/0.1.0', watch: [] };
            tell(hello);
            send(hello);
          },
          data: (data) => signal.aborted || hear(data),
          close: (code, reason) => signal.aborted || lose(reason || 'network', code),
        },
        o,
      );
    } catch (error) {
      if (signal.aborted) return;
      if ((error as ClientError | undefined)?.retryable === false)
        return finish(fault(0, reason, String(error)));
      fail(0, reason, error);
      lose(reason);
    }
  };

  // A text we cannot make sense of costs that text: the next gap check heals what it held. What follows a binary frame
  // may be told against it. Text is JSON whatever the codec: a transport may know no other.
  const hear = (data: string | ArrayBuffer): void => {
    const text = typeof data === 'string';
    core.frameSize = text ? data.length : data.byteLength;
    if (!guarded(() => take((text ? json : o.codec).decode(data) as GatewayMessage)) && !text)
      lose('protocol');
  };

  const send = (message: ClientMessage): void => link!.send(o.codec.encode(message), message);

  const take = (m: GatewayMessage): void => {
    heard(m);
    if (m.t === 'welcome') {
      next();
      if (!core.greeting) liveAt = performance.now();
      core.greeting = m;
      window = m.reconnect;
    } else if (m.t === 'drain') {
      window = m;
      // Who sends us away in good order has not failed.
      losses = 0;
      next(() => lose('server-restart', 0, 0), within(m));
    } else if (m.t === 'error' && !m.w) fail(m.code, 'protocol', m.message);
    tell(m);
    // Unless a listener has closed or paused it by now.
    if (core.greeting === m) set('live');
  };

  const tell = (word: Word & { w?: number }): void => {
    for (const part of core.parts)
      if (!word.w || part.w === word.w) guarded(() => part[word.t]?.(word as never));
  };

  /** False: it went wrong, and the app was told. */
  const guarded = (then: () => void): boolean | undefined => {
    try {
      then();
      return true;
    } catch (error) {
      fail(0, 'protocol', error);
    }
  };

  // ---- between links ----

  /** Lets go of the link, or of the attempt at one; does not wait for its close. */
  const detach = (say?: number, code?: number): void => {
    attempt?.abort();
    link?.drop(say);
    attempt = link = core.greeting = undefined;
    tell({ t: 'lost', code });
  };

  /** @param ms until the next dial; by default what the gateway's window or the back-off says */
  const lose = (reason: Reason, code = 0, ms?: number): void => {
    if (core.greeting && performance.now() - liveAt >= HEALTHY_MS) losses = 0;
    detach(undefined, code);
    if (code === 4401 ? typeof o.token === 'string' : isFinal(code)) return finish(fault(code, reason));
    // The window is a wait before the first of the back-off's.
    const wait = window && !losses ? within(window) : jitter(window ? losses - 1 : losses, o.backoff);
    losses++;
    rest(reason, ms ?? wait);
  };

  /** Dials after so many ms, unless nobody looks. */
  const rest = (reason?: Reason, ms = 0): void => {
    next();
    if (core.info.state === 'closed') return;
    if (resting()) return set('suspended', paused ? 'user' : 'hidden');
    next(begin, ms);
    set(around.offline ? 'offline' : 'waiting', reason, Date.now() + ms);
  };

  const suspend = (): void => {
    detach(1000);
    rest();
  };

  /** Something changed for the better: prove the link, or dial soon. */
  const wake = (): void => {
    if (core.greeting) return probe();
    if (attempt) return;
    losses = 0;
    rest(core.info.reason, Math.random() * WAKE_MS);
  };

  const finish = (error?: ClientError): void => {
    if (core.info.state === 'closed') return;
    // First, while a last word can still be sent.
    tell({ t: 'bye' });
    detach(1000);
    next();
    hiding();
    stopEnv();
    set('closed', error?.reason ?? 'user');
    if (error) emit('error', error);
    mute();
  };

  const stopEnv = (o.env ?? page)((now) => {
    const before = unseen();
    around = now;
    if (!unseen()) {
      hiding();
      // Some devices say for ever that they are offline: who is seen again tries.
      if (!now.offline || core.greeting || before) wake();
    } else if (now.frozen) suspend();
    else if (!before) hiding(suspend, o.suspendAfterMs ?? SUSPEND_MS);
  });

  void begin();
  return core;
}

/** 4500–4999 */
const isFinal = (code: number) => code >= 4500 && code < 5000;
