/** All rows, in the order in which they are run and shown. */
import type { Row } from '../row.ts';
import { capacity } from './capacity.ts';
import { memory } from './memory.ts';
import { notifications } from './notifications.ts';
import { orders } from './orders.ts';
import { overload } from './overload.ts';
import { pings } from './pings.ts';
import { stalled } from './stalled.ts';
import { zoneMap } from './zone-map.ts';

export const rows: readonly Row[] = [
  zoneMap,
  capacity,
  orders,
  pings,
  overload,
  notifications,
  stalled,
  memory,
];
