/**
 * Every time and bound of the SDK that is not an option. They are one file because esbuild writes a number in place of its name
 * only where the name comes from a file that imports nothing.
 */

// ---- the client ----

/** Covers token, open and welcome, ms. */
export const CONNECT_MS = 10_000;
/** On waking up, everybody dials within this, ms. */
export const WAKE_MS = 300;
export const SUSPEND_MS = 30_000;
/** A link that was live for so long was healthy: whatever ended it, the gateway can serve. ms */
export const HEALTHY_MS = 2000;
/** A probe is answered within this, or the link is dead, ms. */
export const PROBE_MS = 3000;
/** A timer waits no longer, ms: setTimeout takes some 24 days. */
export const LONGEST_MS = 2e9;
/** What comes in one go is one frame of pings, or one request, ms. */
export const GATHER_MS = 20;

// ---- what is watched ----

/** An answer that takes longer was lost, ms. */
export const ANSWER_MS = 10_000;
/** How often the gateway may say that it does not know it any more: about 10 minutes, for the backend to put it back. */
export const PATIENCE = 45;
export const STALE_MS = 30_000;
/** Lost after so many times the time to stale, as the gateway's defaults have it. */
export const LOST = 4;
export const ACK_MS = 5000;
/** Where no frames are drawn. */
export const BATCH_MS = 16;
/** Where frames are drawn, but none comes: the page is hidden. */
export const HIDDEN_MS = 100;
/** Riders out of sight whose newest (session, seq) is remembered, so that none comes back in the past. */
export const REMEMBERED = 1000;

// ---- a rider ----

/** Fixes come with jitter: one that is this early for the pace still counts as on time. */
export const EARLY = 0.8;
/** A rider that stands still is heard this often, ms: well within the gateway's 30 s to stale. */
export const STILL_MS = 10_000;
/** More than so many bytes on the way out: keep the rest, it may thin. */
export const BUFFER_BYTES = 65_536;
export const SAVE_MS = 1000;

// ---- entries ----

/** What nobody uses any more is kept for so long, ms: whoever comes next, or again, finds it going. */
export const LINGER_MS = 250;
/** What comes within this is the beginning of a stream, ms: the gateway's next word follows 250 ms after it. */
export const BEGINNING_MS = 100;
