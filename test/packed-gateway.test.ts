/** Over a real gateway and sockets: who watches packed positions ends in the same state as who watches JSON. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { connect, watchFleet, watchOrder } from '../client-sdk/src/index.ts';
import { msgpack } from '../client-sdk/src/msgpack.ts';
import type { Client, Codec, Position } from '../client-sdk/src/types.ts';
import type { Gateway } from '../src/gateway.ts';
import { msgpackCodec } from '../src/protocol/codec.ts';
import type { GatewayMessage, Role } from '../src/protocol/messages.ts';
import { RawClient } from './support/client.ts';
import { call, givenOrder, testGateway, token } from './support/gateway.ts';

const ring = [[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]; // biome-ignore format: a square
const square = {
  type: 'FeatureCollection',
  features: [
    { type: 'Feature', properties: { id: 'z' }, geometry: { type: 'Polygon', coordinates: [ring] } },
  ],
};
const RIDERS = 8;
const ROUNDS = 25;

const folder = mkdtempSync(join(tmpdir(), 'ridecast-packed-'));
const undo: (() => void)[] = [];
let gateway: Gateway;
beforeAll(async () => {
  const zones = join(folder, 'zones.json');
  writeFileSync(zones, JSON.stringify(square));
  gateway = await testGateway({
    ZONES_FILE: zones,
    GROUP_TICK_MS: '20',
    PINGS_PER_SECOND: '1000',
    CREDIT_FRAMES: '2',
    RECONNECT_SPREAD_MS: '20',
  });
});
afterEach(() => {
  for (const step of undo.splice(0)) step();
});
afterAll(async () => {
  await gateway.stop();
  rmSync(folder, { recursive: true });
});

/** A client, the sockets it opened, and the sizes of what came over them, by the type of message. */
function dial(role: Role, sub: string, codec?: Codec) {
  const sockets: WebSocket[] = [];
  const bytes: { t: string; size: number; packed: boolean | undefined }[] = [];
  class Kept extends WebSocket {
    constructor(url: string, protocol: string) {
      super(url, protocol);
      sockets.push(this);
    }
  }
  const measured: Codec | undefined = codec && {
    ...codec,
    decode(data) {
      const message = codec.decode(data) as GatewayMessage;
      const packed = message.t === 'welcome' ? message.packed : undefined;
      bytes.push({ t: message.t, size: (data as ArrayBuffer).byteLength, packed });
      return message;
    },
  };
  const url = `${gateway.url.replace('http', 'ws')}/v1/ws`;
  const options = { token: () => token(role, sub), WebSocket: Kept as never, background: true };
  const client: Client = connect(url, measured ? { ...options, codec: measured } : options);
  undo.push(() => client.close());
  return { client, sockets, bytes };
}

/** What is rounded is rounded as PROTOCOL.md says; of the rest nothing is. */
const quantised = ({ at, heading, ...rest }: Position) => ({
  ...rest,
  at: Math.round(at / 125) * 125,
  heading: heading === undefined ? undefined : (Math.round(heading / 2) % 180) * 2,
});

const until = (on: (look: () => void) => unknown, reached: () => boolean) =>
  new Promise<void>((resolve) => {
    const look = () => {
      if (reached()) resolve();
    };
    on(look);
    look();
  });

