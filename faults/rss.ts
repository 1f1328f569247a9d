/** How much memory processes hold, sampled from /proc while a run goes on. */
import { readFileSync } from 'node:fs';

const EVERY_MS = 250;
/** Fewer samples say nothing. */
const LEAST = 6;

type Sample = readonly [at: number, bytes: number];

export class RssSampler {
  private readonly samples = new Map<number, Sample[]>();
  private readonly timer = setInterval(() => this.sample(), EVERY_MS);

  follow(pid: number): void {
    this.samples.set(pid, []);
  }

  forget(pid: number): void {
    this.samples.delete(pid);
  }

  /** Growth over the later two thirds of the run, MB a minute, of the process that grew most; 0 if none did. */
  slope(): number {
    const slopes = [...this.samples.values()].filter((list) => list.length >= LEAST).map(slopeOf);
    return Math.round(Math.max(0, ...slopes) * 10) / 10;
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
  }

  private sample(): void {
    for (const [pid, list] of this.samples) {
      const bytes = rssOf(pid);
      if (!Number.isNaN(bytes)) list.push([Date.now(), bytes]);
    }
  }
}

/** Bytes a process holds now; NaN if it is gone, or there is no /proc. */
export function rssOf(pid: number): number {
  try {
    return 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  } catch {
    return Number.NaN;
  }
}

/** Of the straight line through the later two thirds, MB a minute. */
function slopeOf(all: readonly Sample[]): number {
  const samples = all.slice(Math.floor(all.length / 3));
  const meanT = mean(samples.map(([at]) => at));
  const meanB = mean(samples.map(([, bytes]) => bytes));
  let [over, under] = [0, 0];
  for (const [at, bytes] of samples) {
    over += (at - meanT) * (bytes - meanB);
    under += (at - meanT) ** 2;
  }
  return under === 0 ? 0 : (over / under / 2 ** 20) * 60_000;
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
