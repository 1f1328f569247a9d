/** The small sign that says whether what one sees is live. */
import type { Client, Freshness } from '@ridecast/client';
import { announce, every, h, write } from './dom.ts';
import { honest } from './words.ts';

export interface Watched {
  freshness(): Freshness;
  /** When the newest position was taken, ms on the gateway's clock. */
  seenAt?(): number | undefined;
}

/** Clients that were live once: what they do now is coming back. */
const wereLive = new WeakSet<Client>();

/**
 * Keeps `view.dataset.state` (of the connection) and `view.dataset.freshness` true as well, every second and whenever
 * the connection changes.
 */
export function pill(view: HTMLElement, client: Client, watched: Watched, signal: AbortSignal): HTMLElement {
  const text = h('span', {}, 'Connecting…');
  const element = h(
    'span',
    { class: 'pill', 'data-kind': 'connecting' },
    h('i', { 'aria-hidden': 'true' }),
    text,
  );
  const draw = () => {
    const { state } = client.info;
    if (state === 'live') wereLive.add(client);
    const wasLive = wereLive.has(client);
    const now = honest(client, watched.freshness(), watched.seenAt?.(), wasLive);
    if (wasLive && element.dataset.kind !== now.kind && element.dataset.kind !== 'connecting')
      announce(now.text);
    view.dataset.state = state;
    view.dataset.freshness = now.kind;
    element.dataset.kind = now.kind;
    write(text, now.text);
  };
  every(1000, draw, signal);
  signal.addEventListener('abort', client.on('state', draw), { once: true });
  return element;
}
