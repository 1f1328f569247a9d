import type { Core } from './wire.ts';

/**
 * Says how many positions frames were handled, at the latest when half of the window is used up: the gateway that waits
 * for it overwrites in place, and what comes is new. Of the bytes it is a quarter, for text is counted in units of up
 * to three.
 */
export function credit(core: Core): void {
  let handled = 0;
  /** Share of what may be handled without a word. */
  let used = 0;

  core.parts.add({
    hello() {
      handled = used = 0;
    },
    positions() {
      const window = core.greeting?.credit;
      if (!window) return;
      handled++;
      used += 2 / window.frames + (4 * core.frameSize) / window.bytes;
      if (used < 1) return;
      used = 0;
      core.say({ t: 'credit', n: handled });
    },
  });
}
