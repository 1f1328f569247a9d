/** The operator's map: zones, every rider in them, and how much is going on. */
import { type Client, type Fleet, watchFleet } from '@ridecast/client';
import { every, h, write } from './dom.ts';
import { Dots } from './dots.ts';
import { ask, type Named, open } from './gateway.ts';
import { boundsOf, type CityMap } from './map.ts';
import { pill } from './pill.ts';
import { panelPadding, type View } from './view.ts';

/** Seconds of the little chart. */
const CHART_S = 60;

interface Zone extends Named {
  readonly switch: HTMLInputElement;
  readonly row: HTMLElement;
  readonly badge: HTMLElement;
  fleet: Fleet | undefined;
  /** Positions that came in this second. */
  updates: number;
}

export const operator: View = async (view, city, signal) => {
  const { zones: named = [] } = await ask('operator', undefined, signal);
  if (signal.aborted) return;
  const client = open('operator');
  const riders = new Riders(city);
  const zones = named.map(makeZone);
  signal.addEventListener(
    'abort',
    () => {
      riders.dots.clear();
      city.drawZones([]);
      client.close();
    },
    {
      once: true,
    },
  );

  const apply = (zone: Zone) => {
    if (zone.switch.checked) start(client, zone, riders);
    else stop(zone, riders);
    city.drawZones(zones.filter(({ fleet }) => fleet !== undefined).map(({ id }) => id));
  };
  for (const zone of zones) {
    zone.switch.addEventListener('change', () => apply(zone));
    apply(zone);
    const marker = city.put(zone.badge, middle(city, zone.id));
    signal.addEventListener('abort', () => marker.remove(), { once: true });
  }

  const total = h('b', {}, '0');
  const busy = h('b', {}, '0');
  const rate = h('b', {}, '0');
  const chart = h('div', { class: 'chart', 'aria-hidden': 'true' });
  const history: number[] = [];
  every(
    1000,
    () => {
      const updates = zones.reduce((sum, zone) => sum + zone.updates, 0);
      history.push(updates);
      if (history.length > CHART_S) history.shift();
      for (const zone of zones) drawZone(zone, riders);
      write(total, String(riders.dots.size));
      write(busy, String(riders.busy));
      const recent = history.slice(-5);
      write(rate, String(Math.round(recent.reduce((sum, n) => sum + n, 0) / recent.length)));
      drawChart(chart, history);
      view.dataset.riders = String(riders.dots.size);
    },
    signal,
  );

  const freshness = () => worst(zones.flatMap(({ fleet }) => fleet ?? []));
  const sign = pill(view, client, { freshness }, signal);
  const figure = (number: HTMLElement, name: string) => h('span', { class: 'tally' }, number, name);
  view.replaceChildren(
    h(
      'section',
      { class: 'card panel', 'aria-label': 'Zones' },
      h('div', { class: 'top' }, h('h1', {}, 'Port Ridecast'), sign),
      h(
        'div',
        { class: 'tallies' },
        figure(total, 'Riders'),
        figure(busy, 'On an order'),
        figure(rate, 'Updates / s'),
      ),
      chart,
      h('ul', { class: 'zones' }, ...zones.map(({ row }) => row)),
    ),
  );
  city.showCity(panelPadding());
};

/** Riders of all zones. One that crosses a border enters the next zone before or after it leaves the last. */
class Riders {
  readonly dots: Dots;
  private readonly zoneOf = new Map<string, { zone: string; busy: boolean }>();

  constructor(city: CityMap) {
    this.dots = new Dots(city);
  }

  get busy(): number {
    return [...this.zoneOf.values()].filter((rider) => rider.busy).length;
  }

  count(zone: string): { all: number; busy: number } {
    const here = [...this.zoneOf.values()].filter((rider) => rider.zone === zone);
    return { all: here.length, busy: here.filter((rider) => rider.busy).length };
  }

  take(zone: string, fleet: Fleet, ids: Iterable<string>): void {
    for (const id of ids) {
      const item = fleet.snapshot?.get(id);
      if (item === undefined) this.leave(zone, id);
      else {
        const busy = (item.orders?.length ?? 0) > 0;
        this.zoneOf.set(id, { zone, busy });
        this.dots.put(id, item.position, {
          status: busy ? 'busy' : 'idle',
          freshness: item.freshness,
          name: id,
        });
      }
    }
  }

  leave(zone: string, id: string): void {
    if (this.zoneOf.get(id)?.zone !== zone) return;
    this.zoneOf.delete(id);
    this.dots.remove(id);
  }
}

function makeZone({ id, name }: Named): Zone {
  const toggle = h('input', { type: 'checkbox', role: 'switch', checked: '' });
  const row = h(
    'li',
    { 'data-zone': id },
    h(
      'label',
      {},
      toggle,
      h('b', {}, name),
      h('span', { class: 'meter', 'aria-hidden': 'true' }, h('i')),
      h('output', {}, '0'),
    ),
    h('small', {}),
  );
  const badge = h('div', { class: 'badge', 'aria-hidden': 'true' }, h('b', {}, '0'), name);
  return { id, name, switch: toggle, row, badge, fleet: undefined, updates: 0 };
}

function start(client: Client, zone: Zone, riders: Riders): void {
  const fleet = watchFleet(client, { zone: zone.id });
  zone.fleet = fleet;
  fleet.on('batch', (ids) => {
    zone.updates += ids.size;
    riders.take(zone.id, fleet, ids);
  });
}

function stop(zone: Zone, riders: Riders): void {
  for (const id of zone.fleet?.snapshot?.keys() ?? []) riders.leave(zone.id, id);
  zone.fleet?.close();
  zone.fleet = undefined;
}

function drawZone(zone: Zone, riders: Riders): void {
  const on = zone.fleet !== undefined;
  const { all, busy } = riders.count(zone.id);
  zone.row.classList.toggle('off', !on);
  zone.badge.hidden = !on;
  zone.row.dataset.riders = String(all);
  zone.row.style.setProperty('--share', String(all === 0 ? 0 : busy / all));
  write(zone.row.querySelector('output')!, on ? String(all) : '–');
  write(
    zone.row.querySelector('small')!,
    on ? `${busy} on an order · ${zone.updates} updates/s` : 'not watched',
  );
  write(zone.badge.querySelector('b')!, String(all));
  zone.updates = 0;
}

function drawChart(chart: HTMLElement, history: readonly number[]): void {
  const most = Math.max(10, ...history);
  while (chart.children.length < CHART_S) chart.append(h('i'));
  [...chart.children].forEach((bar, i) => {
    const value = history[i - (CHART_S - history.length)] ?? 0;
    (bar as HTMLElement).style.height = `${Math.round((value / most) * 100)}%`;
  });
}

function worst(fleets: readonly Fleet[]) {
  const order = ['lost', 'catching-up', 'stale', 'live'] as const;
  return order.find((word) => fleets.some((fleet) => fleet.freshness === word)) ?? 'live';
}

function middle(city: CityMap, id: string) {
  const zone = city.zones.features.filter((feature) => feature.properties.id === id);
  return boundsOf({ ...city.zones, features: zone }).getCenter();
}
