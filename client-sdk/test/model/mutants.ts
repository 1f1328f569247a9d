/** The SDK with one protection taken out of its source, by name. Each must be falsified, or the schedules prove nothing. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import type { Sdk } from './world.ts';

const src = resolve(import.meta.dirname, '../../src');

export interface Mutant {
  readonly name: string;
  /** The property that notices. */
  readonly dies: 'orders' | 'zone' | 'rides';
  readonly file: string;
  /** Source that stands there once, and what stands there instead. */
  readonly source: string;
  readonly instead: string;
}

const mutant = (
  dies: Mutant['dies'],
  name: string,
  file: string,
  source: string,
  instead: string,
): Mutant => ({ name, dies, file: `${file}.ts`, source, instead });

export const MUTANTS: readonly Mutant[] = [
  // Events.
  mutant(
    'orders',
    'no gap check',
    'order',
    'e.offset !== cursor.offset + 1 || e.prev !== cursor.id',
    'false',
  ),
  mutant('orders', 'offsets only, no ids', 'order', ' || e.prev !== cursor.id', ''),
  mutant('orders', 'duplicates by offset', 'order', 'e.id === cursor.id', 'e.offset <= cursor.offset'),
  mutant(
    'orders',
    'the cursor moves after the app was told',
    'order',
    'watch.cursor = { ...cursor, offset: e.offset, id: e.id };',
    'queueMicrotask(() => { watch.cursor = { ...watch.cursor!, offset: e.offset, id: e.id }; });',
  ),
  mutant('orders', 'no gap is told', 'order', "emit('gap', { missed })", 'void missed'),
  mutant('orders', 'a closed watch goes on with its events', 'order', 'if (open) step(e)', 'step(e)'),
  mutant('orders', 'acknowledgements are forgotten', 'order', 'acking(ack, ACK_MS)', 'void ACK_MS'),
  mutant(
    'orders',
    'a lost answer is waited for',
    'subscribe',
    'wait(ANSWER_MS, false)',
    'wait(undefined, false)',
  ),
  mutant(
    'orders',
    'asked again at once, round in circles',
    'subscribe',
    'if (tries++) wait(jitter(tries - 2), false)',
    'if (false) wait(jitter(tries - 2), false)',
  ),
  mutant(
    'orders',
    'a missing order is over',
    'subscribe',
    "code === 'not_found' && known",
    "code === 'none' && known",
  ),
  mutant(
    'orders',
    'a listener that throws breaks the rest',
    'emitter',
    'report(error);\n        }',
    'throw error;\n        }',
  ),
  // Positions.
  mutant('orders', 'positions are taken as they come', 'order', 'newer < 0 || r', 't[0]'),
  mutant('orders', 'the rider before is shown', 'order', ' || r !== order?.assignment', ''),
  mutant('zone', 'positions of a zone are taken as they come', 'fleet', 'session > s ||', 'true ||'),
  mutant('zone', 'who left is forgotten at once', 'fleet', 'newest.size > now.size + REMEMBERED && ', ''),
  mutant('zone', 'who is in no part stays', 'fleet', 'if (!here.has(id)) touch(id)', 'void id'),
  mutant('zone', 'gone before the last part', 'fleet', 'if (!more && told)', 'if (told)'),
  mutant('zone', 'gone until the next part', 'fleet', 'else if (!told) now', 'else now'),
  // Links.
  mutant('orders', 'a silent link is trusted', 'liveness', 'silence(ask, limit)', 'void limit'),
  mutant(
    'orders',
    'a link that was let go still speaks',
    'connect',
    'data: (data) => signal.aborted || hear(data)',
    'data: (data) => hear(data)',
  ),
  mutant('orders', 'no deadline of a dial', 'connect', "next(() => lose('timeout'), CONNECT_MS);", ''),
  mutant('orders', 'the page is listened to for ever', 'connect', 'stopEnv();', ''),
  mutant('orders', 'a timer is left', 'connect', '    hiding();\n    stopEnv', '    stopEnv'),
  // Time.
  mutant(
    'orders',
    'a clock that was set is believed',
    'liveness',
    '        core.skew = Math.round(m.now',
    '        if (askedAt) core.skew = Math.round(m.now',
  ),
  mutant('zone', 'lost for good after a sleep', 'subscribe', 'beat: sink.alive,', 'beat: undefined,'),
  // Riders.
  mutant('rides', 'what was not acknowledged is not sent again', 'rider', 'waiting.sent = false;', ''),
  mutant('rides', 'sent again under another number', 'rider', 'waiting.seq ??= ', 'waiting.seq = '),
  mutant('rides', 'numbers of another session are kept', 'rider', 'if (!same) waiting.seq = undefined;', ''),
  mutant('rides', 'the queue has no bound', 'rider', 'if (queue.length > max)', 'if (false)'),
  mutant('rides', 'drops are not told', 'rider', "if (count) emit('drop', { count, reason });", ''),
  mutant('rides', 'frames of any length', 'rider', '.slice(0, limits.pingsPerFrame)', ''),
  mutant(
    'rides',
    'nothing is stored when the rider closes',
    'rider',
    'core.parts.delete(part);\n    void save();',
    'core.parts.delete(part);',
  ),
];

/** Builds the SDK with the change. @throws Error when the source is not there once: then the mutant says nothing */
export async function withMutant({ name, file, source, instead }: Mutant): Promise<Sdk> {
  const text = readFileSync(join(src, file), 'utf8');
  if (text.split(source).length !== 2) throw new Error(`${name}: ${file} must have once: ${source}`);
  const { outputFiles } = await build({
    entryPoints: [join(src, 'index.ts')],
    bundle: true,
    format: 'esm',
    write: false,
    plugins: [
      {
        name: 'mutant',
        setup: (b) =>
          b.onLoad({ filter: new RegExp(`[\\\\/]${file.replace('.', '\\.')}$`) }, () => ({
            contents: text.replace(source, () => instead),
            loader: 'ts',
          })),
      },
    ],
  });
  const code = Buffer.from(outputFiles[0]!.contents).toString('base64');
  return import(/* @vite-ignore */ `data:text/javascript;base64,${code}`);
}
