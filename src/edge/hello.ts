/** How a session begins: who it is, whether it may come in, and what it is told. */
import { type Grant, subjectOf } from '../fanout/visibility.ts';
import type { Ingest, Opened, RiderLink } from '../ingest/ingest.ts';
import { type CloseCode, CloseCodes } from '../protocol/close-codes.ts';
import { type GatewayMessages, MAX_PINGS, PING_BYTES } from '../protocol/messages.ts';
import { type Auth, TokenError } from './auth.ts';
import type { Limits } from './limits.ts';

export interface HelloParts {
  readonly auth: Auth;
  readonly ingest: Pick<Ingest, 'open'>;
  readonly subjects: Limits;
  readonly node: string;
  readonly now: () => number;
  readonly config: {
    readonly heartbeatMs: number;
    readonly frameBytes: number;
    readonly framesPerSecond: number;
    readonly maxWatches: number;
    readonly reconnectAfterMs: number;
    readonly reconnectSpreadMs: number;
  };
}

/** What the token grants; undefined if it grants nothing. Rejects if its keys cannot be fetched. */
export async function verify(auth: Auth, token: string | undefined): Promise<Grant | undefined> {
  if (token === undefined) return undefined;
  try {
    return await auth(token);
  } catch (error) {
    if (!(error instanceof TokenError)) throw error;
    return undefined;
  }
}

/**
 * Lets a session in, with its rider if it is one, or says with which code it closes. Rejects if the store does not answer.
 * Who was let in has a place among the sessions of its subject, and gives it back by `leave`.
 * @param session the rider session it goes on with
 */
export async function admit(
  grant: Grant,
  session: number | undefined,
  link: RiderLink,
  { ingest, subjects }: HelloParts,
): Promise<{ ok: true; rider: Opened | undefined } | { ok: false; code: CloseCode }> {
  const subject = subjectOf(grant);
  if (!subjects.enter(subject)) return { ok: false, code: CloseCodes.sessions };
  if (grant.role !== 'rider') return { ok: true, rider: undefined };
  try {
    const rider = await ingest.open(grant.sub, session, link);
    if (rider !== undefined) return { ok: true, rider };
    subjects.leave(subject);
    return { ok: false, code: CloseCodes.replaced };
  } catch (error) {
    subjects.leave(subject);
    throw error;
  }
}

/** The session that was let in with this grant and this rider is over. */
export function leave(
  grant: Grant,
  rider: Opened | undefined,
  { subjects }: Pick<HelloParts, 'subjects'>,
): void {
  rider?.close();
  subjects.leave(subjectOf(grant));
}

/** What was agreed on: position frames in flight, if the client sends credit, and packed positions. */
export interface Agreed {
  readonly credit: GatewayMessages['welcome']['credit'];
  readonly packed: boolean;
}

/** The answer to `hello`. */
export function welcome(
  name: string,
  grant: Grant,
  rider: Opened | undefined,
  { credit, packed }: Agreed,
  { node, now, config }: HelloParts,
): GatewayMessages['welcome'] {
  const at = now();
  return {
    t: 'welcome',
    session: name,
    node,
    now: at,
    role: grant.role,
    sub: grant.sub,
    heartbeat: config.heartbeatMs,
    tokenTtl: Math.max(0, grant.expiresAt - at),
    limits: {
      frameBytes: config.frameBytes,
      framesPerSecond: config.framesPerSecond,
      watches: config.maxWatches,
      pingsPerFrame: Math.min(MAX_PINGS, Math.floor(config.frameBytes / PING_BYTES)),
    },
    reconnect: { after: config.reconnectAfterMs, spread: config.reconnectSpreadMs },
    ...(rider === undefined ? {} : { rider: { session: rider.session, seq: rider.seq } }),
    ...(credit === undefined ? {} : { credit }),
    packed,
  };
}