it('shows the same zone and the same order as JSON does, over a lost link, too', async () => {
  const ids = Array.from({ length: RIDERS }, (_, i) => `r${i}`);
  await givenOrder(gateway, 'o1', { rider: 'r0' }, 'picked_up');
  const pair = [dial('operator', 'op'), dial('operator', 'op', msgpack())] as const;
  const fleets = pair.map(({ client }) => watchFleet(client, { zone: 'z' }));
  const [json, packed] = [dial('customer', 'ann'), dial('customer', 'ann', msgpack())];
  const orders = [json, packed].map(({ client }) => watchOrder(client, 'o1'));
  const sessions = new Map<string, number>();
  const started = Date.now() - 60_000;
  const lat = (i: number, round: number) => 1 + i / 10 + (round * (i + 3)) / 1e5;

  for (let round = 1; round <= ROUNDS; round++) {
    await Promise.all(
      ids.map(async (id, i) => {
        const motion = round % 5 === 0 ? {} : { heading: (round * 7 + i) % 360, speed: i + round / 10 };
        const at = started + 1000 * round + 37 * i;
        const pings = [{ seq: round, lat: lat(i, round), lng: 1 - round / 1e4, at, ...motion }];
        const body = { session: sessions.get(id), pings };
        const answer = await call(gateway, 'POST', `/v1/riders/${id}/pings`, body);
        expect(answer.status).toBe(200);
        sessions.set(id, (answer.body as { session: number }).session);
      }),
    );
    for (const watch of orders)
      await until(
        (look) => watch.on('change', look),
        () => watch.snapshot?.position?.lat === Math.round(lat(0, round) * 1e5) / 1e5,
      );
    if (round === 10) packed.sockets.at(-1)!.terminate();
    if (round === 15) pair[1].sockets.at(-1)!.terminate();
  }

  for (const fleet of fleets)
    await until(
      (look) => fleet.on('batch', look),
      () =>
        ids.every(
          (id, i) => fleet.snapshot?.get(id)?.position.lat === Math.round(lat(i, ROUNDS) * 1e5) / 1e5,
        ),
    );
  const [plain, same] = fleets.map((fleet) => [...fleet.snapshot!].sort(([a], [b]) => (a < b ? -1 : 1)));
  expect(same).toEqual(plain!.map(([id, item]) => [id, { ...item, position: quantised(item.position) }]));
  expect(same).toHaveLength(RIDERS);
  const [one, other] = orders.map((watch) => watch.snapshot!);
  expect(other).toEqual({ ...one, position: quantised(one!.position!) });

  for (const { bytes } of [pair[1], packed]) {
    const welcomes = bytes.filter(({ t }) => t === 'welcome').map(({ packed }) => packed);
    expect(welcomes).toEqual([true, true]);
  }
  const sizes = packed.bytes.filter(({ t }) => t === 'positions').map(({ size }) => size);
  expect(sizes.length).toBeGreaterThan(ROUNDS / 2);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(20);
});

it('packs for nobody who does not ask, or reads text', async () => {
  const key = await token('operator', 'op');
  for (const [codec, packed] of [[msgpackCodec, undefined], [undefined, true]] as const) {
    const client = new RawClient(gateway.url, codec ? { codec } : {});
    undo.push(() => client.close());
    await client.open();
    client.send({ t: 'hello', token: key, packed, watch: [{ w: 1, channel: 'zone:z' }] });
    expect((await client.next('welcome')).packed).toBe(false);
    expect(Array.isArray((await client.next('watching')).block[2])).toBe(true);
  } // biome-ignore format: a list
});

it('refuses a second watch of a channel with another error: blocks go by channel', async () => {
  const watch = [{ w: 1, channel: 'zone:z', maxError: 5 }];
  const client = await RawClient.hello(gateway.url, await token('operator', 'op'), { watch });
  undo.push(() => client.close());
  await client.next('watching');
  client.send({ t: 'watch', w: 2, channel: 'zone:z', maxError: 20 });
  expect(await client.next('error')).toMatchObject({ code: 'watch_exists', field: 'maxError', w: 2 });
  client.send({ t: 'watch', w: 3, channel: 'zone:z', maxError: 6 });
  await client.next('watching', ({ w }) => w === 3);
});

it('tells who allows an error nothing of the way straight on, and a turn at once', async () => {
  const rider = 'straight';
  await givenOrder(gateway, 'o2', { rider }, 'picked_up');
  const started = Date.now() - 60_000;
  let session: number | undefined;
  const ping = async (seq: number, lat: number) => {
    const lng = 0.5 + (seq * 10) / 111_195; // 10 m/s, due east
    const pings = [{ seq, lat, lng, at: started + 1000 * seq, heading: 90, speed: 10 }];
    const answer = await call(gateway, 'POST', `/v1/riders/${rider}/pings`, { session, pings });
    session = (answer.body as { session: number }).session;
  };
  await ping(1, 0);
  const watch = [{ w: 1, channel: 'order:o2', maxError: 20 }];
  const client = await RawClient.hello(gateway.url, await token('customer', 'ann'), { watch });
  undo.push(() => client.close());
  expect((await client.next('watching')).block[2].map(([, , seq]) => seq)).toEqual([1]);
  for (const seq of [2, 3, 4, 5]) await ping(seq, 0);
  await ping(6, 0.001);
  expect((await client.next('positions')).b[0]![2].map(([, , seq]) => seq)).toEqual([6]);
});
