/** How the map looks: hand-drawn colours for paper and for night. */
import type { ExpressionSpecification, LayerSpecification, StyleSpecification } from 'maplibre-gl';
import type { Features } from '../city-map.ts';

interface Palette {
  land: string;
  town: string;
  wood: string;
  water: string;
  shore: string;
  beach: string;
  pier: string;
  park: string;
  house: string;
  houseEdge: string;
  street: string;
  avenue: string;
  casing: string;
  bridgeCasing: string;
  zone: string;
  trail: string;
}

const DAY: Palette = {
  land: '#edefe2',
  town: '#f4f1eb',
  wood: '#dae5cb',
  water: '#b9d8e6',
  shore: '#9cc4d6',
  beach: '#f0e4c8',
  pier: '#e6dfd3',
  park: '#cfe2bd',
  house: '#e7e1d6',
  houseEdge: '#dad2c4',
  street: '#ffffff',
  avenue: '#fffaf0',
  casing: '#dcd5c8',
  bridgeCasing: '#b3aa9a',
  zone: '#33507a',
  trail: '#e2502b',
};

const NIGHT: Palette = {
  land: '#141a1b',
  town: '#181c23',
  wood: '#17221d',
  water: '#0c2433',
  shore: '#14384c',
  beach: '#2a2820',
  pier: '#22272f',
  park: '#1b2c22',
  house: '#1f252d',
  houseEdge: '#272e38',
  street: '#353e4a',
  avenue: '#414b59',
  casing: '#12161b',
  bridgeCasing: '#0a0d11',
  zone: '#8db4ee',
  trail: '#ff7a52',
};

export const EMPTY: Features = { type: 'FeatureCollection', features: [] };

/** Pixels at zoom 12, 15 and 18: streets grow with the map, not as fast as it does. */
const width = (at12: number, at15: number, at18: number): ExpressionSpecification =>
  ['interpolate', ['exponential', 1.5], ['zoom'], 12, at12, 15, at15, 18, at18] as ExpressionSpecification;

export function mapStyle(city: Features, zones: Features, night: boolean): StyleSpecification {
  return {
    version: 8,
    sources: {
      city: { type: 'geojson', data: city, tolerance: 0.2 },
      zones: { type: 'geojson', data: zones },
      trail: { type: 'geojson', data: EMPTY, lineMetrics: true, tolerance: 0.1 },
    },
    layers: layers(night ? NIGHT : DAY),
  };
}

function layers(color: Palette): LayerSpecification[] {
  return [
    { id: 'land', type: 'background', paint: { 'background-color': color.land } },
    fill('wood', color.wood),
    fill('town', color.town),
    fill('beach', color.beach),
    // Under the water: only its outer half shows, and the river has no edge in the bay.
    edge('water', color.shore, 3),
    fill('water', color.water),
    fill('pier', color.pier),
    fill('park', color.park),
    fill('pond', color.water),
    fill('house', color.house, color.houseEdge),
    streets('side-casing', ['street'], color.casing, width(1.4, 7.5, 36)),
    streets('avenue-casing', ['avenue'], color.casing, width(2.6, 11, 48)),
    streets('bridge-casing', ['bridge'], color.bridgeCasing, width(3, 13, 54)),
    streets('side', ['street'], color.street, width(0.8, 5.5, 31)),
    streets('avenue', ['avenue', 'bridge'], color.avenue, width(1.8, 8.5, 42)),
    {
      id: 'zone',
      type: 'fill',
      source: 'zones',
      layout: { visibility: 'none' },
      paint: { 'fill-color': color.zone, 'fill-opacity': 0.05 },
    },
    {
      id: 'zone-edge',
      type: 'line',
      source: 'zones',
      layout: { visibility: 'none', 'line-join': 'round' },
      paint: { 'line-color': color.zone, 'line-width': 2, 'line-opacity': 0.55, 'line-dasharray': [3, 2] },
    },
    {
      id: 'trail',
      type: 'line',
      source: 'trail',
      layout: { 'line-cap': 'round', 'line-join': 'round' },
      paint: { 'line-width': width(3, 5, 9), 'line-gradient': fading(color.trail) },
    },
  ];
}

function fill(kind: string, color: string, outline = color): LayerSpecification {
  return {
    id: kind,
    type: 'fill',
    source: 'city',
    filter: ['==', ['get', 'kind'], kind],
    paint: { 'fill-color': color, 'fill-outline-color': outline },
  };
}

function edge(kind: string, color: string, pixels: number | ExpressionSpecification): LayerSpecification {
  return {
    id: `${kind}-edge`,
    type: 'line',
    source: 'city',
    filter: ['==', ['get', 'kind'], kind],
    paint: { 'line-color': color, 'line-width': pixels },
  };
}

function streets(
  id: string,
  ranks: string[],
  color: string,
  pixels: number | ExpressionSpecification,
): LayerSpecification {
  return {
    id,
    type: 'line',
    source: 'city',
    filter: ['all', ['==', ['get', 'kind'], 'street'], ['in', ['get', 'rank'], ['literal', ranks]]],
    layout: { 'line-cap': id.startsWith('bridge') ? 'butt' : 'round', 'line-join': 'round' },
    paint: { 'line-color': color, 'line-width': pixels },
  };
}

/** From nothing at the oldest end to full colour at the rider. */
function fading(color: string): ExpressionSpecification {
  const clear = `${color}00`;
  return [
    'interpolate',
    ['linear'],
    ['line-progress'],
    0,
    clear,
    0.35,
    `${color}66`,
    1,
    color,
  ] as ExpressionSpecification;
}
