/** What memory processes and the kernel hold. */
import { readFileSync } from 'node:fs';

/** Environment of a Node process that can be told to collect its garbage. */
export const collecting = { NODE_OPTIONS: `--import=${new URL('../collect.js', import.meta.url)}` };

/** Told so, a process has all its garbage collected a moment later, whatever its size. */
export function collectGarbage(pid: number): void {
  process.kill(pid, 'SIGUSR2');
}

/** Resident set of a process, bytes; null where that is not told. */
export function residentBytes(pid: number): number | null {
  return kilobytes(`/proc/${pid}/status`, /^VmRSS:\s+(\d+) kB$/m);
}

/** What the kernel keeps in its own structures, sockets among them, bytes; null where that is not told. */
export function kernelBytes(): number | null {
  return kilobytes('/proc/meminfo', /^Slab:\s+(\d+) kB$/m);
}

function kilobytes(file: string, line: RegExp): number | null {
  try {
    const kB = line.exec(readFileSync(file, 'utf8'))?.[1];
    return kB === undefined ? null : Number(kB) * 1024;
  } catch {
    return null;
  }
}
