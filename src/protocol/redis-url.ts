/** Where the Redis of the fleet is: one address, or the Sentinels that know it. */

export interface RedisHost {
  readonly host: string;
  readonly port: number;
}

export interface RedisTarget {
  /** One: Redis itself. */
  readonly hosts: readonly RedisHost[];
  /** With Sentinel: the name they know the master by. */
  readonly master: string | undefined;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly db: number;
  readonly tls: boolean;
}

export const REDIS_URL_FORMS =
  'redis://[user:password@]host[:port][/db], rediss://… with TLS, or redis+sentinel://[user:password@]host:port,host:port/master[/db]';

const FORM = /^redis(s?)(\+sentinel)?:\/\/(?:([^@/]*)@)?([^@/]+)(?:\/([^?#]*))?$/;
const HOST = /^(\[[0-9a-fA-F:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/;

/** @throws Error that says which forms there are; never with a password in it */
export function parseRedisUrl(text: string): RedisTarget {
  const [, tls, sentinel, user = '', places, path = ''] = FORM.exec(text) ?? fail();
  const hosts = places!.split(',').map((place) => {
    const [, host, port] = HOST.exec(place) ?? fail();
    const fallback = sentinel === undefined ? 6379 : 26379;
    return { host: host!.replace(/^\[|\]$/g, ''), port: port === undefined ? fallback : Number(port) };
  });
  const names = path.split('/').filter(Boolean);
  const master = sentinel === undefined ? undefined : (names.shift() ?? fail());
  const [db = '0', ...more] = names;
  const wrong =
    !/^\d{1,5}$/.test(db) || more.length > 0 || hosts.some(({ port }) => port < 1 || port > 65_535);
  if (wrong || (sentinel === undefined && hosts.length > 1)) fail();
  const colon = user.indexOf(':');
  const username = plain(colon < 0 ? user : user.slice(0, colon));
  return {
    hosts,
    master,
    username: username || undefined,
    password: colon < 0 ? undefined : plain(user.slice(colon + 1)),
    db: Number(db),
    tls: tls === 's',
  };
}

function plain(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return fail();
  }
}

function fail(): never {
  throw new Error(`expected ${REDIS_URL_FORMS}`);
}
