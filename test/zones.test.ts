import { describe, expect, it } from 'vitest';
import { Zones } from '../src/ingest/zones.ts';

const square = (id: string, west: number, east: number, hole?: number[][]) => ({
  type: 'Feature',
  properties: { id },
  // biome-ignore format: a ring
  geometry: { type: 'Polygon', coordinates: [[[west, 0], [east, 0], [east, 1], [west, 1], [west, 0]], ...(hole ? [hole] : [])] },
});
const collection = (...features: unknown[]) => JSON.stringify({ type: 'FeatureCollection', features });
// biome-ignore format: a ring
const HOLE = [[0.4, 0.4], [0.6, 0.4], [0.6, 0.6], [0.4, 0.6], [0.4, 0.4]];

describe('zones', () => {
  it('find the polygon a point is in, holes excluded, islands included', () => {
    // biome-ignore format: data
    const island = { type: 'Feature', properties: { id: 'b' }, geometry: { type: 'MultiPolygon', coordinates: [square('b', 1, 2).geometry.coordinates, square('b', 5, 6).geometry.coordinates] } };
    const zones = Zones.fromGeoJson(collection(square('a', 0, 1, HOLE), island), 0);
    const find = (lat: number, lng: number) => zones.find(lat, lng, null);
    // biome-ignore format: one table
    expect([find(0.5, 0.1), find(0.5, 0.5), find(0.5, 1.5), find(0.5, 5.5), find(0.5, 3), find(2, 0.5)]).toEqual(['a', null, 'b', 'b', null, null]);
  });

  it('take the first in the file where they overlap', () => {
    const zones = Zones.fromGeoJson(collection(square('a', 0, 1), square('b', 0, 1)), 0);
    expect(zones.find(0.5, 0.5, null)).toBe('a');
  });

  it('keep a rider that is only just across the border, and let go of one that is clearly out', () => {
    const zones = Zones.fromGeoJson(collection(square('a', 0, 1), square('b', 1, 2)), 15);
    const metres = (m: number) => 1 + m / 111_195;
    expect(zones.find(0.0001, metres(10), 'a')).toBe('a');
    expect(zones.find(0.0001, metres(10), null)).toBe('b');
    expect(zones.find(0.0001, metres(20), 'a')).toBe('b');
    expect(zones.find(0.0001, metres(-10), 'b')).toBe('b');
    expect(zones.find(0.5, 3, 'a')).toBe(null);
  });

  it('name what is wrong in the file', () => {
    expect(() => Zones.fromGeoJson('{', 0)).toThrow('not JSON');
    expect(() => Zones.fromGeoJson(collection({ ...square('a', 0, 1), properties: {} }), 0)).toThrow(
      'features.0.properties.id',
    );
    expect(() => Zones.fromGeoJson(collection(square('a', 0, 200)), 0)).toThrow(
      'features.0.geometry.coordinates.0.1.0',
    );
    expect(() => Zones.fromGeoJson(collection(), 0)).toThrow('features');
  });
});
