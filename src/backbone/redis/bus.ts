import { randomBytes } from 'node:crypto';
import type { Bus } from '../bus.ts';
import type { BackboneLog, Connection } from './connection.ts';
import type { Keys } from './keys.ts';
import { Script } from './script.ts';

/** Channels in one SUBSCRIBE, messages in one script. */
const CHUNK = 512;

/** A channel this node wants to hear. */
interface Member {
  readonly channel: string;
  /** The link of the subscriber connection on which Redis acknowledged it; 0: none so far. */
  acknowledged: number;
  waiting: Waiting | undefined;
}

interface Waiting {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** A message on its way to Redis. */
interface Outgoing {
  readonly name: string;
  readonly bytes: Buffer;
  readonly heard: (by: number) => void;
  readonly failed: (error: unknown) => void;
}

interface Probe {
  /** The link of the subscriber connection that should bring it. */
  readonly link: number;
  /** When Redis said that it has it, ms of the process's own clock; Infinity: not yet. */
  sentAt: number;
}

export interface RedisBusParts {
  readonly commands: Connection;
  readonly subscriber: Connection;
  readonly keys: Keys;
  /** ms a subscribe may take, reconnecting included. */
  readonly timeoutMs: number;
  /** ms between probes: a bus that heard nothing for so long sends itself a message. */
  readonly probeMs: number;
  readonly log: BackboneLog;
}

/**
 * The bus over Redis Pub/Sub. `members` is what is wanted; what Redis was told is never read back but said again: on
 * every new connection all of it, and per turn of the event loop whatever changed.
 */
export class RedisBus implements Bus {
  private readonly parts: RedisBusParts;
  /** By the name in Redis. */
  private readonly members = new Map<string, Member>();
  private readonly changed = new Set<string>();
  private readonly publishMany = new Script('publish-many');
  /** Published, and not sent yet. */
  private outgoing: Outgoing[] = [];
  private flushing: Promise<void> | undefined;
  /** The link on which everything wanted was acknowledged. */
  private joined = 0;
  private generation = 1;
  private listener: (channel: string, payload: Uint8Array) => void = () => {};
  private readonly generationListeners: ((generation: number) => void)[] = [];

  private readonly probe: string;
  private probeTimer: NodeJS.Timeout | undefined;
  /** The message to itself that is under way. */
  private probing: Probe | undefined;
  /** Anything came since the last look. */
  private heard = false;

  constructor(parts: RedisBusParts) {
    this.parts = parts;
    this.probe = parts.keys.probe(randomBytes(9).toString('base64url'));
    parts.subscriber.onMessage((name, payload) => {
      this.heard = true;
      const member = this.members.get(name.toString());
      if (member !== undefined) this.listener(member.channel, payload);
    });
  }

  /** Whether everything wanted is acknowledged on the connection there is. */
  get healthy(): boolean {
    return this.parts.subscriber.healthy && this.joined === this.parts.subscriber.link;
  }

  async start(): Promise<void> {
    const { commands, subscriber, probeMs } = this.parts;
    await subscriber.open();
    await this.join();
    subscriber.onReady(() => void this.rejoin());
    commands.onReady(() => this.reread());
    this.probeTimer = setInterval(() => void this.checkHearing(), probeMs);
  }

  stop(): void {
    clearInterval(this.probeTimer);
    for (const member of this.members.values()) member.waiting?.reject(new Error('the bus stopped'));
    this.members.clear();
    this.parts.subscriber.close();
  }

  subscribe(channel: string): Promise<void> {
    const name = this.parts.keys.channel(channel);
    let member = this.members.get(name);
    if (member === undefined) {
      member = { channel, acknowledged: 0, waiting: undefined };
      this.members.set(name, member);
    }
    const { subscriber } = this.parts;
    if (subscriber.ready && member.acknowledged === subscriber.link) return Promise.resolve();
    if (member.waiting === undefined) {
      member.waiting = this.wait(name, member);
      this.change(name);
    }
    return member.waiting.promise;
  }

  unsubscribe(channel: string): Promise<void> {
    const name = this.parts.keys.channel(channel);
    const member = this.members.get(name);
    if (member === undefined) return Promise.resolve();
    this.members.delete(name);
    member.waiting?.reject(new Error(`${channel} was unsubscribed`));
    return this.change(name);
  }

  publish(channel: string, payload: Uint8Array): Promise<number> {
    const name = this.parts.keys.channel(channel);
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    return new Promise((heard, failed) => {
      if (this.outgoing.push({ name, bytes, heard, failed }) === 1) queueMicrotask(() => this.send());
    });
  }

  /** What was published without a pause goes as one command: a command costs both ends more than a message does. */
  private send(): void {
    const all = this.outgoing;
    this.outgoing = [];
    for (let from = 0; from < all.length; from += CHUNK) {
      const some = all.slice(from, from + CHUNK);
      this.sendSome(some).then(
        (heard) => {
          for (const [i, message] of some.entries()) message.heard(heard[i]!);
        },
        (error) => {
          for (const message of some) message.failed(error);
        },
      );
    }
  }

  private async sendSome(messages: readonly Outgoing[]): Promise<number[]> {
    const { commands } = this.parts;
    if (messages.length === 1) {
      const { name, bytes } = messages[0]!;
      return [await commands.run((redis) => redis.publish(name, bytes))];
    }
    const args = messages.flatMap(({ name, bytes }) => [name, bytes]);
    return (await this.publishMany.run(commands, [], args, messages.length)) as number[];
  }

