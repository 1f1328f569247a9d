/** What the page says about statuses, times and freshness. */
import type { Client, Freshness } from '@ridecast/client';

export const STEPS = ['assigned', 'picked_up', 'arriving', 'delivered'] as const;

const STATUS_WORDS: Readonly<Record<string, string>> = {
  created: 'Created',
  assigned: 'Assigned',
  picked_up: 'Picked up',
  arriving: 'Arriving',
  delivered: 'Delivered',
  cancelled: 'Cancelled',
};

export const statusWord = (status: string): string => STATUS_WORDS[status] ?? status;

/** 3 -> "3 s", 95 -> "1 min", … */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

export const clock = (at: number): string =>
  new Date(at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });

export interface Honest {
  readonly kind: 'live' | 'stale' | 'lost' | 'connecting' | 'reconnecting' | 'offline' | 'ended';
  readonly text: string;
}

/**
 * How much what is shown can be trusted. The link comes first: without it nothing is live, however fresh it was.
 * @param seenAt when the newest position was taken, ms on the gateway's clock
 */
export function honest(
  client: Client,
  freshness: Freshness,
  seenAt: number | undefined,
  wasLive: boolean,
): Honest {
  if (freshness === 'ended') return { kind: 'ended', text: 'Completed' };
  const { state } = client.info;
  if (state === 'offline') return { kind: 'offline', text: 'You are offline' };
  if (state !== 'live') {
    return wasLive
      ? { kind: 'reconnecting', text: 'Connection lost, reconnecting…' }
      : { kind: 'connecting', text: 'Connecting…' };
  }
  if (freshness === 'catching-up') return { kind: 'connecting', text: 'Catching up…' };
  if (freshness === 'live') return { kind: 'live', text: 'Live' };
  const ago = seenAt === undefined ? '' : ` ${span(client.now() - seenAt)} ago`;
  return {
    kind: freshness,
    text: freshness === 'stale' ? `Last seen${ago}` : `Signal lost, last seen${ago}`,
  };
}
