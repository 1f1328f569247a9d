/** What goes over a link, as one sees it who looks for a fault. */
import { expect, it } from 'vitest';
import { msgpack } from '../src/msgpack.ts';
import { rider } from '../src/rider.ts';
import { traced } from '../src/trace.ts';
import { fakeGateway, rig, settle, stillTime, welcome } from './pair.ts';

stillTime();

it('is told step by step, without tokens or places, and goes over it all the same', async () => {
  const gateway = fakeGateway();
  const said: unknown[] = [];
  const r = rig({
    background: true,
    transport: traced(({ t, what, data }) => {
      expect(t).toBe(Date.now());
      said.push(data === undefined ? what : `${what} ${data}`);
    }, gateway.transport),
  });
  const me = rider(r.client);
  await settle();
  gateway.link.open();
  gateway.link.give(welcome({ role: 'rider', rider: { session: 5, seq: 0 } }));
  expect(me.push({ lat: 52.5, lng: 13.4 })).toBe('sent');
  gateway.link.give({ t: 'pinged', seq: 1 });
  gateway.link.raw('{"t":"new","of":"a later version"}');
  expect(me.queued).toBe(0);
  gateway.link.close(4300);
  await settle(0);
  r.client.close();
  expect(said).toEqual([
    'dial wss://gateway.test/v1/ws',
    'open',
    'send hello',
    'hear welcome',
    'send ping',
    'hear pinged',
    'hear new',
    'close 4300',
    'drop',
  ]);
  expect(gateway.link.of('hello')).toMatchObject([{ token: 'tok' }]);
});

it('counts the bytes of what is binary', async () => {
  const gateway = fakeGateway();
  const heard: unknown[] = [];
  rig({
    codec: msgpack(),
    transport: traced(({ what, data }) => what === 'hear' && heard.push(data), gateway.transport),
  });
  await settle();
  gateway.link.open();
  (gateway.link.raw as (data: unknown) => void)(new Uint8Array([0x81, 0xa1, 0x74, 0xa1, 0x78]).buffer);
  expect(heard).toEqual([5]);
});
