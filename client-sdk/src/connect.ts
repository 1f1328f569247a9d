import { jitter, within } from './backoff.ts';
import { clock } from './clock.ts';
import { credentials } from './credentials.ts';
import { emitter } from './emitter.ts';
import { page } from './page.ts';
import { type Session, session } from './session.ts';
import { webSocket } from './socket.ts';
import type {
  Client,
  ClientError,
  ClientEvents,
  Codec,
  Info,
  Link,
  Options,
  Reason,
  State,
} from './types.ts';
import {
  type ClientMessage,
  type Core,
  fault,
  type GatewayMessage,
  type Hello,
  type Message,
  type Part,
} from './wire.ts';

/** Covers token, open and welcome, ms. */
const CONNECT_MS = 10_000;
/** On waking up, everybody dials within this, ms. */
const WAKE_MS = 300;
const SUSPEND_MS = 30_000;

const json: Codec = {
  protocol: 'ridecast.v1.json',
  encode: JSON.stringify,
  decode: (data) => JSON.parse(data as string),
};

/**
 * Connects to a gateway, and stays connected: it ends only by `close()`, a refused token that cannot be replaced, or a
 * close code 4500–4999. Returns at once; `url` (`wss://host/v1/ws`) is asked for before each dial.
 */
export function connect(url: string | (() => string | Promise<string>), o: Options): Client {
  const { on, emit } = emitter<ClientEvents>();
  const time = clock();
  const tokens = credentials(o.token);
  const codec = o.codec ?? json;
  const parts = new Set<Part>();

  let info: Info = { state: 'connecting', attempt: 0 };
  /** The dial or link that counts; callbacks of any other are stale. */
  let current: AbortController | undefined;
  let link: Link | undefined;
  let talk: Session | undefined;
  /** The newest of any link: its reconnect window outlives it. */
  let welcome: Message<'welcome'> | undefined;
  /** Lost links and failed dials since a link was healthy. */
  let losses = 0;
  let watches = 0;
  let heardAt = 0;
  /** When the node wants us gone, on this device's clock; 0: it does not. */
  let leaveAt = 0;
  let hidden = false;
  let offline = false;
  let paused = false;
  /** The next step of dialling: the dial itself, or its deadline. */
  let step: ReturnType<typeof setTimeout> | undefined;
  let leaving: ReturnType<typeof setTimeout> | undefined;
  let hiding: ReturnType<typeof setTimeout> | undefined;

  const live = () => talk?.welcome !== undefined;
  const resting = () => paused || (hidden && !o.background);
  const debug = (ev: string, data?: unknown) => o.onDebug?.({ t: Date.now(), ev, data });

  function set(state: State, reason?: Reason, retryAt?: number): void {
    info = { state, reason, attempt: losses, retryAt, rttMs: talk?.rttMs };
    debug('state', info);
    for (const part of [...parts]) part.state?.();
    emit('state', info);
  }

  function fail(error: ClientError): void {
    emit('error', error);
  }

  function send(message: ClientMessage): void {
    debug('send', message.t);
    link?.send(codec.encode(message));
  }

  // ---- one link ----

  async function dial(): Promise<void> {
    clearTimeout(step);
    if (resting()) return rest();
    const mine = new AbortController();
    const ifMine = (then: () => void) => current === mine && then();
    current = mine;
    step = setTimeout(() => lose('timeout'), CONNECT_MS);
    set('connecting', info.reason);
    try {
      const token = await tokens.get(mine.signal);
      const to = typeof url === 'string' ? url : await url();
      if (current !== mine) return;
      const events = {
        open: () => ifMine(() => greet(token, mine.signal)),
        data: (data: string | ArrayBuffer) => ifMine(() => receive(data)),
        close: (code: number) => ifMine(() => lose(reasonOf(code), code)),
      };
      link = (o.transport ?? webSocket)(to, events, { ...o, codec });
    } catch (error) {
      const final = (error as ClientError | undefined)?.retryable === false;
      ifMine(() => {
        const e = fault(0, 'auth', String(error), !final);
        if (final) return finish(e);
        fail(e);
        lose('auth');
      });
    }
  }

  function greet(token: string, signal: AbortSignal): void {
    const hello: Hello = { t: 'hello', token, credit: true, client: 'ridecast-js/0.1.0' };
    for (const part of parts) part.hello?.(hello);
    talk = session({
      time,
      tokens,
      signal,
      send,
      dead: () => lose('timeout'),
      stale: (error) => fail(fault(0, 'auth', String(error), true)),
    });
    send(hello);
  }

  function receive(data: string | ArrayBuffer): void {
    talk?.heard();
    guarded(() => take(codec.decode(data) as GatewayMessage));
  }

  function take(m: GatewayMessage): void {
    debug('take', m.t);
    talk?.take(m);
    heardAt = time.now();
    if (m.t === 'welcome') {
      clearTimeout(step);
      welcome = m;
    } else if (m.t === 'drain') leave(within(m));
    else if (m.t === 'error' && !m.w) fail(fault(m.code, 'protocol', m.message, true));
    for (const part of [...parts]) guarded(() => part.take(m));
    if (m.t === 'welcome') set('live');
    else if (m.t === 'positions') talk?.handled();
  }

  // A frame we cannot make sense of costs that frame: the next gap check heals what it held.
  function guarded(then: () => void): void {
    try {
      then();
    } catch (error) {
      fail(fault(0, 'protocol', String(error), true));
    }
  }

  function leave(ms: number): void {
    leaveAt = Date.now() + ms;
    clearTimeout(leaving);
    leaving = setTimeout(() => lose('server-restart'), ms);
  }

  // ---- between links ----

  /** Lets go of the link, or of the attempt at one; does not wait for its close. */
  function detach(code?: number): void {
    clearTimeout(step);
    clearTimeout(leaving);
    talk?.end();
    current?.abort();
    link?.drop(code);
    current = link = talk = undefined;
  }

  function lose(reason: Reason, code = 0): void {
    if (talk?.healthy) losses = 0;
    detach();
    if (code === 4401 && !tokens.rejected()) return finish(fault(code, reason));
    if (code >= 4500 && code < 5000) return finish(fault(code, reason));
    const window = welcome?.reconnect;
    const wait = leaveAt
      ? leaveAt - Date.now()
      : window && !losses
        ? within(window)
        : jitter(losses, o.backoff);
    leaveAt = 0;
    losses++;
    rest(reason, Math.max(0, wait));
  }

  /** Dials after so many ms, unless nobody looks. */
  function rest(reason?: Reason, ms = 0): void {
    clearTimeout(step);
    if (resting()) return set('suspended', paused ? 'user' : 'hidden');
    step = setTimeout(dial, ms);
    set(offline ? 'offline' : 'waiting', reason, Date.now() + ms);
  }

  function suspend(): void {
    if (info.state === 'closed') return;
    detach(1000);
    leaveAt = 0;
    rest();
  }

  /** Something changed for the better: prove the link, or dial soon. */
  function wake(): void {
    if (live()) talk?.probe();
    else if (!current && info.state !== 'closed') {
      losses = 0;
      rest(info.reason, Math.random() * WAKE_MS);
    }
  }

  function finish(error?: ClientError): void {
    if (info.state === 'closed') return;
    detach(1000);
    clearTimeout(hiding);
    stopEnv();
    set('closed', error?.reason ?? 'user');
    if (error) fail(error);
    for (const part of [...parts]) part.close();
  }

  const stopEnv = (o.env ?? page)((signal) => {
    clearTimeout(hiding);
    if (signal === 'hide' || signal === 'freeze') {
      hidden = true;
      if (o.background) return;
      if (signal === 'freeze') suspend();
      else hiding = setTimeout(suspend, o.suspendAfterMs ?? SUSPEND_MS);
      return;
    }
    if (signal === 'show') hidden = false;
    else offline = signal === 'offline';
    if (!offline || live()) wake();
  });

  function ready(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (signal?.aborted) reject(signal.reason);
        else if (info.state === 'closed') reject(fault(0, info.reason!));
        else if (live()) resolve();
        else return;
        off();
      };
      const off = on('state', look);
      signal?.addEventListener('abort', look, { once: true });
      look();
    });
  }

  const core: Core = {
    get info() {
      return info;
    },
    get welcome() {
      return talk?.welcome;
    },
    get heardAt() {
      return heardAt;
    },
    parts,
    time,
    now: time.now,
    on,
    ready,
    nextWatch: () => ++watches,
    send: (message) => live() && send(message),
    buffered: () => link?.buffered() ?? 0,
    pause() {
      paused = true;
      suspend();
    },
    resume() {
      paused = false;
      wake();
    },
    close: () => finish(),
    [Symbol.dispose]: () => finish(),
  };
  void dial();
  return core;
}

function reasonOf(code: number): Reason {
  if (code === 4300) return 'server-restart';
  if (code === 4301) return 'overload';
  if (code === 4401) return 'auth';
  if (code === 4501) return 'replaced';
  return code >= 4500 && code < 5000 ? 'denied' : 'network';
}
