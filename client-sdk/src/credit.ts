import { timer } from './timer.ts';
import type { Core, Part } from './wire.ts';

/** The longest a credit waits, ms. */
const CREDIT_MS = 100;

/** Says how many positions frames were handled: never stalls the gateway, and stays far below its limit of frames. */
export function credit(core: Core): Part {
  const soon = timer();
  let handled = 0;
  let told = 0;

  function tell(): void {
    soon();
    told = handled;
    core.send({ t: 'credit', n: handled });
  }

  return {
    take(m) {
      const window = core.welcome?.credit;
      if (m.t === 'welcome') handled = told = 0;
      else if (m.t === 'positions' && window) {
        handled++;
        if (handled - told >= window.frames / 2) tell();
        else if (handled - told === 1) soon(tell, CREDIT_MS);
      }
    },
    state() {
      if (!core.welcome) soon();
    },
  };
}
