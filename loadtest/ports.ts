import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * A free port of 127.0.0.1 that stays free while its server is away: it lies below those that the system hands to
 * outgoing connections (32768 and up on Linux), so no client of another test can be given it meanwhile.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 15_000);
    const probe = createServer().listen(port, '127.0.0.1');
    const free = await Promise.race([
      once(probe, 'listening').then(() => true),
      once(probe, 'error').then(() => false),
    ]);
    if (!free) continue;
    probe.close();
    await once(probe, 'close');
    return port;
  }
}
