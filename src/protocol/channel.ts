/** Names of the things one can watch, and the channels the nodes use among themselves. */

export type ChannelKind = 'order' | 'zone' | 'partner' | 'rider';

export interface ChannelName {
  readonly kind: ChannelKind;
  readonly id: string;
}

/** Ids become parts of Redis keys and channels: no colon, no brace, and no leading underscore (`__proto__`). */
export const ID_PATTERN = /^[A-Za-z0-9][A-Za-z0-9_.~-]{0,63}$/;

/** What a watcher may name. `rider:` channels are spoken between nodes only. */
export const CHANNEL_PATTERN = /^(order|zone|partner):[A-Za-z0-9][A-Za-z0-9_.~-]{0,63}$/;

/** What is said to every node. */
export const CONTROL_CHANNEL = 'control:revoked';

/** Joins kind and id. The id must match `ID_PATTERN`; that is checked where it enters the house. */
export function channelName(kind: ChannelKind, id: string): string {
  return `${kind}:${id}`;
}

/** The opposite of `channelName`, for names it made. */
export function parseChannel(name: string): ChannelName {
  const colon = name.indexOf(':');
  return { kind: name.slice(0, colon) as ChannelKind, id: name.slice(colon + 1) };
}
