/** A program of ours as a process: start, say why if that fails, stop on a signal, exit code. */
import { ConfigError } from './config.ts';

/** What a program needs of `process`. */
export interface Host {
  on(signal: 'SIGTERM' | 'SIGINT', told: () => void): unknown;
  exit(code: number): void;
  /** Seconds since it began. */
  uptime(): number;
  readonly stderr: { write(text: string): unknown };
}

/** Signals this close together are one, s. */
const SAME_SIGNAL_S = 0.5;

/**
 * Starts a program; what `start` resolves to stops it, on the first SIGTERM or SIGINT.
 * Exits with 0 when it stopped, 1 when it could not start or stop, 78 when its configuration is wrong, 130 at once on
 * a second signal.
 */
export async function run(
  name: string,
  host: Host,
  start: () => Promise<() => Promise<void>>,
): Promise<void> {
  let stop: () => Promise<void>;
  try {
    stop = await start();
  } catch (error) {
    // These are for people, one line and what to do: no stack.
    host.stderr.write(`${name}: ${(error as Error).message}\n`);
    return host.exit(error instanceof ConfigError ? 78 : 1);
  }
  let leavingSince: number | undefined;
  const leave = () => {
    if (leavingSince !== undefined) {
      // Some shells pass one Ctrl-C on twice; a second one by a person means: at once.
      if (host.uptime() - leavingSince > SAME_SIGNAL_S) host.exit(130);
      return;
    }
    leavingSince = host.uptime();
    stop().then(
      () => host.exit(0),
      () => host.exit(1),
    );
  };
  host.on('SIGTERM', leave);
  host.on('SIGINT', leave);
}
