import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Writable } from 'node:stream';
import { exportJWK, exportSPKI, generateKeyPair, type JWK, SignJWT, UnsecuredJWT } from 'jose';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import WebSocket from 'ws';
import type { Gateway } from '../src/gateway.ts';
import { CloseCodes } from '../src/protocol/close-codes.ts';
import { RawClient } from './support/client.ts';
import { call, givenOrder, SECRET, testGateway, token } from './support/gateway.ts';

const secret = (text: string) => new TextEncoder().encode(text);
const inSeconds = (s: number) => Math.floor(Date.now() / 1000) + s;
const claims = { sub: 'ann', role: 'customer' };

/** A token with any claims; `exp` in an hour unless given. */
function jwt(
  payload: Record<string, unknown> = {},
  key: Parameters<SignJWT['sign']>[0] = secret(SECRET),
  header: { alg: string; [name: string]: unknown } = { alg: 'HS256' },
): Promise<string> {
  const all = { ...claims, exp: inSeconds(3600), ...payload };
  const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  return new SignJWT(given).setProtectedHeader(header).sign(key);
}

/** What both doors say to a token: the HTTP status and, for the socket, 'welcome' or the close code. */
async function doors(gateway: Gateway, bearer: string): Promise<[number, 'welcome' | number]> {
  const { status } = await call(gateway, 'GET', '/v1/orders/nowhere', undefined, { token: bearer });
  const client = new RawClient(gateway.url);
  await client.open();
  client.send({ t: 'hello', token: bearer });
  const said = await Promise.race([client.next('welcome').catch(() => client.closed()), client.closed()]);
  client.close();
  return [status, typeof said === 'number' ? said : 'welcome'];
}

/** 404: the order is not there, so the token was taken. */
const TAKEN = [404, 'welcome'];
const REFUSED = [401, CloseCodes.token.code];

describe('tokens of the shared secret', () => {
  let gateway: Gateway;
  beforeAll(async () => {
    gateway = await testGateway({ AUTH_ISSUER: 'https://issuer.test', AUTH_AUDIENCE: 'ridecast' });
  });
  afterAll(() => gateway.stop());
  const ours = { iss: 'https://issuer.test', aud: 'ridecast' };

  it('open both doors', async () => {
    expect(await doors(gateway, await jwt(ours))).toEqual(TAKEN);
    expect(await doors(gateway, await jwt({ ...ours, aud: ['other', 'ridecast'] }))).toEqual(TAKEN);
    expect(await doors(gateway, await jwt({ ...ours, nbf: inSeconds(30) }))).toEqual(TAKEN);
  });

  it.each<[string, Record<string, unknown>]>([
    ['has expired', { exp: inSeconds(-10) }],
    ['expired long ago', { exp: inSeconds(-100_000) }],
    ['never expires', { exp: undefined }],
    ['expires at a word', { exp: 'never' }],
    ['is not valid yet', { nbf: inSeconds(600) }],
    ['is of another issuer', { iss: 'https://issuer.test.evil' }],
    ['is of no issuer', { iss: undefined }],
    ['is for another audience', { aud: 'other' }],
    ['is for no audience', { aud: undefined }],
    ['has no subject', { sub: undefined }],
    ['has an empty subject', { sub: '' }],
    ['has a subject with a colon', { sub: 'a:b' }],
    ['has a subject with a brace', { sub: '{a}' }],
    ['has a prototype for a subject', { sub: '__proto__' }],
    ['has a subject that is too long', { sub: 'a'.repeat(65) }],
    ['has a number for a subject', { sub: 7 }],
    ['has no role', { role: undefined }],
    ['has a role that is none', { role: 'admin' }],
    ['has a list of roles', { role: ['service'] }],
    ['has orders that are no list', { orders: 'o1' }],
    ['has an order that is no id', { orders: ['o:1'] }],
    ['has zones that are no list', { role: 'operator', zones: { z1: true } }],
  ])('are refused when one %s', async (_, payload) => {
    expect(await doors(gateway, await jwt({ ...ours, ...payload }))).toEqual(REFUSED);
  });

  // biome-ignore format: a list
  it('are refused when signed otherwise', async () => {
    const good = await jwt(ours);
    const [head, body, signature] = good.split('.') as [string, string, string];
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const pair = await generateKeyPair('RS256');
    const own = { alg: 'RS256', jwk: await exportJWK(pair.publicKey), jku: 'https://evil.test/jwks' };
    const service = encode({ ...ours, ...claims, role: 'service', exp: inSeconds(3600) });
    for (const bad of [
      await jwt(ours, secret('another-secret-of-the-tests-0123456789')),
      await jwt(ours, secret(SECRET), { alg: 'HS512' }),
      await jwt(ours, pair.privateKey, own),
      new UnsecuredJWT({ ...ours, ...claims }).setExpirationTime('1h').encode(),
      `${encode({ alg: 'none' })}.${body}.`,
      `${encode({ alg: 'none' })}.${body}.${signature}`,
      `${encode({ alg: 'NONE' })}.${body}.${signature}`,
      `${encode({ alg: 'HS256', crit: ['exp'] })}.${body}.${signature}`,
      `${head}.${service}.${signature}`,
      `${head}.${body}.`,
      `${head}.${body}`,
      `${good}.x`,
      `${good.slice(0, -4)}AAAA`,
      'x', '..', '{}', '\u0000', 'a'.repeat(8000),
    ]) {
      const client = new RawClient(gateway.url);
      await client.open();
      client.send({ t: 'hello', token: bad });
      expect([bad, await client.closed()]).toEqual([bad, CloseCodes.token.code]);
    }
    expect(await doors(gateway, good)).toEqual(TAKEN);
  });

  it('may cross their expiry by five seconds, not more', async () => {
    expect(await doors(gateway, await jwt({ ...ours, exp: inSeconds(-2) }))).toEqual(TAKEN);
    expect(await doors(gateway, await jwt({ ...ours, exp: inSeconds(-7) }))).toEqual(REFUSED);
  });

  it('do not matter to a gateway that asks for neither issuer nor audience', async () => {
    const open = await testGateway();
    expect(await doors(open, await jwt())).toEqual(TAKEN);
    expect(await doors(open, await jwt({ iss: 'anyone', aud: 'anything' }))).toEqual(TAKEN);
    await open.stop();
  });
});

