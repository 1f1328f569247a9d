/** The customer's page: one order, from the shop to the door. */
import { type Client, type Order, type Position, watchOrder } from '@ridecast/client';
import { animate } from '@ridecast/client/smooth';
import { announce, every, h, wait, write } from './dom.ts';
import { dotElement, pose } from './dots.ts';
import { ask, open } from './gateway.ts';
import type { CityMap, Place } from './map.ts';
import { pill } from './pill.ts';
import { sheetPadding, type View } from './view.ts';
import { clock, STEPS, span, statusWord } from './words.ts';

/** How long "delivered" stays before the next order is followed, ms. */
const REST_MS = 9000;
const RETRY_MS = 1500;
const LOOK_MS = 5000;
/** Metres between two points of the trail, about, in degrees. */
const TRAIL_STEP = 4e-5;
const TRAIL_POINTS = 600;

export const customer: View = async (view, city, signal) => {
  const client = open('customer');
  signal.addEventListener('abort', () => client.close(), { once: true });
  let last: string | undefined;
  let rest: AbortController | undefined;
  while (!signal.aborted) {
    const order = await currentOrder(signal);
    if (order === undefined || order === last) {
      if (rest === undefined) {
        rest = new AbortController();
        between(view, client, AbortSignal.any([signal, rest.signal]));
      }
      await wait(RETRY_MS, signal);
      continue;
    }
    rest?.abort();
    rest = undefined;
    last = order;
    await follow(view, city, client, order, signal);
  }
};

/** No order to follow: the link is still shown as it is. */
function between(view: HTMLElement, client: Client, signal: AbortSignal): void {
  delete view.dataset.status;
  const sign = pill(view, client, { freshness: () => 'live' }, signal);
  const top = h('div', { class: 'top' }, h('span', {}, 'Waiting for the next order'), sign);
  view.replaceChildren(h('section', { class: 'card sheet', 'aria-label': 'Your order' }, top));
}

/** The gateway may be away for a while: then there is no answer, and the page asks again. */
async function currentOrder(signal: AbortSignal): Promise<string | undefined> {
  return ask('customer', undefined, signal).then(
    ({ order }) => order,
    () => undefined,
  );
}

/** Shows one order until it has ended and was looked at, or is not known any more. */
function follow(
  view: HTMLElement,
  city: CityMap,
  client: Client,
  id: string,
  left: AbortSignal,
): Promise<void> {
  const done = new AbortController();
  const signal = AbortSignal.any([left, done.signal]);

  // What an app needs of the SDK: watch the order, draw its snapshot when it changes, let the dot glide.
  const watch = watchOrder(client, id);
  signal.addEventListener('abort', () => watch.close(), { once: true });
  const card = orderCard(id);
  const scene = orderScene(city, signal);
  watch.on('change', (order) => {
    view.dataset.status = order.status;
    card.draw(order, client.now());
    scene.draw(order);
  });
  watch.on('status', ({ status }) => announce(`Your order: ${statusWord(status)}`));
  signal.addEventListener('abort', animate(watch, scene.move), { once: true });

  const sign = pill(
    view,
    client,
    { freshness: () => watch.freshness, seenAt: () => watch.snapshot?.position?.at },
    signal,
  );
  card.element.querySelector('.top')!.append(sign);
  view.replaceChildren(card.element);
  view.dataset.order = id;
  every(1000, () => watch.snapshot && card.draw(watch.snapshot, client.now()), signal);

  return new Promise((resolve) => {
    const finish = () => {
      done.abort();
      resolve();
    };
    signal.addEventListener('abort', finish, { once: true });
    watch.on('end', () => {
      card.next.addEventListener('click', finish, { once: true });
      void wait(REST_MS, signal).then(finish);
    });
    // Also when the SDK would wait for the order to be put back: this gateway's memory is gone, and nobody will.
    watch.on('error', finish);
  });
}

