import { timer } from './timer.ts';
import type { Core, Part } from './wire.ts';

/** How long frames are gathered for one credit, ms: ten a second, half of what the gateway takes. */
const CREDIT_MS = 100;

/**
 * Says how many positions frames were handled, once half of the window is used up: the gateway that waits for it
 * overwrites in place, and what comes is new. Of the bytes it is a quarter, for text is counted in units of up to three.
 */
export function credit(core: Core): Part {
  const soon = timer();
  let handled = 0;
  let told = 0;
  let size = 0;
  let due = false;

  function tell(): void {
    due = false;
    size = 0;
    told = handled;
    core.send({ t: 'credit', n: told });
  }

  return ({ t }) => {
    const window = core.welcome?.credit;
    if (t === 'lost' || t === 'hello') {
      soon();
      due = false;
      handled = told = size = 0;
    } else if (t === 'positions' && window) {
      handled++;
      size += core.size;
      if (due || (handled - told < window.frames / 2 && size < window.bytes / 4)) return;
      due = true;
      soon(tell, CREDIT_MS);
    }
  };
}
