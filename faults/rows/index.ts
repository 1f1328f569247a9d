/** The rows, in the order they are run. */
import type { Row } from '../row.ts';
import { clientKill } from './client-kill.ts';
import { eatReply } from './eat-reply.ts';
import { failoverFewer, failoverMore, failoverSame } from './failover.ts';
import { restartEmpty } from './restart-empty.ts';

export const rows: readonly Row[] = [
  clientKill,
  restartEmpty,
  failoverFewer,
  failoverSame,
  failoverMore,
  eatReply,
];
