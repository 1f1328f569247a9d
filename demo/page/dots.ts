/** Many riders on the map, each gliding between the positions that arrive. One animation loop for all of them. */
import type { Position } from '@ridecast/client';
import { type Smooth, smooth } from '@ridecast/client/smooth';
import type { Marker } from 'maplibre-gl';
import { h } from './dom.ts';
import type { CityMap, Place } from './map.ts';

export interface Look {
  /** Colours the dot. */
  readonly status: string;
  readonly freshness: string;
  readonly name: string;
}

interface Dot {
  readonly element: HTMLElement;
  readonly marker: Marker;
  readonly smooth: Smooth;
}

/** A dot's element: a disc, and a wedge that points where the rider goes. */
export function dotElement(id: string): HTMLElement {
  return h('div', { class: 'dot', 'data-rider': id }, h('i', { class: 'wedge' }), h('i', { class: 'disc' }));
}

/** Writes a pose to the element: for the eye, and for whoever reads the DOM. */
export function pose(element: HTMLElement, marker: Marker, at: Place & { heading?: number }): void {
  marker.setLngLat([at.lng, at.lat]);
  element.dataset.lat = at.lat.toFixed(6);
  element.dataset.lng = at.lng.toFixed(6);
  element.classList.toggle('headed', at.heading !== undefined);
  if (at.heading !== undefined) element.style.setProperty('--heading', `${Math.round(at.heading)}deg`);
}

export class Dots {
  private readonly city: CityMap;
  private readonly clicked: (id: string) => void;
  private readonly dots = new Map<string, Dot>();
  private frame = 0;

  constructor(city: CityMap, clicked: (id: string) => void = () => {}) {
    this.city = city;
    this.clicked = clicked;
  }

  get size(): number {
    return this.dots.size;
  }

  put(id: string, position: Position, look: Look): void {
    const dot = this.dots.get(id) ?? this.add(id, position);
    dot.smooth.push(position);
    dot.element.dataset.status = look.status;
    dot.element.dataset.freshness = look.freshness;
    dot.element.title = look.name;
    this.frame ||= requestAnimationFrame(this.step);
  }

  remove(id: string): void {
    this.dots.get(id)?.marker.remove();
    this.dots.delete(id);
  }

  /** Lifts one dot out of the crowd; undefined: none. */
  select(id: string | undefined): void {
    for (const [other, { element }] of this.dots) element.classList.toggle('selected', other === id);
  }

  /** Where a rider is shown now. */
  at(id: string): Place | undefined {
    return this.dots.get(id)?.marker.getLngLat();
  }

  clear(): void {
    cancelAnimationFrame(this.frame);
    for (const id of [...this.dots.keys()]) this.remove(id);
  }

  private add(id: string, position: Position): Dot {
    const element = dotElement(id);
    element.addEventListener('click', () => this.clicked(id));
    const dot = { element, marker: this.city.put(element, position), smooth: smooth() };
    this.dots.set(id, dot);
    return dot;
  }

  private readonly step = () => {
    this.frame = 0;
    let moving = false;
    for (const { element, marker, smooth } of this.dots.values()) {
      const at = smooth.at();
      if (at === undefined) continue;
      pose(element, marker, at);
      moving ||= at.moving;
    }
    if (moving) this.frame = requestAnimationFrame(this.step);
  };
}
