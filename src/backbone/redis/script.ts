import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Connection } from './connection.ts';

/** A Lua script beside this file. It is atomic, and sent whole only where Redis does not know it yet. */
export class Script {
  private readonly lua: string;
  private readonly sha: string;

  constructor(name: string) {
    this.lua = readFileSync(new URL(`./${name}.lua`, import.meta.url), 'utf8');
    this.sha = createHash('sha1').update(this.lua).digest('hex');
  }

  /**
   * Rejects as `Connection.run` does; unless Redis answered with an error, it may have been executed.
   * @param count as how many commands it counts
   */
  run(
    on: Connection,
    keys: readonly string[],
    args: readonly (string | number | Buffer)[],
    count = 1,
  ): Promise<unknown> {
    return on
      .run((redis) => redis.evalsha(this.sha, keys.length, ...keys, ...args), count)
      .catch((error: Error) => {
        if (!error.message.startsWith('NOSCRIPT')) throw error;
        return on.run((redis) => redis.eval(this.lua, keys.length, ...keys, ...args), count);
      });
  }
}
