/** One system under one steady load: started, loaded, measured, stopped. */
import { doubtsOf } from './doubts.ts';
import type { Crowd, Measured } from './load/messages.ts';

export type { Crowd };

import type { Window } from './loader.ts';
import type { Line, Run } from './row.ts';
import type { Stand, System } from './systems/system.ts';

export interface Steady extends Crowd {
  /** Pings a second of each rider. */
  readonly hz: number;
  /** Loaded so long before it is measured, s. */
  readonly warmS: number;
  readonly measureS: number;
}

/** What a steady load showed. */
export interface Shown {
  readonly window: Window;
  /** From the beginning to the last late message. */
  readonly all: Measured;
}

const RECORD_BYTES = 16;

/** Bytes of a position in a zone's frame, as our own gateway last had them in this row. */
export function recordBytes({ memo }: Pick<Run, 'memo'>): number {
  return memo.get('recordBytes') ?? RECORD_BYTES;
}

/** Starts a system, hands it over, and stops it whatever happens. */
export async function withStand<T>(
  system: System,
  load: Pick<Steady, 'channel' | 'riders' | 'hz'>,
  run: Run,
  task: (stand: Stand) => Promise<T>,
): Promise<T> {
  const stand = await system.start({ ...load, recordBytes: recordBytes(run) });
  try {
    return await task(stand);
  } finally {
    await run.loader.end();
    await stand.stop();
  }
}

export function steady(system: System, load: Steady, run: Run): Promise<Shown> {
  return withStand(system, load, run, async ({ target, pids }) => {
    const { loader } = run;
    await loader.open(target, load);
    await loader.ride(load.riders, load.hz);
    await new Promise((resolve) => setTimeout(resolve, load.warmS * 1000));
    const window = await loader.measure(load.measureS, pids);
    await loader.rest();
    return { window, all: await loader.settle() };
  });
}

/** CPU-seconds per million of something. */
export function perMillion(cpu: number | null | undefined, count: number): number | null {
  return cpu == null || count === 0 ? null : (cpu / count) * 1e6;
}

/** The share of positions that never came, %; below 0: some came twice. */
export function lostPercent({ sent, shown }: Measured, perPing: number): number {
  return (1 - shown / (sent * perPing)) * 100;
}

/** The line of a contender that has one. */
export function lineOf({ window }: Pick<Shown, 'window'>, figures: Line['figures'], at = ''): Line {
  return { at, figures, doubts: doubtsOf(window) };
}
