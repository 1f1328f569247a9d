/** Pages of other origins: which may use this gateway, and what lets them read its answers. */

/** Whether pages of that origin may use this gateway. No origin: no browser. */
export function isAllowed(origin: string, allowed: readonly string[]): boolean {
  return origin === '' || allowed.length === 0 || allowed.includes(origin);
}

/** What lets a page of another origin read the answer. Tokens decide, not cookies: none are asked for. */
export function crossOrigin(origin: string): Record<string, string> {
  return origin === '' ? {} : { 'Access-Control-Allow-Origin': origin, Vary: 'Origin' };
}
