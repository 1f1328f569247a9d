/** Whose tokens are void although they have not expired: told to every node, and kept for those that start later. */
import type { Bus } from '../backbone/bus.ts';
import type { Revocation, Store } from '../backbone/store.ts';
import { type Grant, subjectOf } from '../fanout/visibility.ts';
import { type Counts, tally } from '../observe/metrics.ts';
import { decodeBus, encodeBus } from '../protocol/bus-messages.ts';
import { CONTROL_CHANNEL } from '../protocol/channel.ts';
import { type Auth, TokenError } from './auth.ts';

const RETRY_MS = 1000;

export interface RevocationsParts {
  readonly bus: Pick<Bus, 'subscribe' | 'publish'>;
  readonly store: Pick<Store, 'revoke' | 'revocations'>;
  readonly counts: Pick<Counts, 'busDrops'>;
  /** Hears of every revocation that is new on this node: sessions of that subject must end. */
  readonly revoked: (revocation: Revocation) => void;
}

export class Revocations {
  private readonly parts: RevocationsParts;
  /** ms since epoch, by role and subject. */
  private readonly before = new Map<string, number>();

  constructor(parts: RevocationsParts) {
    this.parts = parts;
  }

  /** Listens, and learns what is kept. Rejects if the backbone does not answer. */
  async start(): Promise<void> {
    await this.parts.bus.subscribe(CONTROL_CHANNEL);
    await this.learn();
  }

  private async learn(): Promise<void> {
    for (const revocation of await this.parts.store.revocations()) this.take(revocation);
  }

  /** Voids a subject's tokens issued before that moment, on every node. Rejects if that is not certain: call again. */
  async revoke(revocation: Revocation): Promise<void> {
    await this.parts.store.revoke(revocation);
    await this.parts.bus.publish(CONTROL_CHANNEL, encodeBus({ kind: 'revoked', ...revocation }));
  }

  /** The bus was joined anew: reads what is kept until it can be read. */
  generation(): void {
    this.learn().catch(() => setTimeout(() => this.generation(), RETRY_MS).unref());
  }

  /** A message of the control channel. */
  deliver(payload: Uint8Array): void {
    try {
      const message = decodeBus(payload);
      if (message.kind === 'revoked') this.take(message);
    } catch {
      tally(this.parts.counts.busDrops, 'malformed');
    }
  }

  /** The same verifier, for which revoked tokens are no tokens. */
  guard(auth: Auth): Auth {
    return async (token) => {
      const grant = await auth(token);
      if (this.has(grant)) throw new TokenError('the token was revoked');
      return grant;
    };
  }

  /** Whether the token of that grant is void. */
  has(grant: Grant): boolean {
    const before = this.before.get(subjectOf(grant));
    return before !== undefined && (grant.issuedAt ?? 0) < before;
  }

  private take({ subject, before }: Revocation): void {
    if (before <= (this.before.get(subject) ?? 0)) return;
    this.before.set(subject, before);
    this.parts.revoked({ subject, before });
  }
}
