/** What a view is, and how much room it leaves to the map. */
import type { CityMap, Padding } from './map.ts';

/** Fills `view` and the map, until the signal aborts. `detail` is what follows the view in the address. */
export type View = (view: HTMLElement, city: CityMap, signal: AbortSignal, detail?: string) => Promise<void>;

/** Room for the card: at the bottom of a phone, at the side of a larger screen. */
export function sheetPadding(): Padding {
  const narrow = innerWidth < 720;
  return narrow
    ? { top: 110, bottom: Math.min(340, innerHeight * 0.45), left: 50, right: 50 }
    : { top: 110, bottom: 90, left: 460, right: 90 };
}

/** Room for the panel. */
export function panelPadding(): Padding {
  return innerWidth < 720
    ? { top: 80, bottom: innerHeight * 0.5, left: 20, right: 20 }
    : { top: 84, bottom: 40, left: 430, right: 40 };
}
