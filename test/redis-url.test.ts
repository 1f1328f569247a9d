import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRedisUrl } from '../src/protocol/redis-url.ts';

const plain = { master: undefined, username: undefined, password: undefined, db: 0, tls: false };

describe('REDIS_URL', () => {
  it.each([
    ['redis://cache', { ...plain, hosts: [{ host: 'cache', port: 6379 }] }],
    ['rediss://cache:7000/3', { ...plain, hosts: [{ host: 'cache', port: 7000 }], db: 3, tls: true }],
    [
      'redis://ann:p%40ss:w@[::1]:7000/',
      { ...plain, hosts: [{ host: '::1', port: 7000 }], username: 'ann', password: 'p@ss:w' },
    ],
    ['redis://:secret@cache', { ...plain, hosts: [{ host: 'cache', port: 6379 }], password: 'secret' }],
    [
      'redis+sentinel://:secret@a,b:26380/fleet/2',
      {
        ...plain,
        hosts: [
          { host: 'a', port: 26379 },
          { host: 'b', port: 26380 },
        ],
        master: 'fleet',
        password: 'secret',
        db: 2,
      },
    ],
  ])('%s', (text, target) => {
    expect(parseRedisUrl(text)).toEqual(target);
  });

  it.each([
    '',
    'redis://',
    'http://cache',
    'redis://a,b',
    'redis://cache:0',
    'redis://cache:70000',
    'redis://cache/one',
    'redis://cache/1/2',
    'redis+sentinel://a:1',
    'redis+sentinel://a:1/fleet/x',
    'redis://user:hunter2@',
  ])('%s is refused, with the forms there are and no password', (text) => {
    expect(() => parseRedisUrl(text)).toThrow(/^expected redis:\/\//);
    expect(() => parseRedisUrl(text)).not.toThrow(/hunter2/);
  });

  it('never fails in another way', () => {
    fc.assert(
      fc.property(fc.string(), fc.constantFrom('', 'redis://', 'redis+sentinel://'), (text, head) => {
        try {
          parseRedisUrl(head + text);
        } catch (error) {
          expect((error as Error).message).toMatch(/^expected redis:/);
        }
      }),
    );
  });
});
