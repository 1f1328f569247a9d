export interface Window {
  readonly after: number;
  readonly spread: number;
}

/** A moment in the gateway's window, ms from now. */
export const within = (w: Window): number => w.after + Math.random() * w.spread;

/** Full jitter: ms to wait after `losses` losses in a row. */
export function jitter(
  losses: number,
  { baseMs = 1000, capMs = 30_000 }: { baseMs?: number; capMs?: number } = {},
) {
  return Math.random() * Math.min(capMs, baseMs * 2 ** losses);
}
