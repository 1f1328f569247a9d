/** What one session watches, by the numbers its client chose. */
import { boundOf } from '../fanout/channel.ts';
import type { Hub, WatchOutcome, WatchRequest } from '../fanout/hub.ts';
import { type Grant, mayWatch } from '../fanout/visibility.ts';
import type { Counts } from '../observe/metrics.ts';
import { parseChannel } from '../protocol/channel.ts';
import type { Problem } from '../protocol/validate.ts';
import type { Outbox } from './outbox.ts';

export interface WatchesParts {
  readonly hub: Pick<Hub, 'watch'>;
  readonly outbox: Outbox;
  readonly counts: Pick<Counts, 'eventsAcked'>;
  /** Watches the session may hold. */
  readonly most: number;
  readonly refuse: (problem: Problem) => void;
  /** A watch could not be answered. */
  readonly failed: () => void;
}

interface Watch {
  readonly channel: string;
  /** The error it allows, metres. */
  readonly bound: number;
  /** Absent while the watch is being set up. */
  leave?: () => void;
  /** Order channels: the client has applied the log up to this offset. */
  acked?: number | undefined;
}

export class Watches {
  private readonly parts: WatchesParts;
  private readonly held = new Map<number, Watch>();
  private eventsAcked = 0;

  constructor(parts: WatchesParts) {
    this.parts = parts;
  }

  /** Begins a watch. It is answered by `watching`, from the hub, or refused. */
  open(request: WatchRequest, grant: Grant): void {
    const { hub, outbox, most, refuse, failed } = this.parts;
    const { w } = request;
    const before = this.held.get(w);
    if (before !== undefined && before.leave === undefined) {
      const message = `watch ${w} is being set up`;
      return refuse({ code: 'watch_exists', message, field: 'w', of: 'watch', w });
    }
    // Watching again under the same number is how a client that missed an event starts over.
    this.leave(w);
    if (this.held.size >= most) {
      const message = `at most ${most} watches a session`;
      return refuse({ code: 'too_many_watches', message, of: 'watch', w });
    }
    const bound = boundOf(request.maxError);
    if (this.hasOtherBound(request.channel, bound)) {
      const message = `another watch of ${request.channel} has another maxError`;
      return refuse({ code: 'watch_exists', message, field: 'maxError', of: 'watch', w });
    }
    const watch: Watch = { channel: request.channel, bound };
    this.held.set(w, watch);
    hub.watch(outbox, grant, request).then((outcome) => this.answered(w, watch, outcome), failed);
  }

  /** Positions are told by channel, so a session is told all of them or those of one error. */
  private hasOtherBound(channel: string, bound: number): boolean {
    for (const other of this.held.values())
      if (other.channel === channel && other.bound !== bound) return true;
    return false;
  }

  private answered(w: number, watch: Watch, outcome: WatchOutcome): void {
    const wanted = this.held.get(w) === watch;
    if (outcome.ok) {
      if (wanted) watch.leave = outcome.leave;
      else outcome.leave();
    } else if (wanted) {
      this.held.delete(w);
      this.parts.refuse({ code: outcome.code, message: outcome.message, of: 'watch', w });
    }
  }

  /** The client wants it no more. */
  leave(w: number): void {
    this.held.get(w)?.leave?.();
    this.held.delete(w);
  }

  /** It is over on the gateway's side. */
  forget(w: number): void {
    this.held.delete(w);
  }

  /** It starts, or starts again, with the log up to that offset. */
  started(w: number, offset: number | undefined): void {
    const watch = this.held.get(w);
    if (watch !== undefined) watch.acked = offset;
  }

  /** The client has applied the events up to that offset. Never more count than were sent to the session. */
  ack(w: number, offset: number): void {
    const { outbox, counts } = this.parts;
    const watch = this.held.get(w);
    if (watch?.acked === undefined) return;
    const applied = Math.min(offset - watch.acked, outbox.eventsSent - this.eventsAcked);
    if (applied <= 0) return;
    watch.acked += applied;
    this.eventsAcked += applied;
    counts.eventsAcked += applied;
  }

  /** Ends those that the grant does not cover. */
  narrow(grant: Grant): void {
    for (const [w, { channel }] of this.held) {
      if (mayWatch(grant, parseChannel(channel))) continue;
      this.leave(w);
      this.parts.outbox.send({ t: 'closed', w, reason: 'denied' });
    }
  }

  /** The session is over. */
  leaveAll(): void {
    for (const w of this.held.keys()) this.leave(w);
  }
}
