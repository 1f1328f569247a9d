/** The page: one map, and the view that the address names. */
import { customer } from './customer.ts';
import { h } from './dom.ts';
import { type CityMap, makeMap } from './map.ts';
import { operator } from './operator.ts';
import { partner } from './partner.ts';
import type { View } from './view.ts';

const VIEWS: Readonly<Record<string, View>> = { customer, partner, operator };

let leave = new AbortController();

function show(view: HTMLElement, city: CityMap): void {
  const [asked = '', detail] = location.hash.slice(1).split('/');
  const name = VIEWS[asked] === undefined ? 'customer' : asked;
  leave.abort();
  leave = new AbortController();
  for (const link of document.querySelectorAll('nav a')) {
    if (link.getAttribute('href') === `#${name}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  view.replaceChildren();
  for (const key of Object.keys(view.dataset)) delete view.dataset[key];
  document.body.dataset.view = name;
  VIEWS[name]!(view, city, leave.signal, detail).catch(failed);
}

function failed(error: Error): void {
  document
    .querySelector('#view')!
    .replaceChildren(h('p', { class: 'card problem', role: 'alert' }, error.message));
}

makeMap(document.querySelector('#map')!).then((city) => {
  const view = document.querySelector<HTMLElement>('#view')!;
  addEventListener('hashchange', () => show(view, city));
  show(view, city);
}, failed);
