/** Port Ridecast as GeoJSON: what the page draws, and the zones the gateway reads. */
import { bent, type City, COAST, type Lot, MIDDLE, RIVER, SHEET, warp } from './city.ts';
import { between, dice, type LngLat, metres, type Spot, toLngLat } from './plane.ts';

export interface Feature {
  type: 'Feature';
  properties: { kind?: string; id?: string; name?: string; rank?: string };
  geometry:
    | { type: 'Point'; coordinates: LngLat }
    | { type: 'LineString'; coordinates: LngLat[] }
    | { type: 'Polygon'; coordinates: LngLat[][] };
}

export interface Features {
  type: 'FeatureCollection';
  features: Feature[];
}

/** Metres from the middle to where the drawn land ends. */
const BEYOND = 9000;
/** Metres between the middle of a street and the houses along it. */
const SETBACK = 13;

/** Four adjacent districts that meet in the middle of the river, in the form ZONES_FILE takes. */
export function zones(): Features {
  const river = (RIVER.west + RIVER.east) / 2;
  const west = SHEET.west - 70;
  const east = SHEET.east + 70;
  const south = COAST;
  const north = SHEET.north + 70;
  const zone = (id: string, name: string, w: number, s: number, e: number, n: number): Feature => ({
    type: 'Feature',
    properties: { id, name },
    geometry: { type: 'Polygon', coordinates: [area(rectangle(w, s, e, n))] },
  });
  return collection([
    zone('harbour', 'Harbour', west, south, river, MIDDLE),
    zone('old-town', 'Old Town', west, MIDDLE, river, north),
    zone('station', 'Station', river, south, east, MIDDLE),
    zone('hills', 'Hills', river, MIDDLE, east, north),
  ]);
}

/** Everything there is to draw. */
export function cityMap(city: City): Features {
  const streets = city.streets.map((street) => line('street', street.path, street.kind));
  return collection([...nature(city), ...houses(city), ...streets, ...roadsOut(city), ...names()]);
}

function nature(city: City): Feature[] {
  const river = rectangle(RIVER.west, COAST - 200, RIVER.east, BEYOND);
  const sea = rectangle(-BEYOND, -BEYOND, BEYOND, COAST);
  const park = city.lots.filter((lot) => lot.use === 'park').map((lot) => polygon('park', [...lot.corners]));
  const woods = [
    blob({ x: 1150, y: 1300 }, 420, 190, 3),
    blob({ x: -1900, y: 700 }, 260, 420, 4),
    blob({ x: -900, y: 1360 }, 380, 170, 5),
    blob({ x: 1960, y: -200 }, 250, 460, 6),
    blob({ x: -2900, y: 1900 }, 700, 420, 7),
    blob({ x: 2700, y: 2100 }, 800, 500, 8),
    blob({ x: 300, y: 2600 }, 520, 300, 10),
  ];
  const beach = rectangle(SHEET.east - 480, COAST - 45, BEYOND, COAST + 6);
  const piers = [-1180, -930, -680, -430].map((x) =>
    polygon('pier', rectangle(x, COAST - 165, x + 46, COAST + 30)),
  );
  const town = rectangle(SHEET.west - 45, COAST - 20, SHEET.east + 45, SHEET.north + 45);
  return [
    polygon('town', town),
    ...woods.map((shape) => polygon('wood', shape)),
    polygon('water', sea, 80),
    polygon('water', river, 80),
    polygon('beach', beach, 80),
    ...piers,
    ...park,
    polygon('pond', blob({ x: 545, y: 235 }, 64, 36, 9)),
  ];
}

function houses(city: City): Feature[] {
  const roll = dice(21);
  return city.lots
    .filter((lot) => lot.use === 'houses')
    .flatMap((lot) => (lot.cut === 0 ? rowHouses(lot, roll) : cornerHouses(lot)));
}

/** Two rows of houses back to back. */
function rowHouses({ corners: [sw, se, ne, nw] }: Lot, roll: () => number): Feature[] {
  const width = metres(sw, se);
  const height = metres(sw, nw);
  const at = (x: number, y: number) =>
    between(between(sw, se, x / width), between(nw, ne, x / width), y / height);
  const built: Feature[] = [];
  const columns = Math.max(1, Math.round((width - 2 * SETBACK) / 34));
  const step = (width - 2 * SETBACK) / columns;
  for (const south of [true, false]) {
    for (let i = 0; i < columns; i++) {
      const depth = (height / 2 - SETBACK) * (0.62 + roll() * 0.26);
      if (roll() < 0.09) continue;
      const w = SETBACK + i * step + 1.5;
      const e = w + step - 3;
      const s = south ? SETBACK : height - SETBACK - depth;
      built.push(polygon('house', [at(w, s), at(e, s), at(e, s + depth), at(w, s + depth)], 200));
    }
  }
  return built;
}

