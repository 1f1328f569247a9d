import { describe, expect, test } from 'vitest';
import { type Fleet, fresh, Inbox } from './fleet.ts';

const bytes = (text: string) => Buffer.from(text);

export function describeBus(fleet: () => Fleet): void {
  describe('bus', () => {
    test('a subscription that was acknowledged hears another node, and its own', async () => {
      const { a, b } = fleet();
      const inbox = new Inbox(a);
      const channel = `order:${fresh('o')}`;
      await a.bus.subscribe(channel);
      await b.bus.publish(channel, bytes('from b'));
      await a.bus.publish(channel, bytes('from a'));
      await inbox.until(() => inbox.on(channel).length === 2);
      expect(inbox.on(channel).sort()).toEqual(['from a', 'from b']);
    });

    test('names of all four kinds come back as they were given', async () => {
      const { a, b } = fleet();
      const inbox = new Inbox(a);
      const id = fresh('x').slice(0, 40);
      const names = ['order', 'zone', 'partner', 'rider'].map((kind) => `${kind}:${id}.~_-9`);
      await Promise.all(names.map((name) => a.bus.subscribe(name)));
      for (const name of names) await b.bus.publish(name, bytes(name));
      await inbox.until(() => inbox.heard.length === names.length);
      for (const name of names) expect(inbox.on(name)).toEqual([name]);
    });

    test('messages of one publisher on one channel keep their order', async () => {
      const { a, b } = fleet();
      const inbox = new Inbox(a);
      const channel = `zone:${fresh('z')}`;
      await a.bus.subscribe(channel);
      const sent = Array.from({ length: 2000 }, (_, i) => String(i));
      await Promise.all(sent.map((text) => b.bus.publish(channel, bytes(text))));
      await inbox.until(() => inbox.on(channel).length === sent.length);
      expect(inbox.on(channel)).toEqual(sent);
    });

    test('publish tells how many nodes listen', async () => {
      const { a, b } = fleet();
      const channel = `order:${fresh('o')}`;
      const listeners = () => a.bus.publish(channel, bytes('?'));
      expect(await listeners()).toBe(0);
      await a.bus.subscribe(channel);
      expect(await listeners()).toBe(1);
      await a.bus.subscribe(channel);
      expect(await listeners()).toBe(1);
      await b.bus.subscribe(channel);
      expect(await listeners()).toBe(2);
      await a.bus.unsubscribe(channel);
      expect(await listeners()).toBe(1);
      await b.bus.unsubscribe(channel);
      await b.bus.unsubscribe(channel);
      expect(await listeners()).toBe(0);
    });

    test('a channel that was left is not heard, its neighbours are', async () => {
      const { a, b } = fleet();
      const inbox = new Inbox(a);
      const [left, kept] = [`order:${fresh('o')}`, `order:${fresh('o')}`];
      await Promise.all([a.bus.subscribe(left), a.bus.subscribe(kept)]);
      await a.bus.unsubscribe(left);
      await b.bus.publish(left, bytes('unheard'));
      await b.bus.publish(kept, bytes('after it'));
      await inbox.until(() => inbox.on(kept).length === 1);
      expect(inbox.on(left)).toEqual([]);
    });

    test('subscribing and leaving in one turn end as the last call says', async () => {
      const { a, b } = fleet();
      const inbox = new Inbox(a);
      const [on, off] = [`order:${fresh('o')}`, `order:${fresh('o')}`];
      const calls = [a.bus.subscribe(on), a.bus.unsubscribe(on), a.bus.subscribe(on)];
      calls.push(a.bus.subscribe(off), a.bus.unsubscribe(off));
      await Promise.allSettled(calls);
      expect(await b.bus.publish(off, bytes('no'))).toBe(0);
      expect(await b.bus.publish(on, bytes('yes'))).toBe(1);
      await inbox.until(() => inbox.on(on).length === 1);
    });

    test('many channels at once are all acknowledged', async () => {
      const { a, b } = fleet();
      const ids = Array.from({ length: 1500 }, () => `order:${fresh('o')}`);
      await Promise.all(ids.map((channel) => a.bus.subscribe(channel)));
      const counts = await Promise.all(ids.map((channel) => b.bus.publish(channel, bytes('!'))));
      expect(new Set(counts)).toEqual(new Set([1]));
      await Promise.all(ids.map((channel) => a.bus.unsubscribe(channel)));
      expect(await b.bus.publish(ids[700]!, bytes('!'))).toBe(0);
    });

    test('every byte arrives as it was sent', async () => {
      const { a, b } = fleet();
      const inbox = new Inbox(a);
      const channel = `zone:${fresh('z')}`;
      await a.bus.subscribe(channel);
      const all = Uint8Array.from({ length: 70_000 }, (_, i) => (i * 7 + (i >> 8)) & 255);
      const slice = all.subarray(3, 260); // a view, as an encoder hands it out
      await b.bus.publish(channel, all);
      await b.bus.publish(channel, slice);
      await b.bus.publish(channel, new Uint8Array(0));
      await inbox.until(() => inbox.heard.length === 3);
      expect(inbox.heard.map((m) => m.payload)).toEqual([
        Buffer.from(all),
        Buffer.from(slice),
        Buffer.alloc(0),
      ]);
    });

    test('nothing is handed over inside publish, nor before its turn ends', async () => {
      const { a } = fleet();
      const channel = `order:${fresh('o')}`;
      await a.bus.subscribe(channel);
      let inside = false;
      const heardInside: boolean[] = [];
      const heard = new Promise<void>((resolve) => {
        a.bus.onMessage(() => {
          heardInside.push(inside);
          resolve();
        });
      });
      inside = true;
      const published = a.bus.publish(channel, bytes('!'));
      await Promise.resolve();
      inside = false;
      await Promise.all([published, heard]);
      expect(heardInside).toEqual([false]);
    });
  });
}
