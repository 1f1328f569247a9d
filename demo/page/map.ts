/** The one map of the page; views put things on it and take them off again. */
import {
  type GeoJSONSource,
  LngLatBounds,
  type LngLatLike,
  Map as MapLibre,
  Marker,
  setWorkerUrl,
} from 'maplibre-gl';
import type { Feature, Features } from '../city-map.ts';
import { h } from './dom.ts';
import { EMPTY, mapStyle } from './style.ts';

export interface Place {
  readonly lat: number;
  readonly lng: number;
}

export interface Padding {
  top: number;
  bottom: number;
  left: number;
  right: number;
}

export interface CityMap {
  readonly map: MapLibre;
  readonly zones: Features;
  /** A thing of the DOM at a place. */
  put(element: HTMLElement, at: Place, anchor?: 'center' | 'bottom'): Marker;
  /** Shows all places; waits for none of the animation. */
  show(places: readonly Place[], padding: Padding, maxZoom?: number): void;
  showCity(padding: Padding): void;
  /** Draws these zones, and no others. */
  drawZones(ids: readonly string[]): void;
  drawTrail(path: readonly Place[]): void;
}

/** @throws Error if the browser has no WebGL, or the city cannot be fetched (rejects) */
export async function makeMap(container: HTMLElement): Promise<CityMap> {
  const answer = await fetch('/demo/city');
  const { zones, ...city } = (await answer.json()) as Features & { zones: Features };
  const night = matchMedia('(prefers-color-scheme: dark)');
  const home = boundsOf(zones);

  setWorkerUrl(new URL('maplibre-gl-worker.mjs', import.meta.url).href);
  const map = new MapLibre({
    container,
    style: mapStyle(city, zones, night.matches),
    bounds: home,
    maxBounds: [home.getWest() - 0.05, home.getSouth() - 0.05, home.getEast() + 0.05, home.getNorth() + 0.05],
    maxZoom: 18,
    attributionControl: false,
    dragRotate: false,
    pitchWithRotate: false,
    touchPitch: false,
    renderWorldCopies: false,
    fadeDuration: 0,
  });
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  await new Promise<void>((resolve) => map.once('load', () => resolve()));

  night.addEventListener('change', () => {
    for (const layer of mapStyle(city, zones, night.matches).layers) {
      for (const [name, value] of Object.entries(layer.paint ?? {}))
        map.setPaintProperty(layer.id, name as 'fill-color', value);
    }
  });
  for (const feature of city.features) if (feature.properties.kind === 'name') label(map, feature);

  return {
    map,
    zones,
    put: (element, { lat, lng }, anchor = 'center') =>
      new Marker({ element, anchor, subpixelPositioning: true }).setLngLat([lng, lat]).addTo(map),
    show(places, padding, maxZoom = 16.6) {
      const bounds = new LngLatBounds();
      for (const { lat, lng } of places) bounds.extend([lng, lat]);
      map.fitBounds(bounds, { padding, maxZoom, duration: 1100 });
    },
    showCity: (padding) => void map.fitBounds(home, { padding, duration: 900 }),
    drawZones(ids) {
      for (const layer of ['zone', 'zone-edge']) {
        map.setLayoutProperty(layer, 'visibility', ids.length > 0 ? 'visible' : 'none');
        map.setFilter(layer, ['in', ['get', 'id'], ['literal', [...ids]]]);
      }
    },
    drawTrail(path) {
      const coordinates = path.map(({ lat, lng }): [number, number] => [lng, lat]);
      const line: Feature = {
        type: 'Feature',
        properties: {},
        geometry: { type: 'LineString', coordinates },
      };
      const source = map.getSource('trail') as GeoJSONSource;
      source.setData(path.length < 2 ? EMPTY : { ...EMPTY, features: [line] });
    },
  };
}

/** Names are HTML: there are no fonts to fetch for the canvas. */
function label(map: MapLibre, { properties, geometry }: Feature): void {
  const element = h(
    'span',
    { class: 'label', 'data-rank': properties.rank, 'aria-hidden': 'true' },
    properties.name,
  );
  new Marker({ element }).setLngLat(geometry.coordinates as LngLatLike).addTo(map);
}

export function boundsOf({ features }: Features): LngLatBounds {
  const bounds = new LngLatBounds();
  for (const { geometry } of features) {
    if (geometry.type === 'Polygon') for (const corner of geometry.coordinates[0]!) bounds.extend(corner);
  }
  return bounds;
}
