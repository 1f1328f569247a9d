import { EventEmitter, once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { ConfigError } from '../src/config.ts';
import { type Host, run } from '../src/run.ts';

/** A process of which the test holds the clock and the signals. */
class FakeHost extends EventEmitter implements Host {
  readonly codes: number[] = [];
  readonly said: string[] = [];
  readonly stderr = { write: (text: string) => this.said.push(text) };
  at = 10;

  uptime(): number {
    return this.at;
  }

  exit(code: number): void {
    this.codes.push(code);
    this.emit('exit');
  }
}

/** A running program, and when it ends. */
async function running() {
  const host = new FakeHost();
  const stops: { done: () => void; failed: () => void }[] = [];
  const stop = () => new Promise<void>((done, failed) => stops.push({ done, failed }));
  await run('it', host, async () => stop);
  return { host, stops };
}

describe('a program', () => {
  it('stops on a signal and exits with 0', async () => {
    for (const signal of ['SIGTERM', 'SIGINT']) {
      const { host, stops } = await running();
      host.emit(signal);
      expect([stops.length, host.codes]).toEqual([1, []]);
      stops[0]!.done();
      await once(host, 'exit');
      expect(host.codes).toEqual([0]);
    }
  });

  it('exits with 1 when it cannot stop', async () => {
    const { host, stops } = await running();
    host.emit('SIGTERM');
    stops[0]!.failed();
    await once(host, 'exit');
    expect(host.codes).toEqual([1]);
  });

  it('takes two signals at once for one, and a later one for: at once', async () => {
    const { host, stops } = await running();
    host.emit('SIGINT');
    host.at += 0.5;
    host.emit('SIGTERM');
    expect([stops.length, host.codes]).toEqual([1, []]);
    host.at += 0.1;
    host.emit('SIGINT');
    expect([stops.length, host.codes]).toEqual([1, [130]]);
  });

  it('says why it does not start: 78 for its configuration, else 1', async () => {
    const failed = async (error: Error) => {
      const host = new FakeHost();
      await run('it', host, () => Promise.reject(error));
      return [host.codes, host.said, host.listenerCount('SIGTERM')];
    };
    expect(await failed(new Error('the port is taken'))).toEqual([[1], ['it: the port is taken\n'], 0]);
    const wrong = new ConfigError(['PORT: expected a number']);
    expect(await failed(wrong)).toEqual([[78], [`it: ${wrong.message}\n`], 0]);
  });
});
