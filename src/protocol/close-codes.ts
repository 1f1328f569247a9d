/**
 * Close codes, in bands: 4000–4499 come back (with back-off), 4500–4999 do not.
 * A new code needs no new client, which shows the reason as it is. Each has a heading in PROTOCOL.md; a test checks that.
 */
export interface CloseCode {
  readonly code: number;
  readonly reason: string;
}

export const CloseCodes = {
  /** The gateway, when the drain window is over. */
  draining: { code: 4300, reason: 'server-restart' },
  /** The gateway, when it cannot take the session now. */
  overloaded: { code: 4301, reason: 'overload' },
  /** Missing, invalid or expired token: at hello, or later when nobody refreshed it. */
  token: { code: 4401, reason: 'auth' },
  /** No hello within the deadline. */
  helloTimeout: { code: 4408, reason: 'hello timeout' },
  /** An event could not be sent. The cursor stays good. */
  behind: { code: 4410, reason: 'behind' },
  /** More frames a second than allowed, sustained. */
  rate: { code: 4429, reason: 'rate' },
  /** Too many sessions of one subject. */
  sessions: { code: 4430, reason: 'sessions' },
  /** Not a client of this protocol. */
  protocol: { code: 4500, reason: 'protocol' },
  /** A newer session of this rider took over. */
  replaced: { code: 4501, reason: 'replaced' },
  /** The role may not do that, or a refresh tried to change the identity. */
  refused: { code: 4503, reason: 'denied' },
} as const satisfies Record<string, CloseCode>;

/** Whether a client should dial again after this code. Every code outside 4500–4999 says yes. */
export function comesBack(code: number): boolean {
  return code < 4500 || code > 4999;
}
