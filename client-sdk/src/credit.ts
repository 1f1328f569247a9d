import { timer } from './timer.ts';
import type { Core, Part } from './wire.ts';

/** How long frames are gathered for one credit, ms: ten a second, half of what the gateway takes. */
const CREDIT_MS = 100;

/** Says how many positions frames were handled. The gateway that waits for it overwrites in place: what comes is new. */
export function credit(core: Core): Part {
  const soon = timer();
  let handled = 0;
  let told = 0;

  function tell(): void {
    told = handled;
    core.send({ t: 'credit', n: told });
  }

  return ({ t }) => {
    if (t === 'lost' || t === 'hello') {
      soon();
      handled = told = 0;
    } else if (t === 'positions' && core.welcome?.credit && handled++ === told) soon(tell, CREDIT_MS);
  };
}
