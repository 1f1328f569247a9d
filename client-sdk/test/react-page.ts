/** The page of react.test.ts: an app in StrictMode whose parts the test puts in and takes out. */
import { createElement as h, StrictMode, useState } from 'react';
import { flushSync } from 'react-dom';
import { createRoot } from 'react-dom/client';
import type { Order } from '../src/index.ts';
import {
  ClientProvider,
  useConnection,
  useFleet,
  useOrder,
  useOrderEvent,
  useOrderWatch,
} from '../src/react.ts';

/** What to show, as the test says. */
export interface Shown {
  orders?: string[];
  statusOf?: string;
  placeOf?: string;
  eventsOf?: string;
  watchOf?: string;
  partner?: string;
  provider?: boolean;
}

declare global {
  interface Window {
    show(shown: Shown): void;
    drawn: Record<string, number>;
    events: string[];
    asked: number;
    token: string;
  }
}

window.drawn = {};
window.events = [];
window.asked = 0;
const count = (name: string) => {
  window.drawn[name] = (window.drawn[name] ?? 0) + 1;
};

function OrderLine({ id }: { id: string }) {
  const { data, freshness } = useOrder(id);
  return h('li', null, `${id} ${data?.status} ${freshness} ${data?.position?.lat ?? 'nowhere'}`);
}

const statusOf = (order: Order | undefined) => order?.status;

function Status({ id }: { id: string }) {
  count('status');
  return h('b', null, useOrder(id, statusOf).data);
}

const placeOf = (order: Order | undefined) => ({ lat: order?.position?.lat });

/** Selects another object each time it is asked. */
function Place({ id }: { id: string }) {
  return h('u', null, useOrder(id, placeOf).data?.lat);
}

function Events({ id }: { id: string }) {
  const [seen, setSeen] = useState(0);
  useOrderEvent(id, 'status', ({ status }) => {
    window.events.push(`${status} after ${seen}`);
    setSeen(seen + 1);
  });
  return null;
}

function Watched({ id }: { id: string }) {
  return h('i', null, useOrderWatch(id)?.cursor?.offset);
}

function Riders({ partner }: { partner: string }) {
  const riders = useFleet({ partner });
  return h('em', null, [...(riders?.keys() ?? ['unknown'])].join(' '));
}

function State() {
  return h('output', null, useConnection()?.state ?? 'none');
}

const url = `${location.origin.replace('http', 'ws')}/v1/ws`;

function App({
  orders = [],
  statusOf: one,
  placeOf: place,
  eventsOf,
  watchOf,
  partner,
  provider = true,
}: Shown) {
  const token = async () => {
    window.asked++;
    return window.token;
  };
  if (!provider) return null;
  return h(
    ClientProvider,
    { url, options: { token } },
    h(State),
    ...orders.map((id, key) => h(OrderLine, { id, key })),
    one && h(Status, { id: one }),
    place && h(Place, { id: place }),
    eventsOf && h(Events, { id: eventsOf }),
    watchOf && h(Watched, { id: watchOf }),
    partner && h(Riders, { partner }),
  );
}

const root = createRoot(document.body);
// At once: what is shown twice in one go has no time between.
window.show = (shown) => flushSync(() => root.render(h(StrictMode, null, h(App, shown))));
