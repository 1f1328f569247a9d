/** The partner's dashboard: all its running orders, and the riders who bring them. */
import { type Fleet, type Item, type OrderInfo, watchFleet } from '@ridecast/client';
import { announce, every, h, write } from './dom.ts';
import { Dots } from './dots.ts';
import { ask, type Named, open } from './gateway.ts';
import type { CityMap } from './map.ts';
import { pill } from './pill.ts';
import { panelPadding, type View } from './view.ts';
import { span, statusWord } from './words.ts';

/** What needs attention first. */
const RANK: Readonly<Record<string, number>> = { arriving: 0, picked_up: 1, assigned: 2, created: 3 };
const DRAW_MS = 500;

export const partner: View = async (view, city, signal, asked) => {
  const { partner: id, partners = [] } = await ask('partner', asked, signal);
  if (id === undefined || signal.aborted) return;

  // One socket, one watch: every rider on an order of this partner, and every order.
  const client = open('partner', id);
  const fleet = watchFleet(client, { partner: id });
  const dots = new Dots(city, (rider) => choose(ordersOf(fleet, rider)[0]));
  signal.addEventListener(
    'abort',
    () => {
      dots.clear();
      client.close();
    },
    { once: true },
  );

  const list = h('ul', { class: 'orders', 'aria-label': 'Orders under way' });
  const counts = Object.keys(RANK).map((status) => tally(status));
  const delivered = tally('delivered');
  let selected: string | undefined;
  let done = 0;

  const choose = (order: string | undefined) => {
    selected = order === selected ? undefined : order;
    const rider = selected === undefined ? undefined : fleet.orders.get(selected)?.rider;
    const at = rider === undefined ? undefined : dots.at(rider);
    dots.select(rider);
    pins(selected === undefined ? undefined : fleet.orders.get(selected));
    if (at !== undefined)
      city.show([at, fleet.orders.get(selected!)?.destination ?? at], panelPadding(), 16.2);
    else if (selected === undefined) city.showCity(panelPadding());
    draw();
  };
  const pins = destinationPins(city, signal);
  const rows = new Map<string, HTMLElement>();

  function draw(): void {
    const orders = [...fleet.orders.values()].sort(inOrder);
    const shown = new Set(orders.map((order) => order.id));
    for (const [order, row] of rows) {
      if (shown.has(order)) continue;
      row.remove();
      rows.delete(order);
    }
    orders.forEach((order, i) => {
      const row = rows.get(order.id) ?? makeRow(order, choose);
      rows.set(order.id, row);
      drawRow(row, order, fleet.snapshot?.get(order.rider ?? ''), client.now());
      row.classList.toggle('selected', order.id === selected);
      if (list.children[i] !== row) list.insertBefore(row, list.children[i] ?? null);
    });
    if (selected !== undefined && !shown.has(selected)) choose(selected);
    for (const { status, number } of counts)
      write(number, String(orders.filter((o) => o.status === status).length));
    view.dataset.orders = String(orders.length);
    view.dataset.riders = String(dots.size);
  }

  fleet.on('batch', (riders) => {
    for (const rider of riders) {
      const item = fleet.snapshot?.get(rider);
      if (item === undefined) dots.remove(rider);
      else dots.put(rider, item.position, lookOf(item));
    }
    view.dataset.riders = String(dots.size);
  });
  fleet.on('status', ({ id: order, status }) => {
    if (status === 'delivered') write(delivered.number, String(++done));
    announce(`${order}: ${statusWord(status)}`);
    draw();
  });
  every(DRAW_MS, draw, signal);

  const sign = pill(view, client, { freshness: () => fleet.freshness }, signal);
  view.replaceChildren(
    h(
      'section',
      { class: 'card panel', 'aria-label': 'Orders' },
      h('div', { class: 'top' }, switcher(partners, id), sign),
      h('div', { class: 'tallies' }, ...[...counts, delivered].map(({ element }) => element)),
      list,
    ),
  );
  city.showCity(panelPadding());
};

function lookOf({ status, freshness, id }: Item) {
  return { status: status ?? 'assigned', freshness, name: `${id}, ${statusWord(status ?? 'assigned')}` };
}

function ordersOf(fleet: Fleet, rider: string): readonly string[] {
  return fleet.snapshot?.get(rider)?.orders ?? [];
}

function inOrder(a: OrderInfo, b: OrderInfo): number {
  return (RANK[a.status] ?? 9) - (RANK[b.status] ?? 9) || a.at - b.at || a.id.localeCompare(b.id);
}

function makeRow(order: OrderInfo, choose: (id: string) => void): HTMLElement {
  const row = h(
    'li',
    { 'data-order': order.id },
    h(
      'button',
      { type: 'button' },
      h(
        'span',
        { class: 'what' },
        h('b', {}, String(order.data?.items ?? order.id)),
        h('code', {}, order.id),
      ),
      h('span', { class: 'who' }, h('span', { class: 'chip' }), h('small', {})),
    ),
  );
  row.querySelector('button')!.addEventListener('click', () => choose(order.id));
  return row;
}

function drawRow(row: HTMLElement, order: OrderInfo, item: Item | undefined, now: number): void {
  row.dataset.status = order.status;
  row.querySelector('button')!.setAttribute('aria-pressed', String(row.classList.contains('selected')));
  write(row.querySelector('.chip')!, statusWord(order.status));
  const silent = item !== undefined && item.freshness !== 'live';
  const when = silent ? `last seen ${span(now - item.position.at)} ago` : span(now - order.at);
  write(
    row.querySelector('small')!,
    order.rider === undefined ? `waiting ${span(now - order.at)}` : `${order.rider} · ${when}`,
  );
}

function tally(status: string) {
  const number = h('b', {}, '0');
  return {
    status,
    number,
    element: h('span', { class: 'tally', 'data-status': status }, number, statusWord(status)),
  };
}

function switcher(partners: readonly Named[], current: string): HTMLElement {
  const links = partners.map(({ id, name }) =>
    h('a', { href: `#partner/${id}`, 'aria-current': id === current ? 'true' : undefined }, name),
  );
  return h('nav', { class: 'switch', 'aria-label': 'Partner' }, ...links);
}

/** The two ends of the chosen order. */
function destinationPins(city: CityMap, signal: AbortSignal) {
  let shown: { remove(): void }[] = [];
  const clear = () => {
    for (const pin of shown) pin.remove();
    shown = [];
  };
  signal.addEventListener('abort', clear, { once: true });
  return (order: OrderInfo | undefined) => {
    clear();
    if (order?.pickup)
      shown.push(city.put(h('div', { class: 'pin', 'data-pin': 'shop' }), order.pickup, 'bottom'));
    if (order?.destination)
      shown.push(city.put(h('div', { class: 'pin', 'data-pin': 'door' }), order.destination, 'bottom'));
  };
}
