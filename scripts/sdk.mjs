/** How the SDK is bundled, when it is built and when it is measured. */

/**
 * Properties by which the SDK's own parts know each other: no app and no gateway ever sees one, so the build shortens
 * them. A name that is on the wire, names a message or is in the public types must not be here.
 */
const INTERNAL = [
  'alive',
  'backlog',
  'begin',
  'emit',
  'ending',
  'fix',
  'follow',
  'forget',
  'frameSize',
  'greeting',
  'handle',
  'heard',
  'heardAt',
  'held',
  'lastWatch',
  'mute',
  'over',
  'parts',
  'place',
  'probe',
  'quit',
  'roundTrip',
  'say',
  'sent',
  'skew',
  'stand',
  'synced',
  'understand',
  'users',
];

export const internal = new RegExp(`^(${INTERNAL.join('|')})$`);

/** Options of esbuild. */
export const bundling = {
  bundle: true,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  logLevel: 'warning',
  mangleProps: internal,
};
