/** Who may begin a session, before anything is known of them but where they come from. */
import type { HttpRequest, HttpResponse } from 'uWebSockets.js';
import type { Answer } from './http.ts';
import type { Limits } from './limits.ts';
import { isAllowed } from './origin.ts';
import type { Socket } from './outbox.ts';
import type { Session } from './session.ts';

export interface DoorParts {
  /** Starts a session. */
  readonly opened: (socket: Socket, header: string | undefined) => Session;
  readonly sessions: Set<Session>;
  readonly ips: Limits;
  /** Whether one more may come in at this moment. */
  readonly admit: () => boolean;
  readonly refused: (reason: string) => void;
  readonly failed: (error: unknown) => void;
  readonly config: {
    readonly allowedOrigins: readonly string[];
    readonly trustProxy: boolean;
    readonly maxSessions: number;
    readonly frameBytes: number;
    readonly idleTimeoutS: number;
    readonly sendBufferBytes: number;
  };
}

export interface Refused {
  readonly reason: string;
  readonly answer: Answer;
}

/** Seconds after which who was refused because all came at once may come again. */
const RETRY_S = 2;

/** The address a request comes from. */
export function addressOf(res: HttpResponse, req: HttpRequest, trustProxy: boolean): string {
  const forwarded = trustProxy ? req.getHeader('x-forwarded-for').split(',').pop()?.trim() : undefined;
  return forwarded || Buffer.from(res.getRemoteAddressAsText()).toString();
}

/** Why a session may not begin; undefined: it may, and counts for its address from now on. */
export function refusal(origin: string, ip: string, parts: DoorParts): Refused | undefined {
  const { config, sessions, ips } = parts;
  const retry = (reason: string, body: string, seconds: number) => ({
    reason,
    answer: { status: 503, body, headers: { 'Retry-After': String(seconds) } },
  });
  if (!isAllowed(origin, config.allowedOrigins))
    return { reason: 'origin', answer: { status: 403, body: 'this origin is not in ALLOWED_ORIGINS' } };
  if (sessions.size >= config.maxSessions) return retry('full', 'this node is full', 5);
  if (!parts.admit()) return retry('rate', 'too many new sessions at once', RETRY_S);
  if (!ips.enter(ip)) return retry('ip', 'too many sessions from this address', 30);
  return undefined;
}
