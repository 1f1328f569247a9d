/** The demo's city and its traffic, without a browser. */
import { describe, expect, it } from 'vitest';
import { makeCity } from '../../demo/city.ts';
import { cityMap, zones } from '../../demo/city-map.ts';
import { drive } from '../../demo/drive.ts';
import { metres } from '../../demo/plane.ts';
import { Zones } from '../../src/ingest/zones.ts';
import { findChromium } from '../support/browser.ts';

const city = makeCity();
const used = [...new Set(city.streets.flatMap(({ from, to }) => [from, to]))];

describe('Port Ridecast', () => {
  it('is the same on every run, and another city with another seed', () => {
    expect(cityMap(makeCity())).toEqual(cityMap(city));
    expect(makeCity(8).crossings).not.toEqual(city.crossings);
  });

  it('has a way from every crossing to every other', () => {
    const [start] = used;
    const cut = used.filter((to) => metres(city.route(start!, to).at(-1)!, city.crossings[to]!) > 0.01);
    expect(cut).toEqual([]);
  });

  it('has no dead end', () => {
    const ways = (crossing: number) =>
      city.streets.filter(({ from, to }) => from === crossing || to === crossing);
    expect(used.filter((crossing) => ways(crossing).length < 2)).toEqual([]);
  });

  it('lies in four zones that the gateway can read, with every crossing in one', () => {
    const read = Zones.fromGeoJson(JSON.stringify(zones()), 0);
    const streets = cityMap(city).features.filter(({ properties }) => properties.kind === 'street');
    const within = new Set<string | null>();
    for (const { geometry, properties } of streets) {
      if (geometry.type !== 'LineString' || properties.rank === 'avenue') continue;
      const [lng, lat] = geometry.coordinates[0]!;
      within.add(read.find(lat, lng, null));
    }
    expect([...within].sort()).toEqual(['harbour', 'hills', 'old-town', 'station']);
  });
});

describe('a drive', () => {
  const route = city.route(used[0]!, used.at(-1)!);
  const length = route.slice(1).reduce((sum, spot, i) => sum + metres(route[i]!, spot), 0);

  it('ends where the route ends, never faster than its cruising speed', () => {
    const way = drive(route, 9);
    expect(way.left).toBeCloseTo(length, 3);
    let most = 0;
    for (let s = 0; s < 3600 && way.left > 0; s++) {
      const before = way.spot;
      way.go(1);
      most = Math.max(most, metres(before, way.spot));
    }
    expect(way.left).toBe(0);
    expect(way.speed).toBe(0);
    expect(most).toBeLessThanOrEqual(9.01);
    expect(metres(way.spot, route.at(-1)!)).toBeLessThan(0.01);
  });

  it('slows down for a right angle', () => {
    // biome-ignore format: a corner
    const way = drive([{ x: 0, y: 0 }, { x: 200, y: 0 }, { x: 200, y: 200 }], 10);
    let atCorner = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 400 && way.left > 100; i++) {
      way.go(0.25);
      if (metres(way.spot, { x: 200, y: 0 }) < 3) atCorner = Math.min(atCorner, way.speed);
    }
    expect(atCorner).toBeLessThan(5);
  });
});

it('a machine without Chromium is told in one line what to install', () => {
  expect(() => findChromium('/nowhere')).toThrow(/^no Chromium in PATH .* apt install chromium$/);
});
