/** When the generator, and not the gateway, makes the numbers. */
import type { SelfSample } from './tally.ts';

/** Beyond either of these a process of the generator is the limit: late for a hundredth of a second's time, or busy. */
export const LAG_LIMIT_MS = 20;
export const CPU_LIMIT = 0.9;
/** More than this share of its seconds: the run is marked. */
export const SATURATED_SHARE = 0.1;
/** All cores this busy, on average: nobody got what they asked for. */
const MACHINE_LIMIT = 0.95;

export function isSaturated({ cpu, lagP99Ms }: Pick<SelfSample, 'cpu' | 'lagP99Ms'>): boolean {
  return cpu > CPU_LIMIT || lagP99Ms > LAG_LIMIT_MS;
}

/** Whether a process with these seconds spoils the run. */
export function spoils(samples: readonly Pick<SelfSample, 'cpu' | 'lagP99Ms'>[]): boolean {
  return samples.filter(isSaturated).length > samples.length * SATURATED_SHARE;
}

/** @param busy shares of all cores, second by second */
export function isFull(busy: readonly number[]): boolean {
  return busy.length > 0 && busy.reduce((sum, n) => sum + n, 0) / busy.length > MACHINE_LIMIT;
}
