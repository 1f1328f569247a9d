/** @ridecast/client: `connect`, then watch an order, watch a fleet, or ride. Each role is shipped only if imported. */
export { connect } from './connect.ts';
export { watchFleet } from './fleet.ts';
export { watchOrder } from './order.ts';
export { rider } from './rider.ts';
export type * from './types.ts';
