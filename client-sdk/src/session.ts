import { answered, type Clock } from './clock.ts';
import type { Credentials } from './credentials.ts';
import { watchdog } from './watchdog.ts';
import type { ClientMessage, GatewayMessage, Message } from './wire.ts';

/** A link that was heard this long after its welcome is healthy, ms. */
const HEALTHY_MS = 10_000;
/** The longest a credit waits, ms. */
const CREDIT_MS = 100;
/** The longest setTimeout can wait, ms. */
const LONGEST_MS = 2 ** 31 - 1;

export interface SessionParts {
  readonly time: Clock;
  readonly tokens: Credentials;
  /** Aborted when the link is gone. */
  readonly signal: AbortSignal;
  send(message: ClientMessage): void;
  /** The link does not answer. */
  dead(): void;
  /** The token could not be renewed; tried again. */
  stale(error: unknown): void;
}

/** One link from its hello to its end: liveness, token, credit. What must not outlive a link lives here. */
export interface Session {
  /** Undefined until the gateway took us. */
  readonly welcome: Message<'welcome'> | undefined;
  readonly rttMs: number | undefined;
  readonly healthy: boolean;
  /** A frame arrived: to be called before it is looked at. */
  heard(): void;
  take(message: GatewayMessage): void;
  /** A positions frame has been dealt with. */
  handled(): void;
  probe(): void;
  end(): void;
}

export function session({ time, tokens, signal, send, dead, stale }: SessionParts): Session {
  const greetedAt = Date.now();
  let welcome: Message<'welcome'> | undefined;
  let liveAt = 0;
  let heardAt = 0;
  let rtt: number | undefined;
  let answer: number | undefined;
  let handled = 0;
  let credited = 0;
  let renewing: ReturnType<typeof setTimeout> | undefined;
  let crediting: ReturnType<typeof setTimeout> | undefined;

  const dog = watchdog(() => send({ t: 'beat' }), dead);

  function begin(m: Message<'welcome'>): void {
    welcome = m;
    rtt = Date.now() - greetedAt;
    answered(time, m.now, rtt);
    liveAt = heardAt = Date.now();
    dog.start(m.heartbeat);
    granted(m.tokenTtl);
  }

  function granted(ttl: number): void {
    tokens.granted(ttl);
    renewIn(Math.max(1000, 0.8 * ttl), Math.max(1000, ttl / 20));
  }

  function renewIn(ms: number, retryMs: number): void {
    clearTimeout(renewing);
    if (!tokens.renewable) return;
    const renew = () =>
      tokens.renew(signal).then(
        (token) => signal.aborted || send({ t: 'refresh', token }),
        (error) => {
          if (signal.aborted) return;
          stale(error);
          renewIn(retryMs, retryMs);
        },
      );
    renewing = setTimeout(renew, Math.min(ms, LONGEST_MS));
  }

  function credit(): void {
    clearTimeout(crediting);
    crediting = undefined;
    credited = handled;
    send({ t: 'credit', n: handled });
  }

  return {
    get welcome() {
      return welcome;
    },
    get rttMs() {
      return rtt;
    },
    get healthy() {
      return welcome !== undefined && heardAt - liveAt >= HEALTHY_MS;
    },
    heard() {
      answer = dog.heard();
      heardAt = Date.now();
    },
    take(m) {
      if (m.t === 'welcome') begin(m);
      else if (m.t === 'refreshed') granted(m.tokenTtl);
      else if (m.t === 'beat' && answer) {
        rtt = answer;
        answered(time, m.now, rtt);
      }
    },
    // Half the window at once, the rest soon: never stalls the gateway, and stays far below its limit of frames.
    handled() {
      if (!welcome?.credit) return;
      if (++handled - credited >= welcome.credit.frames / 2) credit();
      else crediting ??= setTimeout(credit, CREDIT_MS);
    },
    probe: dog.probe,
    end() {
      clearTimeout(renewing);
      clearTimeout(crediting);
      dog.stop();
    },
  };
}
