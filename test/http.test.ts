import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Gateway } from '../src/gateway.ts';
import { jsonCodec, msgpackCodec } from '../src/protocol/codec.ts';
import { RawClient } from './support/client.ts';
import { call, givenOrder, testGateway, token } from './support/gateway.ts';

// biome-ignore format: a ring
const square = { type: 'Polygon', coordinates: [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]] };

describe('the HTTP API', () => {
  let gateway: Gateway;
  let folder: string;
  let n = 0;
  const fresh = (what: string) => `${what}-${++n}`;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ridecast-http-'));
    // biome-ignore format: one feature
    const zones = { type: 'FeatureCollection', features: [{ type: 'Feature', properties: { id: 'mitte' }, geometry: square }] };
    writeFileSync(join(folder, 'zones.json'), JSON.stringify(zones));
    gateway = await testGateway({ ZONES_FILE: join(folder, 'zones.json'), PINGS_PER_SECOND: '1000' });
  });
  afterAll(async () => {
    await gateway.stop();
    rmSync(folder, { recursive: true });
  });

  const put = (id: string, body: unknown, options = {}) =>
    call(gateway, 'PUT', `/v1/orders/${id}`, body, options);
  const assign = (id: string, rider: string, options = {}) =>
    call(gateway, 'POST', `/v1/orders/${id}/assign`, { rider }, options);
  const advance = (id: string, body: unknown, options = {}) =>
    call(gateway, 'POST', `/v1/orders/${id}/events`, body, options);
  const get = (path: string, bearer?: string) =>
    call(gateway, 'GET', path, undefined, bearer === undefined ? {} : { token: bearer });
  const pingOf = (id: string, body: unknown, options = {}) =>
    call(gateway, 'POST', `/v1/riders/${id}/pings`, body, options);

  describe('PUT /v1/orders/:id', () => {
    // biome-ignore format: an order
    const content = {
      customer: 'ann', partner: 'shop', zone: 'mitte', pickup: { lat: 1, lng: 2 }, destination: { lat: 3, lng: 4 },
      eta: 1764000000000, data: { boxes: 2 },
    };

    it('creates the order, and again with the same content changes nothing', async () => {
      const id = fresh('o');
      const created = await put(id, content);
      expect(created).toMatchObject({
        status: 200,
        body: {
          result: 'appended',
          order: { id, ...content, status: 'created', version: 1, assignment: 0, ended: false },
          cursor: { offset: 1 },
        },
      });
      const again = await put(id, content);
      expect(again).toEqual({ status: 200, body: { ...created.body, result: 'unchanged' } });
    });

    it('answers 409 to other content, and keeps what there is', async () => {
      const id = fresh('o');
      const created = await put(id, content);
      const other = await put(id, { ...content, customer: 'bob' });
      expect(other).toMatchObject({
        status: 409,
        body: { error: { code: 'conflict', expected: expect.stringMatching(/same/) } },
      });
      expect((await get(`/v1/orders/${id}`)).body.order).toEqual(created.body.order);
    });

    it('assigns at once when a rider is named, and again is not a second assignment', async () => {
      const id = fresh('o');
      const created = await put(id, { ...content, rider: 'r1' });
      expect(created.body).toMatchObject({
        result: 'appended',
        order: { rider: 'r1', status: 'assigned', assignment: 1, version: 2 },
      });
      expect((await put(id, { ...content, rider: 'r1' })).body).toEqual({
        ...created.body,
        result: 'unchanged',
      });
    });

    it.each([
      ['customer', { partner: 'shop' }],
      ['partner', { customer: 'ann', partner: 7 }],
      ['customer', { customer: '', partner: 'shop' }],
      ['customer', { customer: 'a b', partner: 'shop' }],
      ['rider', { customer: 'ann', partner: 'shop', rider: '__proto__' }],
      ['zone', { customer: 'ann', partner: 'shop', zone: 'a:b' }],
      ['pickup.lat', { customer: 'ann', partner: 'shop', pickup: { lat: 91, lng: 0 } }],
      ['destination.lng', { customer: 'ann', partner: 'shop', destination: { lat: 0 } }],
      ['eta', { customer: 'ann', partner: 'shop', eta: 'soon' }],
      ['data', { customer: 'ann', partner: 'shop', data: [] }],
      ['(the whole)', []],
      ['(the whole)', 'ann'],
      ['(the whole)', null],
    ])('names %s when it is wrong', async (field, body) => {
      const id = fresh('o');
      // biome-ignore format: one error
      expect(await put(id, JSON.stringify(body))).toMatchObject({
        status: 400,
        body: { error: { code: 'bad_field', field, expected: expect.stringMatching(/./), message: expect.stringContaining(field) } },
      });
      expect((await get(`/v1/orders/${id}`)).status).toBe(404);
    });

    it('ignores fields it does not know, prototypes included', async () => {
      const id = fresh('o');
      const text =
        '{"customer":"ann","partner":"shop","x":1,"__proto__":{"polluted":1},"data":{"__proto__":{"polluted":1},"a":1}}';
      const { status, body } = await put(id, text);
      expect([status, body.order.data.a, body.order.x]).toEqual([200, 1, undefined]);
      expect(({} as { polluted?: number }).polluted).toBeUndefined();
    });

    it.each([
      ['1,000', 1000],
      ['30,000', 30_000],
    ])('refuses data nested %s deep: no watcher could be sent it', async (_, depth) => {
      const id = fresh('o');
      const deep = `{"customer":"ann","partner":"shop","data":{"a":${'['.repeat(depth)}${']'.repeat(depth)}}}`;
      expect(await put(id, deep)).toMatchObject({
        status: 400,
        body: { error: { code: 'bad_field', field: 'data' } },
      });
      expect((await put(id, { customer: 'ann', partner: 'shop', data: { a: [[[[1]]]] } })).status).toBe(200);
    });

    it('keeps half an emoji from reaching a watcher as bytes that are not text', async () => {
      const id = fresh('o');
      const text =
        '{"customer":"ann","partner":"shop","data":{"note":"pizza \\ud83c","fine":"\\ud83c\\udf55"}}';
      expect((await put(id, text)).body.order.data).toEqual({ note: 'pizza \ufffd', fine: '🍕' });
      const watch = [{ w: 1, channel: `order:${id}` }];
      const client = await RawClient.hello(
        gateway.url,
        await token('customer', 'ann'),
        { watch },
        { codec: msgpackCodec },
      );
      expect((await client.next('watching')).order?.data).toEqual({ note: 'pizza \ufffd', fine: '🍕' });
      client.close();
    });
  });

  describe('POST /v1/orders/:id/assign and /events', () => {
    it('moves the order on, gives the same answer to the same key, and puts one event on the wire', async () => {
      const id = fresh('o');
      await put(id, { customer: 'ann', partner: 'shop' });
      const watch = [{ w: 1, channel: `order:${id}` }];
      const customer = await RawClient.hello(gateway.url, await token('customer', 'ann'), { watch });
      await customer.next('watching');
      for (const [type, change] of [
        ['assigned', () => assign(id, 'r1', { key: 'k1' })],
        ['picked_up', () => advance(id, { status: 'picked_up', eta: 5 }, { key: 'k1' })],
        ['delivered', () => advance(id, { status: 'delivered', at: 1764000000000 }, { key: 'k2' })],
      ] as const) {
        const first = await change();
        expect(first).toMatchObject({ status: 200, body: { result: 'appended', order: { status: type } } });
        for (const again of await Promise.all([change(), change(), change()])) {
          expect([again.status, again.body.order, again.body.cursor]).toEqual([
            200,
            first.body.order,
            first.body.cursor,
          ]);
          expect(again.body.result).not.toBe('appended');
        }
        const event = await customer.next('event');
        expect([event.type, event.offset]).toEqual([type, first.body.cursor.offset]);
      }
      expect(await customer.next('closed')).toMatchObject({ reason: 'ended', order: { at: 1764000000000 } });
      await customer.settle();
      expect(customer.messages).toEqual([]);
      customer.close();
    });

    it('makes two events of two keys', async () => {
      const id = fresh('o');
      await givenOrder(gateway, id, { rider: 'r1' }, 'picked_up');
      const one = await advance(id, { status: 'arriving', eta: 1 }, { key: 'a' });
      const two = await advance(id, { status: 'arriving', eta: 2 }, { key: 'b' });
      expect([one.body.result, two.body.result]).toEqual(['appended', 'appended']);
      expect(two.body.cursor.offset).toBe(one.body.cursor.offset + 1);
    });

    it('hands the order to another rider, and not to the same one twice', async () => {
      const id = fresh('o');
      await givenOrder(gateway, id, { rider: 'r1' });
      expect((await assign(id, 'r1')).body).toMatchObject({ result: 'unchanged', order: { assignment: 1 } });
      expect((await assign(id, 'r2')).body).toMatchObject({
        result: 'appended',
        order: { assignment: 2, rider: 'r2' },
      });
    });

    it('answers 409 and what would be allowed when the state forbids it', async () => {
      const id = fresh('o');
      await put(id, { customer: 'ann', partner: 'shop' });
      const conflict = (expected: RegExp) => ({
        status: 409,
        body: { error: { code: 'conflict', expected: expect.stringMatching(expected) } },
      });
      expect(await advance(id, { status: 'picked_up' })).toMatchObject(conflict(/assign/));
      await assign(id, 'r1');
      await advance(id, { status: 'arriving' });
      expect(await advance(id, { status: 'picked_up' })).toMatchObject(conflict(/arriving \| delivered/));
      await advance(id, { status: 'delivered' });
      expect(await advance(id, { status: 'cancelled' })).toMatchObject(conflict(/not ended/));
      expect(await assign(id, 'r2')).toMatchObject(conflict(/not ended/));
      expect((await get(`/v1/orders/${id}`)).body.order).toMatchObject({ status: 'delivered', version: 4 });
    });

    it('names the field that is wrong', async () => {
      const id = fresh('o');
      await givenOrder(gateway, id, { rider: 'r1' });
      const bad = (field: string) => ({ status: 400, body: { error: { code: 'bad_field', field } } });
      expect(await advance(id, {})).toMatchObject(bad('status'));
      expect(await advance(id, { status: 'eaten' })).toMatchObject(bad('status'));
      expect(await advance(id, { status: 'created' })).toMatchObject(bad('status'));
      expect(await advance(id, { status: 'picked_up', at: -1 })).toMatchObject(bad('at'));
      expect(await advance(id, { status: 'picked_up', eta: '5' })).toMatchObject(bad('eta'));
      expect(await advance(id, { status: 'picked_up', data: 'x' })).toMatchObject(bad('data'));
      expect(await call(gateway, 'POST', `/v1/orders/${id}/assign`, { rider: 'a b' })).toMatchObject(
        bad('rider'),
      );
      for (const key of ['', 'a b', 'k'.repeat(129), 'caf\u00e9s']) {
        expect(await advance(id, { status: 'picked_up' }, { key })).toMatchObject(bad('Idempotency-Key'));
        expect(await assign(id, 'r2', { key })).toMatchObject(bad('Idempotency-Key'));
      }
      expect((await get(`/v1/orders/${id}`)).body.order.version).toBe(2);
    });

    it('answers 404 for an order that does not exist, and 400 for what is no id', async () => {
      expect(await advance('nowhere', { status: 'picked_up' })).toMatchObject({ status: 404 });
      expect(await assign('nowhere', 'r1')).toMatchObject({ status: 404 });
      for (const id of ['__proto__', 'a%20b', 'a:b', '%7Bo%7D', 'a%2Fb', 'o'.repeat(65), '%00', '*']) {
        expect(await put(id, { customer: 'ann', partner: 'shop' })).toMatchObject({
          status: 400,
          body: { error: { code: 'bad_field', field: 'id' } },
        });
      }
    });
  });

  describe('who may call', () => {
    const calls: [string, string, unknown][] = [
      ['PUT', '/v1/orders/seen', { customer: 'ann', partner: 'shop' }],
      ['POST', '/v1/orders/seen/assign', { rider: 'r1' }],
      ['POST', '/v1/orders/seen/events', { status: 'picked_up' }],
      ['GET', '/v1/orders/seen', undefined],
      ['POST', '/v1/riders/r1/pings', { pings: [{ seq: 1, lat: 0.5, lng: 0.5 }] }],
      ['GET', '/v1/zones/mitte/positions', undefined],
    ];
    // biome-ignore format: a row per call
    const allowed = [['service'], ['service'], ['service'], ['service', 'operator', 'partner', 'customer'], ['service', 'rider'], ['service', 'operator']];
    // biome-ignore format: a row
    const SUBJECT: Record<string, string> = { rider: 'r1', customer: 'ann', partner: 'shop', operator: 'op', service: 'backend' };

    it.each(calls.map((each, i) => [...each, allowed[i]!] as const))(
      '%s %s is for the roles it is for',
      async (method, path, body, roles) => {
        for (const role of ['service', 'operator', 'partner', 'customer', 'rider'] as const) {
          const reply = await call(gateway, method, path, body, { token: await token(role, SUBJECT[role]!) });
          if (roles.includes(role)) expect([role, reply.status]).toEqual([role, 200]);
          else
            expect([role, reply]).toMatchObject([
              role,
              { status: 403, body: { error: { code: 'not_allowed' } } },
            ]);
        }
      },
    );

    it.each(calls)('%s %s answers 401 without a token that is valid', async (method, path, body) => {
      const send = (headers: Record<string, string>, query = '') =>
        fetch(`${gateway.url}${path}${query}`, {
          method,
          headers,
          body: body === undefined ? null : JSON.stringify(body),
        });
      const good = await token('service', 'backend');
      for (const response of [
        await send({}),
        await send({ authorization: good }),
        await send({ authorization: `Basic ${good}` }),
        await send({ authorization: 'Bearer' }),
        await send({ authorization: 'Bearer ' }),
        await send({ authorization: 'Bearer x.y.z' }),
        await send({ authorization: `Bearer ${good}x` }),
        await send({ cookie: `token=${good}` }),
        await send({}, `?token=${good}`),
        await send({}, `?access_token=${good}`),
      ]) {
        expect(response.status).toBe(401);
        expect(await response.json()).toMatchObject({
          error: { code: 'token', message: expect.any(String) },
        });
      }
    });

    it('lets a rider ping as itself only', async () => {
      const reply = await pingOf(
        'r2',
        { pings: [{ seq: 1, lat: 0, lng: 0 }] },
        { token: await token('rider', 'r1') },
      );
      expect(reply).toMatchObject({ status: 403, body: { error: { code: 'not_allowed' } } });
    });
  });

  describe('GET /v1/orders/:id', () => {
    it('answers alike for an order that does not exist and one of somebody else', async () => {
      const id = fresh('o');
      await givenOrder(gateway, id, { customer: 'bob', partner: 'theirs', rider: 'r1' });
      for (const role of ['customer', 'partner'] as const) {
        const mine = await token(role, 'ann');
        const theirs = await get(`/v1/orders/${id}`, mine);
        expect(theirs).toEqual(await get('/v1/orders/never-was', mine));
        expect(theirs).toEqual({
          status: 404,
          body: { error: { code: 'not_found', message: 'no such order' } },
        });
      }
      expect((await get(`/v1/orders/${id}`, await token('customer', 'bob'))).status).toBe(200);
    });

    it('gives a position only inside the window of who asks, and a customer nobody’s name', async () => {
      const [id, rider] = [fresh('o'), fresh('r')];
      await put(id, { customer: 'ann', partner: 'shop' });
      await pingOf(rider, {
        pings: [{ seq: 1, lat: 0.5, lng: 0.25, speed: 1.25, heading: 90, accuracy: 4 }],
      });
      const views = async () =>
        Promise.all(
          (['customer', 'partner', 'operator'] as const).map(
            async (role) =>
              (await get(`/v1/orders/${id}`, await token(role, role === 'customer' ? 'ann' : 'shop'))).body,
          ),
        );
      const shown = async () => (await views()).map((view) => view.position !== undefined);
      expect(await shown()).toEqual([false, false, false]);
      await assign(id, rider);
      expect(await shown()).toEqual([false, true, true]);
      await advance(id, { status: 'picked_up' });
      expect(await shown()).toEqual([true, true, true]);
      const [customer, partner, operator] = await views();
      const seen = {
        lat: 0.5,
        lng: 0.25,
        at: expect.any(Number),
        heading: 90,
        speed: 1.3,
        accuracy: 4,
        freshness: 0,
      };
      expect(customer.position).toEqual(seen);
      expect(partner.position).toEqual({ rider, ...seen });
      expect(JSON.stringify(customer)).not.toMatch(new RegExp(`${rider}|shop|ann`));
      expect([partner.order.customer, operator.order.customer]).toEqual([undefined, 'ann']);
      await advance(id, { status: 'delivered' });
      expect(await shown()).toEqual([false, false, false]);
    });

    it('gives a cursor that a watch can go on from', async () => {
      const id = fresh('o');
      await givenOrder(gateway, id, { rider: 'r1' });
      const { cursor } = (await get(`/v1/orders/${id}`)).body;
      await advance(id, { status: 'picked_up' });
      const watch = [{ w: 1, channel: `order:${id}`, since: cursor }];
      const customer = await RawClient.hello(gateway.url, await token('customer', 'ann'), { watch });
      const watching = await customer.next('watching');
      expect([watching.reset, watching.events?.map((event) => event.type)]).toEqual([
        undefined,
        ['picked_up'],
      ]);
      customer.close();
    });
  });

  describe('POST /v1/riders/:id/pings', () => {
    it('takes pings without a socket, and goes on with the session it gave', async () => {
      const rider = fresh('r');
      const bearer = { token: await token('rider', rider) };
      const first = await pingOf(rider, { pings: [{ seq: 1, lat: 0.5, lng: 0.5 }] }, bearer);
      expect(first).toEqual({
        status: 200,
        body: { session: expect.any(Number), seq: 1, accepted: 1, refused: [] },
      });
      const { session } = first.body;
      // biome-ignore format: a batch
      const pings = [{ seq: 3, lat: 0.52, lng: 0.5 }, { seq: 2, lat: 0.51, lng: 0.5 }, { seq: 1, lat: 9, lng: 9 }];
      const second = await pingOf(rider, { session, pings }, bearer);
      expect(second).toMatchObject({ status: 200, body: { session, seq: 3 } });
      const { positions } = (await get('/v1/zones/mitte/positions')).body;
      expect(positions.find((p: { rider: string }) => p.rider === rider)).toMatchObject({
        lat: 0.52,
        lng: 0.5,
      });
    });

    it('shows them to a watcher as those of a socket', async () => {
      const [id, rider] = [fresh('o'), fresh('r')];
      await givenOrder(gateway, id, { rider }, 'picked_up');
      const watch = [{ w: 1, channel: `order:${id}` }];
      const customer = await RawClient.hello(gateway.url, await token('customer', 'ann'), { watch });
      await customer.next('watching');
      const { session } = (await pingOf(rider, { pings: [{ seq: 1, lat: 0.5, lng: 0.5 }] })).body;
      expect((await customer.next('positions')).b[0]![2][0]!.slice(0, 5)).toEqual([
        1,
        session,
        1,
        50000,
        50000,
      ]);
      customer.close();
    });

    it('answers 409 to a session that a newer one has replaced, and closes the replaced socket', async () => {
      const rider = fresh('r');
      const phone = await RawClient.hello(gateway.url, await token('rider', rider));
      const old = (await pingOf(rider, { pings: [{ seq: 1, lat: 0, lng: 0 }] })).body.session;
      expect(await phone.closed()).toBe(4501);
      const next = (await pingOf(rider, { pings: [{ seq: 1, lat: 0, lng: 0 }] })).body.session;
      expect(next).toBeGreaterThan(old);
      expect(await pingOf(rider, { session: old, pings: [{ seq: 2, lat: 0, lng: 0 }] })).toMatchObject({
        status: 409,
        body: { error: { code: 'replaced', field: 'session' } },
      });
      expect((await pingOf(rider, { session: next, pings: [{ seq: 2, lat: 0, lng: 0 }] })).status).toBe(200);
    });

    it.each([
      ['pings', {}],
      ['pings', { pings: [] }],
      ['pings', { pings: Array(501).fill({ seq: 1, lat: 0, lng: 0 }) }],
      // biome-ignore format: a batch
      ['pings[1].lat', { pings: [{ seq: 1, lat: 0, lng: 0 }, { seq: 2, lat: 90.1, lng: 0 }] }],
      ['pings[0].seq', { pings: [{ seq: 0, lat: 0, lng: 0 }] }],
      ['session', { session: -1, pings: [{ seq: 1, lat: 0, lng: 0 }] }],
      ['session', { session: 2 ** 60, pings: [{ seq: 1, lat: 0, lng: 0 }] }],
    ])('names %s when it is wrong', async (field, body) => {
      expect(await pingOf('r1', body)).toMatchObject({
        status: 400,
        body: { error: { code: 'bad_field', field } },
      });
    });
  });

  describe('POST /v1/pings', () => {
    const send = async (body: unknown) => {
      const answer = await fetch(`${gateway.url}/v1/pings`, { method: 'POST', body: JSON.stringify(body) });
      return { status: answer.status, body: await answer.json() };
    };

    it('takes a rider’s pings with the token in the body, and answers as a socket would', async () => {
      const rider = fresh('r');
      const bearer = await token('rider', rider);
      const pings = [1, 2, 3].map((seq) => ({ seq, lat: seq === 2 ? 91 : 0.5, lng: 0.5 }));
      expect(await send({ token: bearer, pings })).toEqual({
        status: 200,
        body: { t: 'pinged', seq: 3, refused: [[2, 'range']] },
      });
      expect(await send({ token: bearer, pings: [pings[1]] })).toEqual({
        status: 200,
        body: { t: 'pinged', seq: 0, refused: [[2, 'range']] },
      });
      const { positions } = (await get('/v1/zones/mitte/positions')).body;
      expect(positions.map((p: { rider: string }) => p.rider)).toContain(rider);
      const old = (await pingOf(rider, { pings: [pings[0]] })).body.session;
      await pingOf(rider, { pings: [pings[0]] });
      expect((await send({ token: bearer, session: old, pings })).status).toBe(409);
    });

    it('takes none of anybody else', async () => {
      const pings = [{ seq: 1, lat: 0.5, lng: 0.5 }];
      expect((await send({ token: await token('customer', 'ann'), pings })).status).toBe(403);
      expect((await send({ token: 'nonsense', pings })).status).toBe(401);
      expect((await send({ pings })).status).toBe(401);
      expect((await send({ token: await token('rider', 'r1'), pings: [] })).status).toBe(400);
    });
  });

  describe('GET /v1/zones/:id/positions', () => {
    it('gives the newest position of every rider in the zone, with its orders', async () => {
      const [order, inside, outside] = [fresh('o'), fresh('r'), fresh('r')];
      await givenOrder(gateway, order, { rider: inside });
      // biome-ignore format: a batch
      await pingOf(inside, { pings: [{ seq: 1, lat: 0.1, lng: 0.1 }, { seq: 2, lat: 0.2, lng: 0.2 }] });
      await pingOf(outside, { pings: [{ seq: 1, lat: 5, lng: 5 }] });
      const { status, body } = await get('/v1/zones/mitte/positions');
      const of = (rider: string) => body.positions.filter((p: { rider: string }) => p.rider === rider);
      expect([status, of(outside)]).toEqual([200, []]);
      // biome-ignore format: one position
      expect(of(inside)).toEqual([
        { rider: inside, lat: 0.2, lng: 0.2, at: expect.any(Number), heading: null, speed: null, accuracy: null, freshness: 0, orders: [order] },
      ]);
      expect((await get('/v1/zones/nowhere/positions')).body).toEqual({ positions: [] });
    });

    it('covers the zones of the token only', async () => {
      const narrow = await token('operator', 'op', { zones: ['mitte'] });
      expect((await get('/v1/zones/mitte/positions', narrow)).status).toBe(200);
      expect(await get('/v1/zones/other/positions', narrow)).toMatchObject({ status: 403 });
    });
  });

  describe('bodies', () => {
    it.each(['', '{', '{"customer":', 'customer=ann', '\0', '[1,]', "{'a':1}", '{"a":NaN}'])(
      'answers 400 to %j',
      async (text) => {
        expect(await put('o', text)).toMatchObject({ status: 400, body: { error: { code: 'bad_body' } } });
      },
    );

    it('answers 400 to no body at all', async () => {
      expect(await put('o', undefined)).toMatchObject({ status: 400, body: { error: { code: 'bad_body' } } });
    });

    it('answers 413 to more than FRAME_BYTES, in one piece or in chunks, and takes exactly that', async () => {
      const padded = (size: number) => {
        const start = '{"customer":"ann","partner":"shop","x":"';
        return `${start}${'x'.repeat(size - start.length - 2)}"}`;
      };
      const before = gateway.counts.http['413'] ?? 0;
      expect((await put(fresh('o'), padded(65_536))).status).toBe(200);
      expect(await put(fresh('o'), padded(65_537))).toMatchObject({
        status: 413,
        body: { error: { code: 'too_large' } },
      });
      const chunked = request(`${gateway.url}/v1/orders/big`, {
        method: 'PUT',
        headers: { authorization: `Bearer ${await token('service', 'backend')}` },
      });
      chunked.on('error', () => {}); // the gateway may have closed before all was sent
      for (let i = 0; i < 8; i++) chunked.write('x'.repeat(10_000));
      chunked.end();
      const [response] = await once(chunked, 'response');
      expect(response.statusCode).toBe(413);
      response.destroy();
      expect(gateway.counts.http['413']).toBe(before + 2);
    });

    it('survives clients that leave in the middle of a body, or before the answer', async () => {
      const bearer = await token('service', 'backend');
      const head = (path: string, length: number) =>
        `PUT ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${bearer}\r\nContent-Length: ${length}\r\n\r\n`;
      const whole = '{"customer":"ann","partner":"shop"}';
      for (const [length, sent] of [
        [1000, '{"customer":'],
        [1000, ''],
        [whole.length, whole],
        [200_000, 'x'.repeat(70_000)],
      ] as const) {
        const socket = connect(gateway.port, '127.0.0.1');
        await once(socket, 'connect');
        await new Promise((resolve) => socket.write(head('/v1/orders/left', length) + sent, resolve));
        socket.on('error', () => {}); // reset by the gateway is as good
        socket.resetAndDestroy();
        await once(socket, 'close');
      }
      expect((await put(fresh('o'), { customer: 'ann', partner: 'shop' })).status).toBe(200);
    });

    it('answers nobody when the client left before the answer was there', async () => {
      let release = () => {};
      let started = () => {};
      const asked = new Promise<void>((resolve) => {
        started = resolve;
      });
      const handle = async () => {
        started();
        await new Promise<void>((resolve) => {
          release = resolve;
        });
        return { status: 200, body: 'late' };
      };
      const slow = await testGateway({}, { routes: [{ method: 'post', path: '/slow', handle }] });
      const socket = connect(slow.port, '127.0.0.1');
      socket.write('POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}');
      await asked;
      socket.destroy();
      await once(socket, 'close');
      await call(slow, 'GET', '/v1/orders/nowhere'); // by now the gateway has seen it leave
      release();
      expect((await call(slow, 'GET', '/v1/orders/nowhere')).status).toBe(404);
      expect(slow.counts.http).toEqual({ 404: 2 });
      await slow.stop();
    });

    it('takes requests that come in pieces, one after the other', async () => {
      const bearer = await token('service', 'backend');
      const get = `GET /v1/orders/nowhere HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${bearer}\r\n\r\n`;
      const socket = connect(gateway.port, '127.0.0.1').setEncoding('latin1');
      let got = '';
      const answers = (n: number) =>
        new Promise<void>((resolve) => {
          const look = () => {
            if ((got.match(/HTTP\/1.1 404/g) ?? []).length === n) resolve();
          };
          socket.on('data', look);
        });
      socket.on('data', (text) => {
        got += text;
      });
      await once(socket, 'connect');
      const one = answers(1);
      for (const piece of get.match(/[\s\S]{1,40}/g)!)
        await new Promise((resolve) => socket.write(piece, resolve));
      await one;
      const two = answers(2);
      socket.write(get);
      await two;
      socket.destroy();
    });
  });

  it('answers 404 in JSON to what is not there', async () => {
    for (const [method, path] of [
      ['GET', '/'],
      ['GET', '/v1'],
      ['DELETE', '/v1/orders/o'],
      ['POST', '/v1/orders/o'],
      ['GET', '/v1/orders/o/events'],
    ] as const) {
      const response = await fetch(`${gateway.url}${path}`, { method });
      expect([path, response.status]).toEqual([path, 404]);
      expect(await response.json()).toMatchObject({ error: { code: 'not_found' } });
    }
  });

  it('does not keep the address of who was refused: an answer holds no stack and no path of a file', async () => {
    for (const reply of [
      await put('o', '{'),
      await get('/v1/orders/nowhere'),
      await get('/v1/orders/x', 'bad'),
    ]) {
      expect(JSON.stringify(reply.body)).not.toMatch(/at .*\.ts|node_modules|\/src\/|Error:/);
    }
  });
});

