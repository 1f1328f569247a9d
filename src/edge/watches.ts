/** What one session watches, by the numbers its client chose. */
import { boundOf } from '../fanout/channel.ts';
import type { Hub, WatchOutcome, WatchRequest } from '../fanout/hub.ts';
import type { Subscription } from '../fanout/subscription.ts';
import { type Grant, mayWatch } from '../fanout/visibility.ts';
import type { Counts } from '../observe/metrics.ts';
import { parseChannel } from '../protocol/channel.ts';
import type { Problem } from '../protocol/validate.ts';
import type { Outbox } from './outbox.ts';

/** The session, as its watches need it. */
export interface Host {
  refuse(problem: Problem): void;
  /** A watch could not be answered. */
  failed(): void;
}

/** Of the node, the same for all its sessions. */
export interface WatchesParts {
  readonly hub: Pick<Hub, 'watch' | 'unwatch'>;
  readonly counts: Pick<Counts, 'eventsAcked'>;
  readonly config: {
    /** Watches a session may hold. */
    readonly maxWatches: number;
  };
}

interface Watch {
  readonly w: number;
  readonly channel: string;
  /** The error it allows, metres. */
  readonly bound: number;
  /** Undefined while the watch is being set up. */
  subscription: Subscription | undefined;
  /** Order channels: the client has applied the log up to this offset. */
  acked: number | undefined;
}

export class Watches {
  private readonly host: Host;
  private readonly outbox: Outbox;
  private readonly parts: WatchesParts;
  /** Few: a list of them is a fraction of a map, and there are as many lists as sessions. */
  private held: Watch[] = [];
  private eventsAcked = 0;

  constructor(host: Host, outbox: Outbox, parts: WatchesParts) {
    this.host = host;
    this.outbox = outbox;
    this.parts = parts;
  }

  private find(w: number): Watch | undefined {
    return this.held.find((watch) => watch.w === w);
  }

  /** Begins a watch. It is answered by `watching`, from the hub, or refused. */
  open(request: WatchRequest, grant: Grant): void {
    const { host, outbox } = this;
    const { hub, config } = this.parts;
    const { w } = request;
    const before = this.find(w);
    if (before !== undefined && before.subscription === undefined) {
      const message = `watch ${w} is being set up`;
      return host.refuse({ code: 'watch_exists', message, field: 'w', of: 'watch', w, retryable: true });
    }
    // Watching again under the same number is how a client that missed an event starts over.
    this.leave(w);
    if (this.held.length >= config.maxWatches) {
      const message = `at most ${config.maxWatches} watches a session`;
      return host.refuse({ code: 'too_many_watches', message, of: 'watch', w });
    }
    const bound = boundOf(request.maxError);
    if (this.hasOtherBound(request.channel, bound)) {
      const message = `another watch of ${request.channel} has another maxError`;
      return host.refuse({ code: 'watch_exists', message, field: 'maxError', of: 'watch', w });
    }
    const watch: Watch = { w, channel: request.channel, bound, subscription: undefined, acked: undefined };
    if (this.held.length === 0)
      this.held = [watch]; // with room for one: most have one
    else this.held.push(watch);
    hub.watch(outbox, grant, request).then(
      (outcome) => this.answered(w, watch, outcome),
      () => host.failed(),
    );
  }

  /** Positions are told by channel, so a session is told all of them or those of one error. */
  private hasOtherBound(channel: string, bound: number): boolean {
    for (const other of this.held) if (other.channel === channel && other.bound !== bound) return true;
    return false;
  }

  private answered(w: number, watch: Watch, outcome: WatchOutcome): void {
    const wanted = this.find(w) === watch;
    if (outcome.ok) {
      if (wanted) watch.subscription = outcome.subscription;
      else this.parts.hub.unwatch(watch.channel, outcome.subscription);
    } else if (wanted) {
      this.forget(w);
      const { code, message } = outcome;
      const retryable = code === 'unavailable' ? { retryable: true } : {};
      this.host.refuse({ code, message, of: 'watch', w, ...retryable });
    }
  }

  /** The client wants it no more. */
  leave(w: number): void {
    const watch = this.find(w);
    if (watch?.subscription !== undefined) this.parts.hub.unwatch(watch.channel, watch.subscription);
    this.forget(w);
  }

  /** It is over on the gateway's side. */
  forget(w: number): void {
    this.held = this.held.filter((watch) => watch.w !== w);
  }

  /** It starts, or starts again, with the log up to that offset. */
  started(w: number, offset: number | undefined): void {
    const watch = this.find(w);
    if (watch !== undefined) watch.acked = offset;
  }

  /** The client has applied the events up to that offset. Never more count than were sent to the session. */
  ack(w: number, offset: number): void {
    const { outbox } = this;
    const { counts } = this.parts;
    const watch = this.find(w);
    if (watch?.acked === undefined) return;
    const applied = Math.min(offset - watch.acked, outbox.eventsSent - this.eventsAcked);
    if (applied <= 0) return;
    watch.acked += applied;
    this.eventsAcked += applied;
    counts.eventsAcked += applied;
  }

  /** Ends those that the grant does not cover. */
  narrow(grant: Grant): void {
    for (const { w, channel } of this.held) {
      if (mayWatch(grant, parseChannel(channel))) continue;
      this.leave(w);
      this.outbox.send({ t: 'closed', w, reason: 'denied' });
    }
  }

  /** The session is over. */
  leaveAll(): void {
    const { held } = this;
    this.held = [];
    for (const { channel, subscription } of held)
      if (subscription !== undefined) this.parts.hub.unwatch(channel, subscription);
  }
}
