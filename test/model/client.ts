/** A client as PROTOCOL.md asks for, which notices whatever must not happen. */
import type { Hub } from '../../src/fanout/hub.ts';
import type { Subscriber, Subscription } from '../../src/fanout/subscription.ts';
import type { Grant } from '../../src/fanout/visibility.ts';
import { jsonCodec } from '../../src/protocol/codec.ts';
import type { Cursor, GatewayMessage, GatewayMessages, OrderEvent } from '../../src/protocol/messages.ts';
import { type Node, ORDER, type World } from './world.ts';

const GRANT: Grant = { role: 'operator', sub: 'op', expiresAt: Number.MAX_SAFE_INTEGER };

/** One watch on one hub; what it was sent waits here for the client to read. */
class Watch implements Subscriber {
  readonly codec = jsonCodec;
  readonly audience = 'operator';
  leave = () => {};
  over = false;
  private readonly client: Client;

  constructor(client: Client) {
    this.client = client;
  }
  send(message: GatewayMessage): void {
    if (!this.over) this.client.frames.push({ watch: this, message });
  }
  sendBytes(bytes: Uint8Array): void {
    this.send(jsonCodec.decode(bytes) as GatewayMessage);
  }
  mark(_: Subscription): void {}
  unmark(): void {}
  forget(): void {}
  flush(): boolean {
    return false;
  }
}

export class Client {
  frames: { watch: Watch; message: GatewayMessage }[] = [];
  node: Node | undefined;
  cursor: Cursor | undefined;
  version = 0;
  /** It was told that the store no longer knows the order. */
  lost = false;
  private readonly index: number;
  private readonly world: World;
  private watch: Watch | undefined;
  private synced = false;

  constructor(index: number, world: World) {
    this.index = index;
    this.world = world;
  }

  connect(node: Node): void {
    this.disconnect();
    this.node = node;
    this.again();
  }

  disconnect(): void {
    this.end();
    this.node = undefined;
    this.frames = [];
  }

  /** Whether it is watching, or was told that there is nothing to watch. */
  get settled(): boolean {
    return this.node !== undefined && (this.synced || this.refused);
  }
  refused = false;

  /** Watches, on the same link. */
  again(): void {
    this.end();
    const watch = new Watch(this);
    this.watch = watch;
    this.refused = false;
    const request = { w: 1, channel: `order:${ORDER}`, ...(this.cursor ? { since: this.cursor } : {}) };
    const hub: Hub = this.node!.hub;
    hub.watch(watch, GRANT, request).then((outcome) => {
      if (!outcome.ok) {
        if (this.watch === watch) this.refused = true;
        return;
      }
      const leave = () => hub.unwatch(request.channel, outcome.subscription);
      if (watch.over) leave();
      else watch.leave = leave;
    });
  }

  private end(): void {
    this.synced = false;
    if (this.watch === undefined) return;
    this.watch.over = true;
    this.watch.leave();
    this.watch = undefined;
  }

  /** An event is lost inside the link, and nobody says so. */
  lose(): void {
    const event = this.frames.findIndex(({ message }) => message.t === 'event');
    if (event >= 0) this.frames.splice(event, 1);
  }

  receive(): void {
    const frame = this.frames.shift();
    if (frame === undefined || frame.watch !== this.watch) return;
    const { message } = frame;
    if (message.t === 'watching') this.start(message);
    else if (message.t === 'event' && this.synced) this.live(message);
    if (this.synced && !this.lost) this.holds();
  }

  private start(message: GatewayMessages['watching']): void {
    this.synced = true;
    this.lost = message.reset === 'lost';
    if (message.reset !== undefined) this.cursor = undefined;
    for (const event of message.events ?? []) this.apply(event);
    const { cursor } = this;
    if (cursor !== undefined && cursor.id !== message.cursor!.id)
      throw new Error(
        `client ${this.index}: told that nothing is missing between ${cursor.offset} and ${message.cursor!.offset}`,
      );
    this.cursor = message.cursor!;
    this.version = message.order!.version;
  }

  private live(event: OrderEvent): void {
    const { cursor } = this;
    if (event.offset <= cursor!.offset)
      throw new Error(`client ${this.index}: ${event.offset} was sent twice`);
    if (this.world.mutant.clientChecksNothing) return this.take(event);
    if (event.offset === cursor!.offset + 1 && event.prev === cursor!.id) this.take(event);
    else this.again();
  }

  private apply(event: OrderEvent): void {
    if (this.cursor === undefined || event.offset !== this.cursor.offset + 1 || event.prev !== this.cursor.id)
      throw new Error(`client ${this.index}: a replay that does not follow`);
    this.take(event);
  }

  private take({ offset, id, order }: OrderEvent): void {
    const known = this.world.known.get(id);
    if (known?.prev !== this.cursor!.id)
      throw new Error(`client ${this.index}: ${offset} does not follow ${this.cursor!.offset}`);
    this.cursor = { epoch: this.cursor!.epoch, offset, id };
    this.version = order.version;
  }

  /** Prefix consistency: the state is the one the store had at that entry. */
  private holds(): void {
    const known = this.world.known.get(this.cursor!.id);
    if (known === undefined || known.version !== this.version || known.offset !== this.cursor!.offset)
      throw new Error(`client ${this.index}: a state that never was, at ${JSON.stringify(this.cursor)}`);
  }
}