function orderCard(id: string) {
  const headline = h('h1', {}, 'Your order');
  const detail = h('p', { class: 'detail' });
  const shop = h('span', { class: 'shop' });
  const steps = STEPS.map((step) =>
    h('li', { 'data-step': step }, h('i', { 'aria-hidden': 'true' }), statusWord(step)),
  );
  const next = h('button', { class: 'next', type: 'button', hidden: '' }, 'Follow the next order');
  const element = h(
    'section',
    { class: 'card sheet', 'aria-label': 'Your order' },
    h('div', { class: 'top' }, h('span', { class: 'order' }, shop, h('code', {}, id))),
    headline,
    detail,
    h('ol', { class: 'steps' }, ...steps),
    next,
  );

  return {
    element,
    next,
    draw(order: Order, now: number) {
      const reached = (STEPS as readonly string[]).indexOf(order.status);
      element.dataset.status = order.status;
      element.style.setProperty('--reached', String(Math.max(0, reached)));
      steps.forEach((step, i) => {
        step.className = i < reached || order.ended ? 'done' : i === reached ? 'now' : '';
        if (i === reached) step.setAttribute('aria-current', 'step');
        else step.removeAttribute('aria-current');
      });
      write(shop, String(order.data?.shop ?? 'Your order'));
      write(headline, headlineOf(order, now));
      write(detail, detailOf(order));
      next.hidden = !order.ended;
    },
  };
}

function headlineOf({ status, eta }: Order, now: number): string {
  if (status === 'delivered') return 'Delivered. Enjoy!';
  if (status === 'cancelled') return 'This order was cancelled';
  if (eta === undefined) return 'Looking for a rider';
  const rest = eta.at - now;
  if (rest < 20_000) return 'Any moment now';
  return rest < 60_000 ? 'Less than a minute' : `Arriving in ${span(rest)}`;
}

function detailOf({ status, data, at, eta }: Order): string {
  const items = String(data?.items ?? '');
  const due = eta === undefined ? '' : ` · about ${clock(eta.at)}`;
  if (status === 'delivered') return `${items} · at ${clock(at)}`;
  if (status === 'created') return items;
  if (status === 'assigned') return `${items} · the rider shows up here once it is picked up`;
  return `${items}${due}`;
}

/** The rider, its trail and the two ends of the way on the map. */
function orderScene(city: CityMap, signal: AbortSignal) {
  const rider = dotElement('order');
  rider.classList.add('big');
  const shop = h('div', { class: 'pin', 'data-pin': 'shop', title: 'Shop' });
  const door = h('div', { class: 'pin', 'data-pin': 'door', title: 'Your door' });
  let marker: ReturnType<CityMap['put']> | undefined;
  let order: Order | undefined;
  let trail: Place[] = [];
  let held = false;

  const hold = (event: { originalEvent?: unknown }) => {
    held ||= event.originalEvent !== undefined;
  };
  city.map.on('movestart', hold);
  const look = () => {
    const from = marker?.getLngLat() ?? order?.pickup;
    const places = [from, order?.destination].filter((place) => place !== undefined);
    if (places.length > 0 && !held) city.show(places, sheetPadding());
  };
  const looking = setInterval(look, LOOK_MS);
  signal.addEventListener(
    'abort',
    () => {
      clearInterval(looking);
      city.map.off('movestart', hold);
      for (const element of [rider, shop, door]) element.remove();
      marker?.remove();
      city.drawTrail([]);
    },
    { once: true },
  );

  return {
    draw(now: Order) {
      const first = order === undefined;
      order = now;
      if (first && now.pickup) city.put(shop, now.pickup, 'bottom');
      if (first && now.destination) city.put(door, now.destination, 'bottom');
      if (first) look();
      if (now.position === undefined && marker !== undefined) {
        marker.remove();
        marker = undefined;
      }
      door.classList.toggle('reached', now.status === 'delivered');
    },
    /** Every animation frame while the rider moves. */
    move(at: Pick<Position, 'lat' | 'lng' | 'heading'>) {
      if (order?.position === undefined) return;
      const first = marker === undefined;
      marker ??= city.put(rider, at);
      rider.dataset.status = order.status;
      pose(rider, marker, at);
      if (first) look();
      const end = trail.at(-1);
      if (end !== undefined && Math.hypot(at.lat - end.lat, at.lng - end.lng) < TRAIL_STEP) return;
      trail = [...trail.slice(-TRAIL_POINTS), { lat: at.lat, lng: at.lng }];
      city.drawTrail(trail);
    },
  };
}