/** One house in each half of a lot that a diagonal avenue cuts. */
function cornerHouses({ corners: [sw, se, ne, nw], cut }: Lot): Feature[] {
  // biome-ignore format: pairs
  const halves = cut === 1 ? [[sw, se, ne], [sw, ne, nw]] : [[sw, se, nw], [se, ne, nw]];
  return halves.map((half) => {
    const middle = { x: mean(half.map((p) => p.x)), y: mean(half.map((p) => p.y)) };
    // biome-ignore format: one thing
    return polygon('house', half.map((corner) => between(middle, corner, 0.52)), 200);
  });
}

/** The avenues go on beyond the city, for the eye only. */
function roadsOut(city: City): Feature[] {
  // biome-ignore format: a table
  const ends: [Spot, Spot][] = [
    [{ x: SHEET.west, y: -120 }, { x: -BEYOND, y: -80 }],
    [{ x: SHEET.east, y: -120 }, { x: BEYOND, y: -190 }],
    [{ x: SHEET.west, y: 700 }, { x: -BEYOND, y: 1000 }],
    [{ x: SHEET.east, y: 340 }, { x: BEYOND, y: 620 }],
    [{ x: -960, y: SHEET.north }, { x: -1250, y: BEYOND }],
    [{ x: 580, y: SHEET.north }, { x: 700, y: BEYOND }],
  ];
  return ends.map(([near, far]) => {
    const start = city.crossings[city.near(near)]!;
    return line('street', [start, ...bent(near, far, 60).slice(4)], 'avenue');
  });
}

function names(): Feature[] {
  const label = (rank: string, name: string, x: number, y: number): Feature => ({
    type: 'Feature',
    properties: { kind: 'name', rank, name },
    geometry: { type: 'Point', coordinates: toLngLat(warp({ x, y })) },
  });
  return [
    label('district', 'Harbour', -880, -360),
    label('district', 'Old Town', -820, 520),
    label('district', 'Station', 760, -400),
    label('district', 'Hills', 980, 640),
    label('water', 'Cast Bay', -120, -1010),
    label('water', 'River Ride', -62, 420),
    label('park', 'Lantern Park', 470, 310),
  ];
}

function collection(features: Feature[]): Features {
  return { type: 'FeatureCollection', features };
}

function line(kind: string, path: readonly Spot[], rank: string): Feature {
  return {
    type: 'Feature',
    properties: { kind, rank },
    geometry: { type: 'LineString', coordinates: path.map(toLngLat) },
  };
}

function polygon(kind: string, corners: Spot[], stepM = 30): Feature {
  return {
    type: 'Feature',
    properties: { kind },
    geometry: { type: 'Polygon', coordinates: [area(corners, stepM)] },
  };
}

/** Corners on the flat sheet to a closed ring of the bent one. */
function area(corners: Spot[], stepM = 30): LngLat[] {
  const sides = corners.flatMap((corner, i) =>
    bent(corner, corners[(i + 1) % corners.length]!, stepM).slice(0, -1),
  );
  return [...sides, sides[0]!].map(toLngLat);
}

function rectangle(west: number, south: number, east: number, north: number): Spot[] {
  return [
    { x: west, y: south },
    { x: east, y: south },
    { x: east, y: north },
    { x: west, y: north },
  ];
}

/** A round shape with an uneven edge. */
function blob(centre: Spot, width: number, height: number, seed: number): Spot[] {
  const roll = dice(seed);
  const [a, b] = [roll() * 6, roll() * 6];
  return Array.from({ length: 24 }, (_, i) => {
    const angle = (i / 24) * 2 * Math.PI;
    const reach = 1 + 0.12 * Math.sin(2 * angle + a) + 0.08 * Math.sin(3 * angle + b);
    return { x: centre.x + width * reach * Math.cos(angle), y: centre.y + height * reach * Math.sin(angle) };
  });
}

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