  onMessage(listener: (channel: string, payload: Uint8Array) => void): void {
    this.listener = listener;
  }

  onGeneration(listener: (generation: number) => void): void {
    this.generationListeners.push(listener);
  }

  /** Tells Redis of a change, together with the others of this turn. Resolves when leaving is acknowledged or moot. */
  private change(name: string): Promise<void> {
    this.changed.add(name);
    this.flushing ??= new Promise((resolve) => setImmediate(resolve)).then(() => {
      this.flushing = undefined;
      return this.flush();
    });
    return this.flushing;
  }

  private async flush(): Promise<void> {
    const names = [...this.changed];
    this.changed.clear();
    const { subscriber } = this.parts;
    // Not connected: there is nothing to leave, and the next connection joins all there is.
    if (!subscriber.ready) return;
    const join = names.filter((name) => this.members.has(name));
    const leave = names.filter((name) => !this.members.has(name));
    for (const chunk of chunks(join)) void this.joinSome(chunk).catch(() => {});
    // Redis reads in order: a leave that is not acknowledged in time is either on its way, or gone with its connection.
    await Promise.allSettled(
      chunks(leave).map((chunk) => subscriber.run((redis) => redis.unsubscribe(...chunk))),
    );
  }

  /** Subscribes on the connection there is. Rejects if that is not acknowledged, and so do those who wait for it. */
  private async joinSome(names: readonly string[]): Promise<void> {
    const { subscriber } = this.parts;
    const { link } = subscriber;
    const asked = names.map((name) => [name, this.members.get(name)] as const);
    try {
      await subscriber.run((redis) => redis.subscribe(...names));
    } catch (error) {
      // On a connection that ended the next one tries again, until those who wait give up.
      if (link === subscriber.link && subscriber.ready) {
        for (const [, member] of asked) member?.waiting?.reject(error as Error);
      }
      throw error;
    }
    if (link !== subscriber.link) throw new Error('the connection was lost meanwhile');
    for (const [name, member] of asked) {
      if (member === undefined || this.members.get(name) !== member) continue;
      member.acknowledged = link;
      member.waiting?.resolve();
    }
  }

  private async join(): Promise<void> {
    const { link } = this.parts.subscriber;
    const names = [this.probe, ...this.members.keys()];
    await Promise.all(chunks(names).map((chunk) => this.joinSome(chunk)));
    this.joined = link;
  }

  /** After a reconnect: all is subscribed anew, acknowledged, and only then a new generation begins. */
  private async rejoin(): Promise<void> {
    const { log, subscriber } = this.parts;
    const { link } = subscriber;
    try {
      await this.join();
    } catch (error) {
      if (link === subscriber.link) subscriber.cut(`cannot subscribe: ${(error as Error).message}`);
      return;
    }
    log.info(`Redis ${subscriber.address}: ${this.members.size} channels joined anew`);
    this.begin();
  }

  /**
   * The connection that reads was made anew. In a failover it may have gone on reading from the old master while this
   * bus was on the new one already: what was read then proves nothing.
   */
  private reread(): void {
    // Not joined at present: a generation begins when it is.
    if (this.joined === this.parts.subscriber.link) this.begin();
  }

  private begin(): void {
    this.generation += 1;
    for (const listener of this.generationListeners) listener(this.generation);
  }

  private wait(name: string, member: Member): Waiting {
    let resolve!: () => void;
    let reject!: (error: Error) => void;
    const promise = new Promise<void>((...settle) => {
      [resolve, reject] = settle;
    });
    promise.catch(() => {}); // nobody may be waiting any more
    const end = () => {
      clearTimeout(timer);
      member.waiting = undefined;
    };
    const fail = (error: Error) => {
      end();
      // Never acknowledged: nobody holds on to it. Else it stays wanted, for those who subscribed before.
      if (member.acknowledged === 0 && this.members.get(name) === member) {
        this.members.delete(name);
        void this.change(name);
      }
      reject(error);
    };
    const late = () => fail(new Error(`${member.channel}: no subscription in ${this.parts.timeoutMs} ms`));
    const timer = setTimeout(late, this.parts.timeoutMs);
    return {
      promise,
      resolve: () => {
        end();
        resolve();
      },
      reject: fail,
    };
  }

  /**
   * A connection may answer PINGs and yet deliver nothing. Where nothing was heard for a while, a message to this node
   * itself must arrive before the next look. One that could not be published proves nothing.
   */
  private async checkHearing(): Promise<void> {
    const { commands, subscriber, probeMs } = this.parts;
    // If this process slept, the message lies in the socket: it is read first.
    await new Promise((resolve) => setImmediate(resolve));
    const { link } = subscriber;
    if (this.heard || this.joined !== link || this.probing?.link !== link) this.probing = undefined;
    if (this.heard || this.joined !== link) {
      this.heard = false;
      return;
    }
    if (this.probing !== undefined) {
      if (performance.now() - this.probing.sentAt > probeMs / 2) subscriber.cut('it delivers nothing');
      return;
    }
    const probe: Probe = { link, sentAt: Number.POSITIVE_INFINITY };
    this.probing = probe;
    const published = commands.run((redis) => redis.publish(this.probe, ''));
    await published.then(
      () => {
        probe.sentAt = performance.now();
      },
      () => {
        if (this.probing === probe) this.probing = undefined;
      },
    );
  }
}

function chunks(names: readonly string[]): string[][] {
  const list: string[][] = [];
  for (let i = 0; i < names.length; i += CHUNK) list.push(names.slice(i, i + CHUNK));
  return list;
}
