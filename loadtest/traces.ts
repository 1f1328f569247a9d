/** Recorded traces: reading them, and when each fix is due in a replay. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';
import { z } from 'zod';

const line = z.object({
  id: z.union([z.string(), z.number()]).transform(String),
  /** ms, any origin; lines are sorted by it. */
  t: z.number(),
  /** ms since this id's own first fix. */
  rt: z.number().optional(),
  lat: z.number().min(-90).max(90),
  lng: z.number().min(-180).max(180),
  accuracy: z.number().min(0).max(1e6).optional(),
  heading: z.number().min(0).max(360).optional(),
  speed: z.number().min(0).max(1000).optional(),
});

/** One recorded fix: degrees, metres, m/s; times in ms. */
export type Fix = Omit<z.infer<typeof line>, 'id'>;

export interface Trace {
  readonly id: string;
  /** In the order recorded, at least one. */
  readonly fixes: readonly Fix[];
}

/** A fix of trace number `trace`, due `at` ms after the start. */
export interface Due {
  readonly at: number;
  readonly trace: number;
  readonly fix: Fix;
}

/**
 * Reads `{"id","t","lat","lng", …}` lines, gzipped if the name ends in .gz.
 * @throws Error naming the file, the line and what is wrong there
 */
export async function readTraces(file: string): Promise<Trace[]> {
  const bytes = createReadStream(file);
  const text = file.endsWith('.gz') ? bytes.pipe(createGunzip()) : bytes;
  bytes.on('error', (error) => text.destroy(error));
  const byId = new Map<string, Fix[]>();
  let number = 0;
  try {
    for await (const row of createInterface({ input: text, crlfDelay: Number.POSITIVE_INFINITY })) {
      number++;
      if (row === '') continue;
      const { id, ...fix } = parseLine(row);
      const fixes = byId.get(id);
      if (fixes === undefined) byId.set(id, [fix]);
      else fixes.push(fix);
    }
  } catch (error) {
    throw new Error(`${file}${number > 0 ? `, line ${number}` : ''}: ${(error as Error).message}`);
  }
  if (byId.size === 0) throw new Error(`${file}: holds no traces`);
  return [...byId].map(([id, fixes]) => ({ id, fixes }));
}

function parseLine(row: string): z.infer<typeof line> {
  const parsed = line.safeParse(JSON.parse(row));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Error(`${issue!.path.join('.')}: ${issue!.message}`);
}

/**
 * When every fix is due, in order.
 * @param align whether all traces start at once; undefined: if they hardly overlap in time
 * @param speed how many times faster than recorded
 * @param seconds how much of the replay is kept, by its own clock; undefined: all
 * @param spread seconds of the replay over which the starts are spread evenly, because recorders in step make bursts
 */
export function schedule(
  traces: readonly Trace[],
  options: { align?: boolean; speed?: number; seconds?: number; spread?: number } = {},
): Due[] {
  const {
    align = hardlyOverlap(traces),
    speed = 1,
    seconds = Number.POSITIVE_INFINITY,
    spread = 0,
  } = options;
  const origin = Math.min(...traces.map(({ fixes }) => fixes[0]!.t));
  const dues: Due[] = [];
  for (const [trace, { fixes }] of traces.entries()) {
    const own = fixes[0]!.t;
    const offset = (spread * 1000 * trace) / traces.length;
    for (const fix of fixes) {
      const at = offset + (align ? (fix.rt ?? fix.t - own) : fix.t - origin) / speed;
      if (at <= seconds * 1000) dues.push({ at, trace, fix });
    }
  }
  return dues.sort((a, b) => a.at - b.at); // stable: fixes of one trace keep their order
}

/** Whether, over the time the traces span, less than half a trace is being recorded on average. */
export function hardlyOverlap(traces: readonly Trace[]): boolean {
  let from = Number.POSITIVE_INFINITY;
  let to = Number.NEGATIVE_INFINITY;
  let recorded = 0;
  for (const { fixes } of traces) {
    const [first, last] = [fixes[0]!.t, fixes[fixes.length - 1]!.t];
    from = Math.min(from, first);
    to = Math.max(to, last);
    recorded += last - first;
  }
  return recorded < (to - from) / 2;
}

const MARGIN_DEGREES = 0.01;

/** `grid` × `grid` equal rectangles that cover all fixes, as the GeoJSON of a zones file, and their ids. */
export function zonesOver(traces: readonly Trace[], grid: number): { ids: string[]; geojson: string } {
  let [south, north, west, east] = [90, -90, 180, -180];
  for (const { fixes } of traces) {
    for (const { lat, lng } of fixes) {
      south = Math.min(south, lat);
      north = Math.max(north, lat);
      west = Math.min(west, lng);
      east = Math.max(east, lng);
    }
  }
  const lats = edges(Math.max(-90, south - MARGIN_DEGREES), Math.min(90, north + MARGIN_DEGREES), grid);
  const lngs = edges(Math.max(-180, west - MARGIN_DEGREES), Math.min(180, east + MARGIN_DEGREES), grid);
  const ids: string[] = [];
  const features: object[] = [];
  for (let row = 0; row < grid; row++) {
    for (let column = 0; column < grid; column++) {
      const [s, n, w, e] = [lats[row]!, lats[row + 1]!, lngs[column]!, lngs[column + 1]!];
      // biome-ignore format: corners
      const ring = [[w, s], [e, s], [e, n], [w, n], [w, s]];
      const id = `z${ids.length + 1}`;
      ids.push(id);
      const geometry = { type: 'Polygon', coordinates: [ring] };
      features.push({ type: 'Feature', properties: { id }, geometry });
    }
  }
  return { ids, geojson: JSON.stringify({ type: 'FeatureCollection', features }) };
}

/** `count` + 1 values from `low` to `high`, evenly spaced. */
function edges(low: number, high: number, count: number): number[] {
  return Array.from({ length: count + 1 }, (_, i) => low + ((high - low) * i) / count);
}
