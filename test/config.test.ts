import { describe, expect, it } from 'vitest';
import { ConfigError, describeConfig, loadConfig } from '../src/config.ts';

const SECRET = 'a-secret-of-the-tests-0123456789abcdef';

/** What loadConfig says is wrong; nothing if it loads. */
function problems(env: Record<string, string | undefined>): readonly string[] {
  try {
    loadConfig(env);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems;
  }
}

describe('the configuration', () => {
  it('needs nothing but a way to check tokens', () => {
    const config = loadConfig({ AUTH_SECRET: SECRET });
    expect(config).toMatchObject({
      host: '0.0.0.0',
      port: 8080,
      adminHost: '127.0.0.1',
      adminPort: 8081,
      authSecret: SECRET,
      allowedOrigins: [],
      trustProxy: false,
      orderStatuses: ['assigned', 'picked_up', 'arriving', 'delivered', 'cancelled'],
      orderEndStatuses: ['delivered', 'cancelled'],
      minMoveM: 1,
    });
    expect(config.redisUrl).toBeUndefined();
    expect(config.nodeId).toMatch(/^n[0-9a-f]{6}$/);
    expect(loadConfig({ AUTH_SECRET: SECRET }).nodeId).not.toBe(config.nodeId);
    expect(problems({ AUTH_JWKS_URL: 'https://issuer.test/jwks.json' })).toEqual([]);
  });

  it('takes every option from the variable of its name', () => {
    // biome-ignore format: options
    const config = loadConfig({
      AUTH_SECRET: SECRET, MAX_WATCHES: '7', REDIS_URL: 'rediss://u:p@h:6380/0', TRUST_PROXY: 'true', PORT: '0',
      ALLOWED_ORIGINS: 'https://a.test, https://b.test,', MIN_MOVE_M: '0.5', NODE_ID: 'a-1',
    });
    // biome-ignore format: options
    expect(config).toMatchObject({
      maxWatches: 7, redisUrl: 'rediss://u:p@h:6380/0', trustProxy: true, port: 0,
      allowedOrigins: ['https://a.test', 'https://b.test'], minMoveM: 0.5, nodeId: 'a-1',
    });
  });

  it('takes a blank variable for an absent one, and ignores what is none of its own', () => {
    const env = {
      AUTH_SECRET: SECRET,
      PORT: '',
      NODE_ID: ' ',
      REDIS_URL: '\t',
      HOME: '/root',
      MAX_WATCHE: 'typo',
    };
    const config = loadConfig(env);
    expect([config.port, config.redisUrl]).toEqual([8080, undefined]);
    expect(problems({ AUTH_SECRET: ' '.repeat(40) })).toHaveLength(1);
  });

  it('describes every option, with its default', () => {
    const table = describeConfig();
    expect(table.every(({ name, meaning }) => /^[A-Z][A-Z_]+$/.test(name) && meaning.length > 10)).toBe(true);
    expect(table.find(({ name }) => name === 'FRAME_BYTES')).toMatchObject({ value: '65536' });
    expect(new Set(table.map(({ name }) => name)).size).toBe(table.length);
    // Every default is a value that can be set.
    const defaults = Object.fromEntries(table.map(({ name, value }) => [name, value]));
    expect(problems({ ...defaults, AUTH_SECRET: SECRET })).toEqual([]);
  });

  it('reports everything that is wrong at once, each by its name', () => {
    // biome-ignore format: options
    const wrong = {
      PORT: '65536', ADMIN_PORT: '-1', NODE_ID: 'a b', LOG_LEVEL: 'loud', REDIS_URL: 'http://h', AUTH_SECRET: 'short',
      TRUST_PROXY: 'perhaps', FRAME_BYTES: 'many', IDLE_TIMEOUT_S: '5', HEARTBEAT_MS: '1.5', MIN_MOVE_M: 'NaN',
      MAX_REPLAY: 'Infinity',
    };
    const found = problems(wrong);
    expect(found.map((line) => line.split(':')[0]).sort()).toEqual(Object.keys(wrong).sort());
    expect(found.find((line) => line.startsWith('AUTH_SECRET'))).toMatch(/32 characters/);
    try {
      loadConfig(wrong);
    } catch (error) {
      for (const name of Object.keys(wrong)) expect((error as Error).message).toContain(name);
      expect((error as Error).message).not.toContain('short');
    }
  });

  it.each([
    ['PORT', ['x', '1e9', '-1', '80.5', '0x', 'null']],
    ['REDIS_TIMEOUT_MS', ['0', '49', '60001']],
    ['REDIS_URL', ['localhost:6379', 'redis:', 'redis://', 'http://h:6379', 'REDIS']],
    ['AUTH_JWKS_URL', ['issuer', 'file:///etc/passwd', 'javascript:1', 'ftp://h/jwks']],
    ['IDLE_TIMEOUT_S', ['0', '7', '961']],
    ['FRAME_BYTES', ['1023', '1048577']],
    ['TRUST_PROXY', ['2', 'maybe']],
    ['LOG_LEVEL', ['INFO', 'verbose']],
    ['NODE_ID', ['_', 'a:b', 'a'.repeat(65)]],
    ['AUTH_SECRET', ['x'.repeat(31)]],
    ['MIN_MOVE_M', ['-1', '1001', 'a']],
  ])('refuses %s when it is wrong', (name, values) => {
    for (const value of values) {
      const found = problems({ AUTH_SECRET: SECRET, [name]: value });
      expect([value, found.length, found[0]?.split(':')[0]]).toEqual([value, 1, name]);
    }
  });

  it('does not start without a way to check tokens', () => {
    expect(problems({})).toEqual([expect.stringMatching(/^AUTH_SECRET or AUTH_JWKS_URL: /)]);
    expect(problems({ PORT: 'x' })).toHaveLength(2);
  });

  it.each([
    [{ ORDER_STATUSES: 'picked_up,delivered,cancelled,arriving,assigned' }, ['ORDER_STATUSES']],
    [{ ORDER_STATUSES: 'assigned,picked_up,picked_up,arriving,delivered,cancelled' }, ['ORDER_STATUSES']],
    [{ ORDER_STATUSES: 'assigned,created,picked_up,delivered,cancelled' }, ['ORDER_STATUSES']],
    [{ ORDER_STATUSES: 'assigned,done' }, ['ORDER_END_STATUSES', 'ORDER_END_STATUSES', 'CUSTOMER_FROM']],
    [{ ORDER_END_STATUSES: ',' }, ['ORDER_END_STATUSES']],
    [{ ORDER_END_STATUSES: 'assigned,delivered' }, ['ORDER_END_STATUSES']],
    [{ CUSTOMER_FROM: 'nowhere', PARTNER_FROM: 'created' }, ['CUSTOMER_FROM', 'PARTNER_FROM']],
    [{ STALE_AFTER_MS: '60000', LOST_AFTER_MS: '60000' }, ['LOST_AFTER_MS']],
    [{ POSITION_TTL_MS: '100000' }, ['POSITION_TTL_MS']],
    [{ KEEP_ALIVE_MS: '30000' }, ['KEEP_ALIVE_MS']],
  ])('sees what no single option shows: %j', (env, names) => {
    const found = problems({ AUTH_SECRET: SECRET, ...env } as Record<string, string>);
    expect(found.map((line) => line.split(':')[0])).toEqual(names);
  });

  it('takes a set of statuses of one’s own', () => {
    const own = {
      ORDER_STATUSES: 'assigned,loaded,gone',
      ORDER_END_STATUSES: 'gone',
      CUSTOMER_FROM: 'loaded',
    };
    expect(problems({ AUTH_SECRET: SECRET, ...own })).toEqual([]);
  });
});
