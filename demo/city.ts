/**
 * Port Ridecast: a city that exists nowhere, the same on every run. Streets are drawn as an irregular grid on a flat
 * sheet; then the sheet is bent (`warp`), which makes the river meander and the streets follow it.
 */
import { between, dice, metres, type Spot } from './plane.ts';

export type StreetKind = 'avenue' | 'street' | 'bridge';

export interface Street {
  readonly from: number;
  readonly to: number;
  readonly kind: StreetKind;
  /** From `from` to `to`, bends included. */
  readonly path: readonly Spot[];
  /** Metres. */
  readonly length: number;
}

/** Four corners of the flat sheet between streets, counter-clockwise from the south-west. */
export interface Lot {
  readonly corners: readonly [Spot, Spot, Spot, Spot];
  readonly use: 'houses' | 'park';
  /** A diagonal avenue cuts it: 1 from south-west to north-east, -1 the other way. */
  readonly cut: -1 | 0 | 1;
}

export interface City {
  /** Where streets meet. */
  readonly crossings: readonly Spot[];
  readonly streets: readonly Street[];
  readonly lots: readonly Lot[];
  /** The crossing nearest to a spot of the flat sheet. */
  near(spot: Spot): number;
  /** The shortest way along streets. */
  route(from: number, to: number): Spot[];
}

/** Of the flat sheet, metres. */
export const SHEET = { west: -1500, east: 1500, south: -760, north: 940 };
export const RIVER = { west: -130, east: 10 };
export const COAST = -835;
/** South of it: harbour and station. North of it: old town and hills. */
export const MIDDLE = 95;

/** Bends the flat sheet. */
export function warp({ x, y }: Spot): Spot {
  return {
    x: x + 95 * Math.sin(y / 520 + 0.6) + 38 * Math.sin((x + y) / 320),
    y: y + 70 * Math.sin(x / 610 + 1.1) + 34 * Math.sin((x - y) / 360),
  };
}

/** A straight line of the flat sheet as it is after bending. */
export function bent(a: Spot, b: Spot, stepM = 30): Spot[] {
  const steps = Math.max(1, Math.round(metres(a, b) / stepM));
  return Array.from({ length: steps + 1 }, (_, i) => warp(between(a, b, i / steps)));
}

interface Plan {
  readonly columns: number;
  readonly rows: number;
  /** Flat positions, row by row. */
  readonly flat: Spot[];
  readonly at: (column: number, row: number) => number;
  /** The last column west of the river. */
  readonly quay: number;
}

/** Column and row numbers. */
const PARK = { west: 13, east: 16, south: 8, north: 10 };
const BRIDGES = [2, 6, 10, 13];
const AVENUE_COLUMNS = [4, 15];
/** Start, and steps: east, and north or south. */
const DIAGONALS = [
  { column: 1, row: 1, steps: 6, north: 1 },
  { column: 12, row: 7, steps: 6, north: -1 },
] as const;

export function makeCity(seed = 7): City {
  const roll = dice(seed);
  const plan = makePlan(roll);
  const diagonals = straighten(plan);
  const streets = pruned(plan, [...gridStreets(plan), ...diagonals], roll);
  const crossings = plan.flat.map(warp);
  const ways = waysFrom(streets, crossings.length);
  const used = crossings.map((_, i) => i).filter((i) => ways[i]!.length > 0);
  return {
    crossings,
    streets,
    lots: makeLots(plan),
    near(spot) {
      const target = warp(spot);
      return used.reduce((best, i) =>
        metres(crossings[i]!, target) < metres(crossings[best]!, target) ? i : best,
      );
    },
    route: (from, to) => shortest(crossings, ways, from, to),
  };
}

function makePlan(roll: () => number): Plan {
  const xs = [
    ...spread(SHEET.west, RIVER.west - 30, 11, roll),
    ...spread(RIVER.east + 30, SHEET.east, 12, roll),
  ];
  const ys = spread(SHEET.south, SHEET.north, 16, roll);
  const flat = ys.flatMap((y) => xs.map((x) => ({ x: x + (roll() - 0.5) * 22, y: y + (roll() - 0.5) * 22 })));
  return { columns: xs.length, rows: ys.length, flat, quay: 10, at: (c, r) => r * xs.length + c };
}

/** `count` values from `low` to `high`, unevenly far apart. */
function spread(low: number, high: number, count: number, roll: () => number): number[] {
  const gaps = Array.from({ length: count - 1 }, () => 0.75 + roll() * 0.5);
  const total = gaps.reduce((sum, gap) => sum + gap, 0);
  let at = low;
  return [low, ...gaps.map((gap) => (at += (gap / total) * (high - low)))];
}

