/** Finds the system's Chromium and starts it for a test. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'];

/** No GPU, no account, no update, nothing fetched in the background; WebGL drawn in software. */
const ARGS = [
  '--no-sandbox',
  '--headless=new',
  '--disable-gpu',
  '--use-angle=swiftshader',
  '--enable-unsafe-swiftshader',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

/**
 * @param path the PATH to look in
 * @param chosen a Chromium by name or path, before all others
 * @throws Error that says what to install
 */
export function findChromium(path: string | undefined, chosen?: string): string {
  if (chosen?.includes('/')) return chosen;
  for (const folder of (path ?? '').split(delimiter)) {
    for (const name of chosen === undefined ? NAMES : [chosen]) {
      const file = join(folder, name);
      try {
        accessSync(file, constants.X_OK);
        return file;
      } catch {
        // look on
      }
    }
  }
  throw new Error(
    `no Chromium in PATH (looked for ${NAMES.join(', ')}): install one, Debian: apt install chromium`,
  );
}

/** @param o backForwardCache: pages that were left are kept, as for people */
export function startChromium(o: { backForwardCache?: boolean } = {}): Promise<Browser> {
  return chromium.launch({
    executablePath: findChromium(process.env.PATH, process.env.CHROMIUM),
    args: ARGS,
    ...(o.backForwardCache ? { ignoreDefaultArgs: ['--disable-back-forward-cache'] } : {}),
  });
}