describe('tokens of a JWKS', () => {
  let jwks: Server;
  let url: string;
  let keys: JWK[] = [];
  let fetches = 0;
  /** 'keys', or what the server does instead. */
  let mood: 'keys' | 'broken' | 'garbage' | 'silent' = 'keys';
  let held: ServerResponse[] = [];
  let gateway: Gateway;

  const pairs = new Map<string, Awaited<ReturnType<typeof generateKeyPair>>>();
  async function key(kid: string, alg = 'RS256'): Promise<JWK> {
    const pair = await generateKeyPair(alg, { extractable: true });
    pairs.set(kid, pair);
    return { ...(await exportJWK(pair.publicKey)), kid, alg, use: 'sig' };
  }
  const signed = (kid: string, payload = {}, alg = 'RS256') =>
    jwt(payload, pairs.get(kid)!.privateKey, { alg, kid });

  beforeAll(async () => {
    jwks = createServer((_, response) => {
      fetches++;
      if (mood === 'silent') return void held.push(response);
      response.statusCode = mood === 'broken' ? 500 : 200;
      response.setHeader('content-type', 'application/json');
      response.end(mood === 'garbage' ? '<html>' : JSON.stringify({ keys }));
    });
    await new Promise<void>((resolve) => jwks.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(jwks.address() as AddressInfo).port}/jwks.json`;
    keys = [await key('one'), await key('ec', 'ES256'), await key('ed', 'EdDSA')];
    gateway = await testGateway({ AUTH_SECRET: '', AUTH_JWKS_URL: url });
  });
  afterEach(() => {
    vi.useRealTimers();
    mood = 'keys';
    for (const response of held) response.destroy();
    held = [];
  });
  afterAll(async () => {
    await gateway.stop();
    jwks.closeAllConnections();
    jwks.close();
  });

  it('open both doors, whatever asymmetric algorithm the key has', async () => {
    expect(await doors(gateway, await signed('one'))).toEqual(TAKEN);
    expect(await doors(gateway, await signed('ec', {}, 'ES256'))).toEqual(TAKEN);
    expect(await doors(gateway, await signed('ed', {}, 'EdDSA'))).toEqual(TAKEN);
    expect(fetches).toBe(1);
  });

  it('are refused when the public key, which everybody knows, was used as a secret', async () => {
    const pem = await exportSPKI(pairs.get('one')!.publicKey);
    const both = await testGateway({ AUTH_JWKS_URL: url });
    for (const text of [pem, pem.trim(), JSON.stringify(keys[0]), keys[0]!.n!]) {
      for (const header of [{ alg: 'HS256' }, { alg: 'HS256', kid: 'one' }]) {
        const forged = await jwt({}, secret(text), header);
        expect(await doors(gateway, forged)).toEqual(REFUSED);
        expect(await doors(both, forged)).toEqual(REFUSED);
      }
    }
    await both.stop();
  });

  it('are refused when the secret of nobody was used, or another key under a known name', async () => {
    expect(await doors(gateway, await jwt())).toEqual(REFUSED);
    const other = await generateKeyPair('RS256');
    expect(await doors(gateway, await jwt({}, other.privateKey, { alg: 'RS256', kid: 'one' }))).toEqual(
      REFUSED,
    );
    const embedded = {
      alg: 'RS256',
      kid: 'one',
      jwk: await exportJWK(other.publicKey),
      jku: 'http://127.0.0.1:1/',
    };
    expect(await doors(gateway, await jwt({}, other.privateKey, embedded))).toEqual(REFUSED);
    expect(
      await doors(
        gateway,
        await signed('ec', {}, 'ES256').then((t) => t.replace(/^[^.]+/, head('one', 'RS256'))),
      ),
    ).toEqual(REFUSED);
    expect(await doors(gateway, await signed('one', { exp: inSeconds(-60) }))).toEqual(REFUSED);
  });
  const head = (kid: string, alg: string) => Buffer.from(JSON.stringify({ alg, kid })).toString('base64url');

  it('stand beside those of the secret when both are configured', async () => {
    const both = await testGateway({ AUTH_JWKS_URL: url });
    expect(await doors(both, await jwt())).toEqual(TAKEN);
    expect(await doors(both, await signed('one'))).toEqual(TAKEN);
    expect(await doors(both, await jwt({}, secret('x'.repeat(40))))).toEqual(REFUSED);
    await both.stop();
  });

  it('go on when the keys rotate, and a stranger’s key names do not hammer the issuer', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const rotated = await key('two');
    const before = fetches;
    for (let i = 0; i < 5; i++) {
      const forged = await jwt({}, pairs.get('two')!.privateKey, { alg: 'RS256', kid: `unknown-${i}` });
      expect(await doors(gateway, forged)).toEqual(REFUSED);
    }
    expect(fetches - before).toBeLessThanOrEqual(1);

    keys = [...keys.slice(1), rotated];
    vi.setSystemTime(Date.now() + 60_000);
    expect(await doors(gateway, await signed('two'))).toEqual(TAKEN);
    expect(fetches - before).toBeLessThanOrEqual(2);
    expect(await doors(gateway, await signed('one'))).toEqual(REFUSED);
  });

  it.each(['broken', 'garbage'] as const)(
    'are not called bad while the issuer is %s: 503 and 4301',
    async (how) => {
      mood = how;
      const alone = await testGateway({ AUTH_SECRET: '', AUTH_JWKS_URL: url });
      expect(await doors(alone, await signed('ec', {}, 'ES256'))).toEqual([503, CloseCodes.overloaded.code]);
      mood = 'keys';
      expect(await doors(alone, await signed('ec', {}, 'ES256'))).toEqual(TAKEN);
      await alone.stop();
    },
  );

  it('keep what a client says meanwhile, sixty-four frames of it', async () => {
    mood = 'silent';
    const alone = await testGateway({ AUTH_SECRET: '', AUTH_JWKS_URL: url });
    const bearer = await signed('ec', { role: 'operator' }, 'ES256');
    const open = async (frames: number) => {
      const client = new RawClient(alone.url);
      await client.open();
      client.send({ t: 'hello', token: bearer });
      for (let w = 1; w <= frames; w++) client.send({ t: 'watch', w, channel: `zone:z${w}` });
      return client;
    };
    const [patient, pushy] = [await open(64), await open(65)];
    expect(await pushy.closed()).toBe(CloseCodes.protocol.code);
    mood = 'keys';
    for (const response of held.splice(0)) response.end(JSON.stringify({ keys }));
    await patient.next('welcome');
    for (let w = 1; w <= 64; w++) await patient.next('watching', (m) => m.w === w);
    patient.close();
    await alone.stop();
  });

  it('close with 4500 on a second hello before the first is answered', async () => {
    mood = 'silent';
    const alone = await testGateway({ AUTH_SECRET: '', AUTH_JWKS_URL: url });
    const client = new RawClient(alone.url);
    await client.open();
    for (let i = 0; i < 2; i++) client.send({ t: 'hello', token: await signed('ec', {}, 'ES256') });
    expect(await client.closed()).toBe(CloseCodes.protocol.code);
    await alone.stop();
  });

  it('may be awaited by a client that leaves: it takes nobody’s place, and nothing is left of it', async () => {
    mood = 'silent';
    const both = await testGateway({ AUTH_JWKS_URL: url, MAX_SESSIONS_PER_SUBJECT: '2' });
    const bearer = await signed('ec', { role: 'rider', sub: 'r1' }, 'ES256');
    const present = await RawClient.hello(both.url, await token('rider', 'r1'));
    const asked = new Promise((resolve) => jwks.once('request', resolve));
    const leaver = new RawClient(both.url);
    await leaver.open();
    leaver.send({ t: 'hello', token: bearer });
    await asked;
    const patient = new RawClient(both.url);
    await patient.open();
    patient.send({ t: 'hello', token: await signed('ec', {}, 'ES256') });
    leaver.socket.close();
    await leaver.closed();
    mood = 'keys';
    for (const response of held.splice(0)) response.end(JSON.stringify({ keys }));
    await patient.next('welcome');
    await present.settle();
    await RawClient.hello(both.url, bearer);
    expect(await present.closed()).toBe(CloseCodes.replaced.code);
    await both.stop();
  });
});

describe('what a token grants', () => {
  let gateway: Gateway;
  beforeAll(async () => {
    gateway = await testGateway();
    for (const id of ['shared', 'other']) await givenOrder(gateway, id, { rider: 'r1', partner: 'shop' });
    await givenOrder(gateway, 'bobs', { customer: 'bob', rider: 'r1' });
  });
  afterAll(() => gateway.stop());

  /** What the gateway says to each watch: 'watching' or an error code. */
  async function watches(bearer: string, channels: string[]): Promise<string[]> {
    const client = await RawClient.hello(gateway.url, bearer);
    const said: string[] = [];
    for (const [i, channel] of channels.entries()) {
      client.send({ t: 'watch', w: i + 1, channel });
      said.push(
        await Promise.race([
          client.next('watching', (m) => m.w === i + 1).then(() => 'watching'),
          client.next('error', (m) => m.w === i + 1).then((m) => m.code),
        ]),
      );
    }
    client.close();
    return said;
  }
  const read = async (bearer: string, ids: string[]) =>
    Promise.all(
      ids.map(
        async (id) => (await call(gateway, 'GET', `/v1/orders/${id}`, undefined, { token: bearer })).status,
      ),
    );

  it('is one order, to a share link', async () => {
    const link = await token('customer', 'ann', { orders: ['shared', 'bobs'] });
    // biome-ignore format: in the order asked
    expect(await watches(link, ['order:shared', 'order:other', 'order:bobs', 'order:none'])).toEqual([
      'watching', 'not_found', 'not_found', 'not_found',
    ]);
    expect(await read(link, ['shared', 'other', 'bobs'])).toEqual([200, 404, 404]);
    const none = await token('customer', 'ann', { orders: [] });
    expect(await watches(none, ['order:shared'])).toEqual(['not_found']);
    const all = await token('customer', 'ann');
    expect(await read(all, ['shared', 'other', 'bobs'])).toEqual([200, 200, 404]);
  });

  it('is no partner channel to a partner whose token names orders', async () => {
    const narrow = await token('partner', 'shop', { orders: ['shared'] });
    expect((await watches(narrow, ['order:shared', 'order:other', 'partner:shop'])).slice(0, 2)).toEqual([
      'watching',
      'not_found',
    ]);
    expect((await watches(narrow, ['partner:shop']))[0]).not.toBe('watching');
    expect(await watches(await token('partner', 'shop'), ['partner:shop'])).toEqual(['watching']);
  });

  it('is some zones, to an operator whose token names them', async () => {
    const narrow = await token('operator', 'op', { zones: ['z1'] });
    expect(await watches(narrow, ['zone:z1'])).toEqual(['watching']);
    expect(await watches(narrow, ['zone:z2'])).not.toEqual(['watching']);
    expect(await watches(await token('operator', 'op'), ['zone:z1', 'zone:z2'])).toEqual([
      'watching',
      'watching',
    ]);
  });

  it('is nothing of somebody else, whatever the role', async () => {
    const ways: [Parameters<typeof token>[0], string, string[]][] = [
      ['customer', 'ann', ['order:bobs', 'zone:z1', 'partner:shop', 'partner:ann']],
      ['partner', 'theirs', ['order:shared', 'zone:z1', 'partner:shop']],
      ['rider', 'r1', ['order:shared', 'zone:z1', 'partner:shop']],
    ];
    for (const [role, sub, channels] of ways) {
      for (const said of await watches(await token(role, sub), channels)) expect(said).not.toBe('watching');
    }
  });

  it('answers alike for an order that does not exist and one of somebody else', async () => {
    const client = await RawClient.hello(gateway.url, await token('customer', 'ann'));
    client.send({ t: 'watch', w: 1, channel: 'order:bobs' });
    const theirs = await client.next('error');
    client.send({ t: 'watch', w: 1, channel: 'order:nowhere' });
    expect(await client.next('error')).toEqual(theirs);
    client.close();
  });
});

describe('where a token travels', () => {
  let gateway: Gateway;
  let log = '';
  beforeAll(async () => {
    const sink = new Writable({
      write(chunk, _, done) {
        log += String(chunk);
        done();
      },
    });
    gateway = await testGateway({}, { log: pino({ level: 'trace' }, sink) });
  });
  afterAll(() => gateway.stop());

  it('may come in the Authorization header of the upgrade', async () => {
    const client = new RawClient(gateway.url, {
      headers: { authorization: `Bearer ${await token('customer', 'ann')}` },
    });
    await client.open();
    client.send({ t: 'hello' });
    expect(await client.next('welcome')).toMatchObject({ sub: 'ann', role: 'customer' });
    client.close();
    const bad = new RawClient(gateway.url, { headers: { authorization: 'Bearer nothing' } });
    await bad.open();
    bad.send({ t: 'hello' });
    expect(await bad.closed()).toBe(CloseCodes.token.code);
  });

  it('counts in hello when both are there', async () => {
    const client = new RawClient(gateway.url, {
      headers: { authorization: `Bearer ${await token('customer', 'ann')}` },
    });
    await client.open();
    client.send({ t: 'hello', token: await token('customer', 'bob') });
    expect(await client.next('welcome')).toMatchObject({ sub: 'bob' });
    client.close();
  });

  it('never counts in the URL, and stands in no log line and no metric', async () => {
    const bearer = await token('service', 'backend');
    for (const name of ['token', 'access_token', 'authorization', 'Authorization']) {
      const response = await fetch(`${gateway.url}/v1/orders/o?${name}=${bearer}`);
      expect([name, response.status]).toEqual([name, 401]);
      const client = new RawClient(`${gateway.url}`, { headers: { cookie: `${name}=${bearer}` } });
      await client.open();
      client.send({ t: 'hello' });
      expect(await client.closed()).toBe(CloseCodes.token.code);
      const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/v1/ws?${name}=${bearer}`);
      socket.on('open', () => socket.send('{"t":"hello"}'));
      expect((await once(socket, 'close'))[0]).toBe(CloseCodes.token.code);
    }
    await call(gateway, 'PUT', '/v1/orders/o', '{', { token: bearer });
    (await RawClient.hello(gateway.url, bearer)).close();
    const metrics = await (await fetch(`http://127.0.0.1:${gateway.adminPort}/metrics`)).text();
    const [, payload, signature] = bearer.split('.') as [string, string, string];
    for (const part of [bearer, payload, signature]) expect(log + metrics).not.toContain(part);
    expect(log).toContain('ridecast listens');
  });

  it('closes with 4401 where there is none', async () => {
    const before = gateway.counts.closes.auth ?? 0;
    const client = new RawClient(gateway.url);
    await client.open();
    client.send({ t: 'hello' });
    expect(await client.closed()).toBe(CloseCodes.token.code);
    expect(gateway.counts.closes.auth).toBe(before + 1);
  });
});
