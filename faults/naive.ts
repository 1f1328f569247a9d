/** The SDK's JSON codec as apps without some protections would have it: the frames are edited on their way. */
import type { Codec } from '@ridecast/client';
import type { ClientMessage, Cursor, GatewayMessage, GatewayMessages } from '../src/protocol/messages.ts';
import type { ClientProtection } from './sights.ts';

/** ms between beats that such an app would wait for: longer than any run. */
const NEVER = 3_600_000;

type Watch = { w: number; since?: Cursor };

export function codecWithout(without: readonly ClientProtection[]): Codec {
  const lacks = (protection: ClientProtection) => without.includes(protection);
  const stood = new Map<number, Cursor>();
  const watching = (watch: Watch) => {
    if (watch.since !== undefined) stood.set(watch.w, watch.since);
    if (lacks('resume')) watch.since = undefined;
  };
  return {
    protocol: 'ridecast.v1.json',
    encode(frame) {
      const message = structuredClone(frame) as ClientMessage;
      if (message.t === 'watch') watching(message);
      else if (message.t === 'hello') {
        for (const watch of message.watch ?? []) watching(watch);
        if (lacks('credit')) delete message.credit;
      }
      return JSON.stringify(message);
    },
    decode(data) {
      const message = JSON.parse(data as string) as GatewayMessage;
      if (message.t === 'welcome' && lacks('watchdog')) message.heartbeat = NEVER;
      if (message.t === 'watching' && lacks('gap-check')) believe(message, stood);
      return message;
    },
  };
}

/** The events are taken as those that follow, and where there are some nothing is said of what else was missed. */
function believe(message: GatewayMessages['watching'], stood: Map<number, Cursor>): void {
  let at = stood.get(message.w);
  const { events, cursor } = message;
  if (at === undefined || events === undefined || events.length === 0 || cursor === undefined) return;
  for (const event of events) {
    event.prev = at.id;
    event.offset = at.offset + 1;
    at = { epoch: at.epoch, offset: event.offset, id: event.id };
  }
  message.cursor = at;
  delete message.reset;
}
