import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { realTimers } from '../src/observe/timers.ts';

describe('a beat', () => {
  beforeEach(() => void vi.useFakeTimers({ now: 1_764_000_000_110 }));
  afterEach(() => void vi.useRealTimers());

  /** When it ran, in ms after a second. */
  function beats(work: (nth: number) => void = () => {}) {
    const ran: number[] = [];
    const undo = realTimers.beat(250, 50, () => {
      ran.push(Date.now() % 1000);
      work(ran.length);
    });
    return { ran, undo };
  }

  it('keeps to the clock on the wall, whenever it was begun', () => {
    const { ran, undo } = beats();
    vi.advanceTimersByTime(1000);
    expect(ran).toEqual([300, 550, 800, 50]);
    undo();
    vi.advanceTimersByTime(1000);
    expect(ran).toHaveLength(4);
  });

  it('finds the beat again after a clock was set or a turn took long', () => {
    const { ran, undo } = beats((nth) => {
      if (nth === 2) vi.setSystemTime(Date.now() + 215);
    });
    vi.advanceTimersByTime(1500);
    undo();
    // At 15 it is 35 ms to the beat of 50: too soon.
    expect(ran).toEqual([300, 550, 15, 300, 550, 800]);
  });
});
