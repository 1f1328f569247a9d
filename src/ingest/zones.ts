/** Which zone a point is in: polygons from a GeoJSON file, with hysteresis at their borders. */
import Flatbush from 'flatbush';
import pointInPolygon from 'point-in-polygon-hao';
import { z } from 'zod';
import { id } from '../protocol/messages.ts';

const ring = z
  .array(z.tuple([z.number().min(-180).max(180), z.number().min(-90).max(90)]).rest(z.number()))
  .min(4);
const geometry = z.discriminatedUnion('type', [
  z.object({ type: z.literal('Polygon'), coordinates: z.array(ring).min(1) }),
  z.object({ type: z.literal('MultiPolygon'), coordinates: z.array(z.array(ring).min(1)).min(1) }),
]);
const collection = z.object({
  type: z.literal('FeatureCollection'),
  features: z.array(z.object({ properties: z.object({ id }), geometry })).min(1),
});

type Ring = [number, number][];
interface Shape {
  readonly zone: string;
  readonly rings: Ring[];
}

const METRES_PER_DEGREE = 111_195;

export class Zones {
  private readonly shapes: Shape[];
  private readonly byZone = new Map<string, Shape[]>();
  private readonly index: Flatbush;
  private readonly hysteresisM: number;

  private constructor(shapes: Shape[], hysteresisM: number) {
    this.shapes = shapes;
    this.hysteresisM = hysteresisM;
    this.index = new Flatbush(shapes.length);
    for (const shape of shapes) {
      const [outer] = shape.rings;
      const lngs = outer!.map((p) => p[0]);
      const lats = outer!.map((p) => p[1]);
      this.index.add(Math.min(...lngs), Math.min(...lats), Math.max(...lngs), Math.max(...lats));
      this.byZone.set(shape.zone, [...(this.byZone.get(shape.zone) ?? []), shape]);
    }
    this.index.finish();
  }

  /**
   * Zones from a GeoJSON FeatureCollection of Polygons and MultiPolygons with `properties.id`.
   * @param hysteresisM metres outside of its zone a rider must be before it has left
   * @throws Error naming the first field that is wrong
   */
  static fromGeoJson(text: string, hysteresisM: number): Zones {
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch (error) {
      throw new Error(`not JSON: ${(error as Error).message}`);
    }
    const parsed = collection.safeParse(json);
    if (!parsed.success) {
      const issue = parsed.error.issues[0]!;
      throw new Error(`${issue.path.join('.')}: ${issue.message}`);
    }
    const shapes: Shape[] = [];
    for (const { properties, geometry } of parsed.data.features) {
      const polygons = geometry.type === 'Polygon' ? [geometry.coordinates] : geometry.coordinates;
      for (const rings of polygons) {
        shapes.push({ zone: properties.id, rings: rings.map((r) => r.map(([lng, lat]) => [lng, lat])) });
      }
    }
    return new Zones(shapes, hysteresisM);
  }

  /**
   * The zone of a point, null outside of all. Where zones overlap, the first in the file.
   * @param lat degrees
   * @param lng degrees
   * @param current the zone the rider was in: kept until the point is clearly outside of it
   */
  find(lat: number, lng: number, current: string | null): string | null {
    const point: [number, number] = [lng, lat];
    if (current !== null && this.stillIn(current, point)) return current;
    let found = -1;
    for (const i of this.index.search(lng, lat, lng, lat)) {
      if ((found === -1 || i < found) && inside(point, this.shapes[i]!)) found = i;
    }
    return found === -1 ? null : this.shapes[found]!.zone;
  }

  private stillIn(zone: string, point: [number, number]): boolean {
    const shapes = this.byZone.get(zone) ?? [];
    return shapes.some((shape) => inside(point, shape) || distanceTo(point, shape) <= this.hysteresisM);
  }
}

function inside(point: [number, number], shape: Shape): boolean {
  return pointInPolygon(point, shape.rings) !== false; // 0 is the border: in
}

/** Metres to the nearest edge, on a plane around the point: exact enough at the scale of metres. */
function distanceTo(point: [number, number], shape: Shape): number {
  const perLng = METRES_PER_DEGREE * Math.cos((point[1] * Math.PI) / 180);
  let least = Number.POSITIVE_INFINITY;
  for (const ring of shape.rings) {
    for (let i = 1; i < ring.length; i++) {
      const [ax, ay] = toPlane(ring[i - 1]!, point, perLng);
      const [bx, by] = toPlane(ring[i]!, point, perLng);
      const length = (bx - ax) ** 2 + (by - ay) ** 2;
      const t = length === 0 ? 0 : Math.min(1, Math.max(0, -(ax * (bx - ax) + ay * (by - ay)) / length));
      least = Math.min(least, Math.hypot(ax + t * (bx - ax), ay + t * (by - ay)));
    }
  }
  return least;
}

function toPlane(p: [number, number], origin: [number, number], perLng: number): [number, number] {
  return [(p[0] - origin[0]) * perLng, (p[1] - origin[1]) * METRES_PER_DEGREE];
}
