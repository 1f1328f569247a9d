/** Who may see what, when. */
import type { Audience, OrderRecord } from '../orders/order.ts';
import type { ChannelName } from '../protocol/channel.ts';
import type { Role } from '../protocol/messages.ts';

/** What a token grants. */
export interface Grant {
  readonly role: Role;
  readonly sub: string;
  /** ms since epoch. */
  readonly expiresAt: number;
  /** ms since epoch; 0 if the token does not say. */
  readonly issuedAt?: number;
  /** Only these orders, if given. */
  readonly orders?: ReadonlySet<string>;
  /** Only these zones, if given. */
  readonly zones?: ReadonlySet<string>;
}

/** Role and subject: who a token is for. The same subject in another role is somebody else. */
export function subjectOf({ role, sub }: Pick<Grant, 'role' | 'sub'>): string {
  return `${role}:${sub}`;
}

export interface Windows {
  readonly statuses: readonly string[];
  readonly customerFrom: string;
  readonly partnerFrom: string;
  /** From this status on the order's positions are the last to wait on an overloaded node. */
  readonly nearFrom: string;
}

/** Whether the rider is about to arrive. */
export function isNear({ statuses, nearFrom }: Windows, order: OrderRecord): boolean {
  return statuses.indexOf(order.status) >= statuses.indexOf(nearFrom);
}

/** Whether a position of the order's rider may leave the gateway for that audience now. */
export function windowOpen(windows: Windows, audience: Audience, order: OrderRecord): boolean {
  if (order.ended || order.rider === undefined) return false;
  if (audience === 'operator') return true;
  const from = audience === 'customer' ? windows.customerFrom : windows.partnerFrom;
  return windows.statuses.indexOf(order.status) >= windows.statuses.indexOf(from);
}

/** Whether the grant reaches the order at all. The answer to no is the same as to an unknown order. */
export function maySeeOrder(grant: Grant, order: Pick<OrderRecord, 'id' | 'customer' | 'partner'>): boolean {
  if (grant.orders !== undefined && !grant.orders.has(order.id)) return false;
  switch (grant.role) {
    case 'customer':
      return order.customer === grant.sub;
    case 'partner':
      return order.partner === grant.sub;
    case 'operator':
    case 'service':
      return true;
    case 'rider':
      return false;
  }
}

/** Whether the role may watch that channel at all; for orders the order itself decides later. */
export function mayWatch(grant: Grant, channel: ChannelName): boolean {
  const { role } = grant;
  switch (channel.kind) {
    case 'order':
      return role !== 'rider' && (grant.orders === undefined || grant.orders.has(channel.id));
    case 'zone':
      return (
        (role === 'operator' || role === 'service') &&
        (grant.zones === undefined || grant.zones.has(channel.id))
      );
    case 'partner':
      if (role === 'partner') return channel.id === grant.sub && grant.orders === undefined;
      return role === 'operator' || role === 'service';
    case 'rider':
      return false;
  }
}
