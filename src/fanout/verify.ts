/** Whether order channels still stand where the store says: one pipelined look at all of them. */
import type { Store } from '../backbone/store.ts';
import type { OrderChannel } from './order-channel.ts';

/**
 * The channels that must be read again. An event on its way makes a channel look drifted that is not: reading it again
 * does no harm, so there is no second look. Positions that were missed are shown on the way.
 */
export async function driftedOrders(
  store: Pick<Store, 'heads' | 'getPositions'>,
  channels: readonly OrderChannel[],
): Promise<OrderChannel[]> {
  const riders = channels.flatMap(({ rider }) => rider ?? []);
  const [heads, positions] = await Promise.all([
    store.heads(channels.map(({ id }) => id)),
    store.getPositions([...new Set(riders)]),
  ]);
  const newest = new Map(positions.flatMap((p) => (p === undefined ? [] : [[p.rider, p] as const])));
  return channels.filter((channel, i) => {
    const position = newest.get(channel.rider ?? '');
    if (position !== undefined) channel.see(position);
    return !channel.standsAt(heads[i]);
  });
}
