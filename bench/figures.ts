/** Figures of one run, and what several runs of the same amount to. */

/** By name; null: it could not be told. */
export type Figures = Readonly<Record<string, number | null>>;

export interface Summary {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  /** How many runs told it. */
  readonly runs: number;
}

/** Undefined if no run told it. */
export function summarize(values: readonly (number | null | undefined)[]): Summary | undefined {
  const sorted = values.filter((value): value is number => value != null).sort((a, b) => a - b);
  if (sorted.length === 0) return undefined;
  return { median: medianOf(sorted), low: sorted[0]!, high: sorted[sorted.length - 1]!, runs: sorted.length };
}

/** Of sorted values, at least one. */
function medianOf(sorted: readonly number[]): number {
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The range over the median from which on a figure says little: CPU-seconds of one machine repeat to some 8 %. */
const NOISE_LIMIT = 0.3;

/** Whether the runs differ too much among themselves to be trusted. */
export function isNoisy({ median, low, high, runs }: Summary): boolean {
  return runs > 1 && high - low > NOISE_LIMIT * Math.abs(median);
}

/** Of two contenders, run by run: what was measured in the same minute is compared. */
export function ratios(
  ours: readonly (number | null | undefined)[],
  theirs: readonly (number | null | undefined)[],
): (number | null)[] {
  return ours.map((value, run) => {
    const other = theirs[run];
    return value == null || other == null || other === 0 ? null : value / other;
  });
}
