/** What makes a measurement doubtful, told by the measurement itself. */
import { CPU_LIMIT, LAG_LIMIT_MS } from '../loadtest/load/saturation.ts';
import type { Window } from './loader.ts';

/** Share of the server's core that went to others, above which its figures are not its own. */
const OTHERS_LIMIT = 0.1;

export function doubtsOf({ load, others }: Pick<Window, 'load' | 'others'>): string[] {
  const doubts: string[] = [];
  if (load.cpu > CPU_LIMIT) doubts.push(`the load used ${percent(load.cpu)} of its core`);
  if (load.lateP99Ms > LAG_LIMIT_MS)
    doubts.push(`pings went out up to ${Math.round(load.lateP99Ms)} ms late`);
  if (others !== null && others > OTHERS_LIMIT)
    doubts.push(`others used ${percent(others)} of the server's core`);
  return doubts;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