/** Moves the crossings of each diagonal avenue onto one line, and gives the avenues. */
function straighten(plan: Plan): Street[] {
  return DIAGONALS.flatMap(({ column, row, steps, north }) => {
    const along = Array.from({ length: steps + 1 }, (_, i) => plan.at(column + i, row + i * north));
    const first = plan.flat[along[0]!]!;
    const last = plan.flat[along[steps]!]!;
    along.forEach((crossing, i) => {
      plan.flat[crossing] = between(plan.flat[crossing]!, between(first, last, i / steps), 0.85);
    });
    return along.slice(1).map((to, i) => street(plan, along[i]!, to, 'avenue'));
  });
}

function street(plan: Plan, from: number, to: number, kind: StreetKind): Street {
  const path = bent(plan.flat[from]!, plan.flat[to]!, 22);
  const length = path.slice(1).reduce((sum, spot, i) => sum + metres(path[i]!, spot), 0);
  return { from, to, kind, path, length };
}

function gridStreets(plan: Plan): Street[] {
  const { columns, rows, at, quay } = plan;
  const streets: Street[] = [];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const avenueRow = BRIDGES.includes(row);
      if (column < columns - 1 && (column !== quay || avenueRow) && !inPark(column + 0.5, row)) {
        const kind = column === quay ? 'bridge' : avenueRow ? 'avenue' : 'street';
        streets.push(street(plan, at(column, row), at(column + 1, row), kind));
      }
      if (row < rows - 1 && !inPark(column, row + 0.5)) {
        const kind = AVENUE_COLUMNS.includes(column) ? 'avenue' : 'street';
        streets.push(street(plan, at(column, row), at(column, row + 1), kind));
      }
    }
  }
  return streets;
}

/** Strictly inside: the streets around the park stay. */
function inPark(column: number, row: number): boolean {
  return column > PARK.west && column < PARK.east && row > PARK.south && row < PARK.north;
}

/** Takes some side streets away, so that blocks differ; no crossing becomes a dead end or gets cut off. */
function pruned(plan: Plan, streets: Street[], roll: () => number): Street[] {
  let kept = streets;
  for (const candidate of streets) {
    if (candidate.kind !== 'street' || roll() > 0.13) continue;
    const without = kept.filter((other) => other !== candidate);
    const ways = waysFrom(without, plan.flat.length);
    if (ways[candidate.from]!.length < 3 || ways[candidate.to]!.length < 3) continue;
    kept = without;
  }
  return kept;
}

function makeLots(plan: Plan): Lot[] {
  const { at, flat, quay } = plan;
  const lots: Lot[] = [];
  for (let row = 0; row < plan.rows - 1; row++) {
    for (let column = 0; column < plan.columns - 1; column++) {
      if (column === quay) continue;
      const corners = [
        flat[at(column, row)]!,
        flat[at(column + 1, row)]!,
        flat[at(column + 1, row + 1)]!,
        flat[at(column, row + 1)]!,
      ] as const;
      const park = inPark(column + 0.5, row + 0.5);
      lots.push({ corners, use: park ? 'park' : 'houses', cut: cutOf(column, row) });
    }
  }
  return lots;
}

function cutOf(column: number, row: number): -1 | 0 | 1 {
  for (const diagonal of DIAGONALS) {
    const step = column - diagonal.column;
    if (step < 0 || step >= diagonal.steps) continue;
    if (diagonal.north === 1 && row === diagonal.row + step) return 1;
    if (diagonal.north === -1 && row === diagonal.row - step - 1) return -1;
  }
  return 0;
}

/** Per crossing, the streets that meet there. */
function waysFrom(streets: readonly Street[], crossings: number): Street[][] {
  const ways: Street[][] = Array.from({ length: crossings }, () => []);
  for (const way of streets) {
    ways[way.from]!.push(way);
    ways[way.to]!.push(way);
  }
  return ways;
}

/** Dijkstra. A few hundred crossings: a scan for the nearest is fast enough. */
function shortest(crossings: readonly Spot[], ways: readonly Street[][], from: number, to: number): Spot[] {
  const far = crossings.map(() => Number.POSITIVE_INFINITY);
  const via = new Map<number, Street>();
  const open = new Set([from]);
  far[from] = 0;
  while (open.size > 0) {
    let here = -1;
    for (const i of open) if (here === -1 || far[i]! < far[here]!) here = i;
    if (here === to) break;
    open.delete(here);
    for (const way of ways[here]!) {
      const next = way.from === here ? way.to : way.from;
      const through = far[here]! + way.length * (way.kind === 'street' ? 1 : 0.85);
      if (through >= far[next]!) continue;
      far[next] = through;
      via.set(next, way);
      open.add(next);
    }
  }
  const path: Spot[] = [crossings[to]!];
  for (let here = to; here !== from; ) {
    const way = via.get(here);
    if (way === undefined) return [crossings[from]!];
    const forward = way.to === here;
    path.unshift(...(forward ? way.path : way.path.toReversed()).slice(0, -1));
    here = forward ? way.from : way.to;
  }
  return path;
}
