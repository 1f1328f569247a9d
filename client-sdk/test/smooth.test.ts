import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { emitter } from '../src/emitter.ts';
import { animate, type Pose, smooth } from '../src/smooth.ts';
import type { Order, Position, Watch, WatchEvents } from '../src/types.ts';

const fix = (at: number, lat: number, lng = 13, over: Partial<Position> = {}): Position => ({
  lat,
  lng,
  at,
  ...over,
});
/** 1e-4 degree of latitude: 11 m. */
const STEP = 1e-4;

function driving(seconds: number, o = {}) {
  let t = 0;
  const dot = smooth({ now: () => t, ...o });
  for (let s = 0; s <= seconds; s++) {
    t = s * 1000;
    dot.push(fix(t, 52 + s * STEP, 13, { heading: 0 }));
  }
  return { dot, set: (now: number) => (t = now) };
}

describe('smooth', () => {
  it('knows nothing before the first position and stands on it afterwards', () => {
    const dot = smooth({ now: () => 0 });
    expect(dot.at()).toBeUndefined();
    dot.push(fix(0, 52));
    expect(dot.at(5000)).toEqual({ lat: 52, lng: 13, heading: undefined, moving: false });
  });

  it('glides between two positions, one interval late', () => {
    const { dot } = driving(10);
    const pose = dot.at(10_500)!;
    expect(pose.lat).toBeCloseTo(52 + 9.5 * STEP, 8);
    expect(pose.moving).toBe(true);
  });

  it('does not need the clocks to agree', () => {
    let t = 0;
    const dot = smooth({ now: () => t });
    for (let s = 0; s <= 10; s++) {
      t = s * 1000 + 3_600_000;
      dot.push(fix(s * 1000, 52 + s * STEP));
    }
    expect(dot.at(3_610_500)!.lat).toBeCloseTo(52 + 9.5 * STEP, 8);
  });

  it('goes on for a second when nothing arrives, then stands', () => {
    const { dot } = driving(10);
    expect(dot.at(11_500)!.lat).toBeCloseTo(52 + 10.5 * STEP, 8);
    expect(dot.at(60_000)).toMatchObject({ moving: false });
    expect(dot.at(60_000)!.lat).toBeCloseTo(52 + 11 * STEP, 8);
  });

  it('is parked when the rider is', () => {
    let t = 0;
    const dot = smooth({ now: () => t });
    for (; t <= 5000; t += 1000) dot.push(fix(t, 52));
    expect(dot.at(6500)).toMatchObject({ lat: 52, moving: false });
  });

  it('turns the short way, over north and over the date line', () => {
    let t = 0;
    const dot = smooth({ now: () => t, delayMs: 1000 });
    dot.push(fix(0, 0, 179.9999, { heading: 350 }));
    t = 1000;
    dot.push(fix(1000, 0, -179.9999, { heading: 10 }));
    const pose = dot.at(1500)!;
    expect(pose.heading! % 360).toBeCloseTo(0, 6);
    expect(Math.abs(pose.lng)).toBeCloseTo(180, 6);
  });

  it('jumps what is too far to glide', () => {
    const { dot, set } = driving(10);
    set(11_000);
    dot.push(fix(11_000, 53));
    expect(dot.at(11_001)!.lat).toBe(53);
    // And does not go on at the pace of the jump.
    expect(dot.at(12_500)).toMatchObject({ lat: 53, moving: false });
  });

  it('glides over the date line, where a jump would be seen from afar', () => {
    let t = 0;
    const dot = smooth({ now: () => t, delayMs: 1000, snapBeyondM: 100 });
    dot.push(fix(0, 0, 179.9999));
    t = 1000;
    dot.push(fix(1000, 0, -179.9999));
    expect(dot.at(1250)!.lng).toBeCloseTo(179.99995, 6);
    expect(dot.at(1750)!.lng).toBeCloseTo(-179.99995, 6);
  });

  it('ignores a position that is not newer', () => {
    const { dot } = driving(10);
    const before = dot.at(10_500);
    dot.push(fix(9_000, 10));
    expect(dot.at(10_500)).toEqual(before);
  });

  it('never jumps: between two frames 16 ms apart it moves as a rider could', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ wait: fc.integer({ min: 300, max: 4000 }), jitter: fc.integer({ min: 0, max: 600 }) }),
          { minLength: 3, maxLength: 20 },
        ),
        (fixes) => {
          let t = 0;
          let taken = 0;
          const dot = smooth({ now: () => t });
          let shown: Pose | undefined;
          for (const { wait, jitter } of fixes) {
            taken += wait;
            // 10 m/s north; frames are drawn until the fix arrives.
            for (; t < taken + jitter; t += 16) {
              const pose = dot.at();
              if (pose && shown) expect(Math.abs(pose.lat - shown.lat) * 111_195).toBeLessThan(2);
              shown = pose;
            }
            dot.push(fix(taken, 52 + ((taken / 1000) * 10) / 111_195));
          }
        },
      ),
    );
  });
});

describe('animate', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('draws while the dot moves, rests when it is parked, and stops when told', () => {
    let frames: (() => void)[] = [];
    vi.stubGlobal('requestAnimationFrame', (f: () => void) => frames.push(f));
    vi.stubGlobal('cancelAnimationFrame', () => {
      frames = [];
    });
    let t = 0;
    const run = () => {
      const due = frames;
      frames = [];
      for (const frame of due) frame();
    };
    const { handle, emit } = emitter<{ position: Position } & WatchEvents<Order>>(() => {});
    const watch = { ...handle, snapshot: undefined } as unknown as Watch<Order, { position: Position }>;
    const drawn: Pose[] = [];
    const off = animate(watch, (p) => drawn.push(p), { now: () => t });
    expect(frames).toHaveLength(0);
    emit('position', fix(0, 52));
    run();
    expect(drawn).toHaveLength(1);
    expect(frames).toHaveLength(0);
    t = 1000;
    emit('position', fix(1000, 52 + STEP));
    for (; t < 2000; t += 100) run();
    expect(drawn.length).toBeGreaterThan(8);
    t = 10_000;
    run();
    expect(frames).toHaveLength(0);
    emit('position', fix(10_000, 52 + 2 * STEP));
    off();
    expect(frames).toHaveLength(0);
    emit('position', fix(11_000, 52 + 3 * STEP));
    expect(frames).toHaveLength(0);
  });
});
