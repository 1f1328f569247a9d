import { MAX_PINGS, type Ping, ping, type Refusal } from '../protocol/messages.ts';

/** Sorts a batch that does not fit the schema as a whole: the pings that do, and the numbers of those that do not. */
export function splitPings(pings: unknown): { good: Ping[]; refused: [number, Refusal][] } {
  const good: Ping[] = [];
  const refused: [number, Refusal][] = [];
  if (!Array.isArray(pings) || pings.length > MAX_PINGS) return { good, refused };
  for (const item of pings as unknown[]) {
    const parsed = ping.safeParse(item);
    if (parsed.success) good.push(parsed.data);
    else {
      const seq = ping.shape.seq.safeParse((item as { seq?: unknown } | null)?.seq);
      if (seq.success) refused.push([seq.data, 'range']);
    }
  }
  return { good, refused };
}
