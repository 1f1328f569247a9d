import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeConfig } from '../src/config.ts';
import { VERSION } from '../src/gateway.ts';
import { CloseCodes } from '../src/protocol/close-codes.ts';
import {
  clientMessages,
  errorCodes,
  gatewayMessages,
  outReasons,
  resetReasons,
} from '../src/protocol/messages.ts';

const root = new URL('..', import.meta.url).pathname;
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const protocol = read('PROTOCOL.md');
const documents = [
  ...['', 'docs', 'docs/sdk', 'client-sdk'].flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(folder, name)),
  ),
];

/** The README with its generated parts as they should be. UPDATE_DOCS=1 writes them. */
function generated(readme: string): string {
  const cell = (text: string) => text.replaceAll('|', '\\|');
  const rows = describeConfig().map(
    ({ name, value, meaning }) => `| \`${name}\` | ${cell(value)} | ${cell(meaning)} |`,
  );
  const table = ['| variable | default | meaning |', '|---|---|---|', ...rows].join('\n');
  return readme
    .replace(/(<!-- configuration -->\n\n)[\s\S]*?(\n\n## )/, (_, head, tail) => `${head}${table}${tail}`)
    .replace(
      /(<!-- (examples\/\S+) -->\n```js\n)[\s\S]*?(```)/g,
      (_, head, file, tail) => `${head}${read(file)}${tail}`,
    );
}

describe('the documents', () => {
  it('hold the configuration and the examples as they are (UPDATE_DOCS=1 brings them up to date)', () => {
    if (process.env.UPDATE_DOCS === '1') writeFileSync(join(root, 'README.md'), generated(read('README.md')));
    expect(read('README.md')).toBe(generated(read('README.md')));
    expect(read('README.md')).toContain('| `MAX_WATCHES` | 200 |');
    expect(read('README.md')).toContain("import { connect, watchOrder } from '@ridecast/client'");
  });

  it('explain every message, close code, error and reason of the protocol', () => {
    for (const type of new Set([...Object.keys(clientMessages), ...Object.keys(gatewayMessages)])) {
      expect(protocol).toMatch(new RegExp(`^### \`${type}\` · `, 'm'));
    }
    for (const { code, reason } of Object.values(CloseCodes))
      expect(protocol).toContain(`### ${code} ${reason}`);
    for (const word of [...errorCodes, ...outReasons, ...resetReasons])
      expect(protocol).toContain(`\`${word}\``);
  });

  it('are of the version that a node says it is', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string };
    expect(VERSION).toBe(version);
  });

  it('link only to files that exist', () => {
    for (const path of documents) {
      for (const [, target] of read(path).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)) {
        expect([path, target, existsSync(join(root, dirname(path), target!))]).toEqual([path, target, true]);
      }
    }
  });

  it('say of every option of the SDK what it is and what it is by default', () => {
    const options = (file: string, name: string) => {
      const [, text] = new RegExp(`interface ${name}\\b[^{]*\\{\\n([\\s\\S]*?)\\n\\}`).exec(
        read(`client-sdk/src/${file}.ts`),
      )!;
      return [...text!.matchAll(/^ {2}(?: {2})?(\w+)\??:/gm)].map(([, option]) => option!);
    };
    const said: [page: string, file: string, name: string][] = [
      ['README', 'types', 'Options'],
      ['customer', 'types', 'WatchOptions'],
      ['customer', 'types', 'OrderOptions'],
      ['customer', 'smooth', 'SmoothOptions'],
      ['partner', 'types', 'WatchOptions'],
      ['partner', 'types', 'FleetOptions'],
      ['rider', 'types', 'RiderOptions'],
      ['rider', 'types', 'Ping'],
      ['rider', 'react-native', 'ReactNativeModules'],
      ['transports', 'sse', 'SseOptions'],
      ['transports', 'fallback', 'FallbackOptions'],
      ['react', 'react', 'ClientProviderProps'],
    ];
    for (const [page, file, name] of said) {
      const found = options(file, name);
      expect([name, found.length > 0]).toEqual([name, true]);
      const rows = read(`docs/sdk/${page}.md`)
        .split('\n')
        .filter((line) => line.startsWith('|'));
      for (const option of found.filter((one) => one !== 'children')) {
        const row = rows.some(
          (line) => new RegExp(`\`(\\w+\\.)?${option}\``).test(line) || line.startsWith(`| \`${option}.`),
        );
        expect([page, option, row]).toEqual([page, option, true]);
      }
    }
  });

  it('name only npm scripts that exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    for (const path of documents) {
      // biome-ignore format: short
      for (const [, name] of read(path).matchAll(/npm run ([\w:-]+)/g)) expect([path, Object.keys(scripts)]).toEqual([path, expect.arrayContaining([name])]);
    }
  });
});