describe('static files', () => {
  let gateway: Gateway;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ridecast-static-'));
    writeFileSync(join(folder, 'secret.txt'), 'not yours');
    const site = join(folder, 'site');
    mkdirSync(join(site, 'sub'), { recursive: true });
    writeFileSync(join(site, 'index.html'), '<p>hello</p>');
    writeFileSync(join(site, 'app.js'), 'go()');
    writeFileSync(join(site, 'sub', 'index.html'), '<p>sub</p>');
    writeFileSync(join(site, '.env'), 'AUTH_SECRET=x');
    writeFileSync(join(site, 'data.bin'), Buffer.from([0, 255, 1]));
    gateway = await testGateway({ STATIC_DIR: site });
  });
  afterAll(async () => {
    await gateway.stop();
    rmSync(folder, { recursive: true });
  });

  /** A request whose path nobody normalises, answered in full. */
  async function raw(path: string, method = 'GET'): Promise<{ status: number; text: string; head: string }> {
    const socket = connect(gateway.port, '127.0.0.1').setEncoding('latin1');
    let got = '';
    socket.on('data', (text) => {
      got += text;
    });
    socket.write(`${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    await once(socket, 'close');
    const [head = '', text = ''] = got.split('\r\n\r\n');
    return { status: Number(head.slice(9, 12)), text, head };
  }

  it('are served by exact path, with their type and without a referrer', async () => {
    const { status, text, head } = await raw('/');
    expect([status, text]).toEqual([200, '<p>hello</p>']);
    expect(head).toMatch(/Content-Type: text\/html; charset=utf-8/);
    expect(head).toMatch(/Referrer-Policy: no-referrer/);
    expect(head).toMatch(/X-Content-Type-Options: nosniff/);
    expect((await raw('/index.html?x=1')).text).toBe('<p>hello</p>');
    expect((await raw('/sub/')).text).toBe('<p>sub</p>');
    expect((await raw('/app.js')).head).toMatch(/Content-Type: text\/javascript/);
    expect((await raw('/data.bin')).head).toMatch(/Content-Type: application\/octet-stream/);
  });

  it('are told about without a body when asked with HEAD', async () => {
    const { status, text, head } = await raw('/', 'HEAD');
    expect([status, text]).toEqual([200, '']);
    expect(head).toMatch(/Content-Length: 12/i);
  });

  // biome-ignore format: a list
  it.each([
    '/../secret.txt', '/sub/../../secret.txt', '/%2e%2e/secret.txt', '/%2e%2e%2fsecret.txt', '/..%2fsecret.txt',
    '/..\\secret.txt', '/sub/..%5c..%5csecret.txt', '//secret.txt', '/./../secret.txt', '/%252e%252e/secret.txt',
    '/secret.txt%00.html', '/.env', '/sub', '/constructor', '/__proto__',
  ])('do not give %s', async (path) => {
    const { status, text } = await raw(path);
    expect([400, 404]).toContain(status);
    expect(text).not.toContain('not yours');
  });

  it('are read only', async () => {
    for (const method of ['PUT', 'POST', 'DELETE', 'PATCH'])
      expect((await raw('/app.js', method)).status).toBe(404);
  });

  it('leave the API and the socket where they are', async () => {
    expect((await call(gateway, 'GET', '/v1/orders/nowhere')).body).toMatchObject({
      error: { code: 'not_found' },
    });
    const client = await RawClient.hello(
      gateway.url,
      await token('operator', 'op'),
      {},
      { codec: jsonCodec },
    );
    client.close();
  });
});
