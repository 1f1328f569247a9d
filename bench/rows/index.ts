/** All rows, in the order in which they are run and shown. */
import type { Row } from '../row.ts';
import { orders } from './orders.ts';
import { pings } from './pings.ts';
import { zoneMap } from './zone-map.ts';

export const rows: readonly Row[] = [zoneMap, orders, pings];
