/** An order as the house keeps it, what each audience sees of it, and the rules of its life. Pure. */
import type { Order, Point, Role } from '../protocol/messages.ts';

export interface OrderRecord {
  readonly id: string;
  readonly customer: string;
  readonly partner: string;
  readonly status: string;
  /** When it got that status, ms since epoch. */
  readonly at: number;
  /** Equals the offset of the event that made it. */
  readonly version: number;
  readonly rider?: string;
  /** The rider before this one: index entries of both are brought in line on every write. */
  readonly formerRider?: string;
  /** How many riders it has had. */
  readonly assignment: number;
  readonly ended: boolean;
  readonly zone?: string;
  readonly pickup?: Point;
  readonly destination?: Point;
  readonly eta?: number;
  readonly data?: Record<string, unknown>;
}

/** One entry of an order's log. */
export interface OrderFact {
  readonly type: string;
  readonly order: OrderRecord;
}

/** Who looks. `service` and `rider` tokens look as operators do, and not at all. */
export type Audience = 'customer' | 'partner' | 'operator';

export function audienceOf(role: Role): Audience | undefined {
  if (role === 'customer' || role === 'partner') return role;
  return role === 'rider' ? undefined : 'operator';
}

/** The order as that audience may see it: a customer learns neither rider nor partner. */
export function viewOf(record: OrderRecord, audience: Audience): Order {
  const { formerRider: _, customer, partner, rider, ...shared } = record;
  if (audience === 'customer') return shared;
  return audience === 'partner' ? { ...shared, partner, rider } : { ...shared, partner, rider, customer };
}

/** The configured statuses. */
export interface Lifecycle {
  readonly statuses: readonly string[];
  readonly ends: ReadonlySet<string>;
}

/** An order is not in a state that allows the change; `expected` says what would be. */
export class OrderConflict extends Error {
  readonly expected: string;
  constructor(message: string, expected: string) {
    super(message);
    this.expected = expected;
  }
}

export type NewOrder = Pick<
  OrderRecord,
  'customer' | 'partner' | 'zone' | 'pickup' | 'destination' | 'eta' | 'data'
>;

export function create(id: string, order: NewOrder, now: number): OrderRecord {
  return { id, ...order, status: 'created', at: now, version: 1, assignment: 0, ended: false };
}

/** Gives the order to a rider, from any state but the end. The same rider again changes nothing: undefined. */
export function assign(order: OrderRecord, rider: string, now: number): OrderRecord | undefined {
  if (order.ended) throw new OrderConflict(`the order is ${order.status}`, 'an order that has not ended');
  if (order.rider === rider) return undefined;
  return {
    ...order,
    rider,
    formerRider: order.rider,
    assignment: order.assignment + 1,
    status: 'assigned',
    at: now,
    version: order.version + 1,
  };
}

export interface Advance {
  readonly status: string;
  readonly at?: number;
  readonly eta?: number;
  readonly data?: Record<string, unknown>;
}

/** Moves the order on. Statuses may be skipped; the same one again is allowed (a new ETA); none goes back. */
export function advance(order: OrderRecord, to: Advance, rules: Lifecycle, now: number): OrderRecord {
  const target = rules.statuses.indexOf(to.status);
  if (order.ended) throw new OrderConflict(`the order is ${order.status}`, 'an order that has not ended');
  const from = rules.statuses.indexOf(order.status);
  if (order.rider === undefined && !rules.ends.has(to.status)) {
    throw new OrderConflict('the order has no rider', 'POST …/assign first');
  }
  if (target < from) {
    throw new OrderConflict(`the order is already ${order.status}`, rules.statuses.slice(from).join(' | '));
  }
  return {
    ...order,
    status: to.status,
    at: to.at ?? now,
    version: order.version + 1,
    ended: rules.ends.has(to.status),
    eta: to.eta ?? order.eta,
    data: to.data ?? order.data,
  };
}
