/** Groups, and clients with packed positions that watch them through real outboxes and the SDK's codec, on one clock. */
import { expect } from 'vitest';
import { msgpack } from '../../client-sdk/src/msgpack.ts';
import { CreditWindow } from '../../src/edge/credit-window.ts';
import { Outbox, type Socket } from '../../src/edge/outbox.ts';
import { begin, markBehind, restart } from '../../src/fanout/channel.ts';
import { advanced, type Group, NOWHERE, type Standing } from '../../src/fanout/groups.ts';
import { Round } from '../../src/fanout/round.ts';
import type { Subscription } from '../../src/fanout/subscription.ts';
import { Counts } from '../../src/observe/metrics.ts';
import { msgpackCodec, pack, packedCodec } from '../../src/protocol/codec.ts';
import type { Block, GatewayMessage, PositionTuple } from '../../src/protocol/messages.ts';

export const AGES = { staleAfterMs: 30_000, lostAfterMs: 120_000, positionTtlMs: 300_000 };
export const START = 1764000000037;
/** A stamp at which an age tells the time of the fix. */
const FAR = 8e15;

export interface Ping {
  north: number;
  east: number;
  late: number;
  skip: number;
  anew: boolean;
  heading: number | null;
  speed: number | null;
  accuracy: number | null;
  verdict: number;
}

export type Step =
  | ({ do: 'ping'; of: number; rider: number } & Ping)
  | { do: 'leave'; of: number; rider: number }
  | { do: 'sweep'; of: number; ms: number }
  | { do: 'pass'; ms: number }
  | { do: 'flush'; who: number; every: number | undefined }
  | { do: 'stall'; who: number; takes: ReturnType<Socket['send']> }
  | { do: 'read'; who: number }
  | { do: 'restart'; who: number }
  | { do: 'redial'; who: number }
  | { do: 'watch'; who: number; of: number; w: number; minIntervalMs: number }
  | { do: 'unwatch'; who: number; w: number };

/** A tuple as the packed form has it, in a message stamped `at`: what PROTOCOL.md says of what is rounded. */
function quantised(tuple: PositionTuple, at: number): (number | null)[] {
  const [ref, session, seq, lat, lng, sinceFar, freshness, heading, speed, accuracy, verdict] = tuple;
  const age = Math.max(0, Math.round(at / 125) - Math.round((FAR - sinceFar) / 125)) * 125;
  const turned = heading == null ? null : (Math.round(heading / 2) % 180) * 2;
  return [ref, session, seq, lat, lng, age, freshness, turned, speed ?? null, accuracy ?? null, verdict ?? 0];
}

/** All a group shows, by ref. */
function everything(group: Group): Map<number, PositionTuple> {
  const rows = new Map<number, PositionTuple>();
  let standing: Standing = NOWHERE;
  do {
    const { block, ...sent } = group.changes(standing, FAR);
    standing = advanced(standing, sent, group.clock);
    for (const tuple of block[2]) rows.set(tuple[0], tuple);
  } while (standing.filling);
  return rows;
}

const ageless = (rows: Iterable<[number, readonly unknown[]]>) =>
  Object.fromEntries([...rows].map(([ref, row]) => [ref, row.filter((_, i) => i !== 5)]));

/** One client, over whatever sockets come and go. */
export class PackedClient {
  /** Frames of the socket, as they came. */
  frames: Uint8Array[] = [];
  takes: ReturnType<Socket['send']> = 'sent';
  subscriptions = new Map<number, Subscription>();
  readonly codec = msgpack();
  private outbox!: Outbox;
  private readonly world: World;
  /** What it was told, by channel and ref. */
  private channels = new Map<number, Map<number, (number | null)[]>>();
  private handled = 0;

  constructor(world: World) {
    this.world = world;
    this.dial();
  }

  dial(): void {
    this.takes = 'sent';
    this.frames = [];
    this.handled = 0;
    this.subscriptions = new Map();
    this.channels = new Map();
    this.outbox = new Outbox({
      socket: { codec: msgpackCodec, send: (bytes) => this.receive(bytes), close() {}, buffered: () => 0 },
      codec: packedCodec,
      audience: 'operator',
      node: { counts: new Counts(), now: () => this.world.now },
      window: new CreditWindow(2, 1e9),
      host: { later() {}, answerable() {}, behind: () => this.dial(), forget() {}, started() {} },
    });
    this.receive(pack({ t: 'welcome' }));
  }

  watch(w: number, group: Group, minIntervalMs: number): void {
    this.unwatch(w);
    const options = { w, grant: {} as never, minIntervalMs, bound: 0 };
    const { subscription, watching } = begin('x', this.outbox, options, group, {}, this.world.now);
    this.subscriptions.set(w, subscription);
    this.outbox.send(watching);
  }

  unwatch(w: number): void {
    const subscription = this.subscriptions.get(w);
    if (subscription === undefined) return;
    this.codec.encode({ t: 'unwatch', w });
    this.outbox.unmark(subscription);
    this.subscriptions.delete(w);
    const c = subscription.group.number;
    if (![...this.subscriptions.values()].some((s) => s.group.number === c)) this.channels.delete(c);
  }

  restart(): void {
    for (const subscription of this.subscriptions.values())
      this.outbox.send(restart('x', subscription, {}, this.world.now));
  }

  flush(every?: number): void {
    markBehind(this.subscriptions.values());
    this.outbox.flush(this.world.round(every));
  }

  /** Reads all that waits. */
  read(): void {
    this.takes = 'sent';
    this.outbox.credit(this.handled);
    this.outbox.drained();
  }

  /** Has everything in the end, and nothing else. */
  settle(): void {
    const behind = () => [...this.subscriptions.values()].some((s) => s.standing.since < s.group.clock);
    for (let i = 0; i < 100 && behind(); i++) {
      this.world.pass(1000);
      this.read();
      this.flush();
    }
    expect(behind()).toBe(false);
    for (const { group } of this.subscriptions.values()) {
      const shown = [...everything(group)].map(([ref, tuple]) => [ref, quantised(tuple, 0)] as const);
      expect(ageless(this.channels.get(group.number)!)).toEqual(ageless(shown as never));
    }
  }

  private receive(bytes: Uint8Array): 'sent' | 'buffered' | 'dropped' {
    if (this.takes === 'dropped') return 'dropped';
    this.frames.push(bytes);
    const message = this.codec.decode(new Uint8Array(bytes).buffer) as GatewayMessage;
    if (message.t === 'watching') this.show(message.block, message.at);
    else if (message.t === 'positions') {
      this.handled++;
      expect(Math.abs(message.at - this.world.now)).toBeLessThanOrEqual(62.5);
      for (const block of message.b) this.show(block, message.at);
    }
    return this.takes;
  }

  private show([c, full, tuples, , out]: Block, at: number): void {
    if (full) this.channels.set(c, new Map());
    const group = this.world.groups.find(({ number }) => number === c)!;
    const rows = this.channels.get(c)!;
    for (const [ref] of out ?? []) rows.delete(ref);
    for (const tuple of tuples) {
      // A round of frames is of the moment it began.
      const shown = this.world.shown(group).map((state) => state.get(tuple[0]));
      const right = shown.filter((one) => one !== undefined).map((one) => quantised(one, at));
      expect(right).toContainEqual(tuple.slice(0, 11));
      rows.set(tuple[0], tuple.slice(0, 11));
    }
  }
}

export class World {
  now = START;
  readonly groups: readonly Group[];
  readonly clients: readonly PackedClient[];
  private readonly named: boolean;
  /** Of this moment. */
  private readonly rounds = new Map<number | undefined, Round>();
  /** What groups showed at this moment before it changed. */
  private readonly states = new Map<Group, ReturnType<typeof everything>[]>();
  private readonly last = new Map<string, { session: number; seq: number; lat: number; lng: number }>();
  private readonly riders = new Map<Group, number>();
  private readonly assignments = new Map<Group, number>();

  /** @param named groups of many riders; else each shows one at a time, as an order does */
  constructor(groups: readonly Group[], clients: number, named = true) {
    this.groups = groups;
    this.named = named;
    this.clients = Array.from({ length: clients }, () => new PackedClient(this));
  }

  take(step: Step): void {
    if ('of' in step) this.remember(this.groups[step.of]!);
    if (step.do === 'ping') this.ping(this.groups[step.of]!, step.rider, step);
    else if (step.do === 'leave') this.groups[step.of]!.leave(`r${step.rider}`, 'left');
    else if (step.do === 'sweep') this.groups[step.of]!.sweep(this.now + step.ms, AGES);
    else if (step.do === 'pass') this.pass(step.ms);
    else this.act(this.clients[step.who]!, step);
  }

  /** What the group showed and shows since the moment began. */
  shown(group: Group): ReturnType<typeof everything>[] {
    return [...(this.states.get(group) ?? []), everything(group)];
  }

  round(every?: number): Round {
    const round = this.rounds.get(every) ?? new Round(this.now, every);
    this.rounds.set(every, round);
    return round;
  }

  pass(ms: number): void {
    this.now += ms;
    this.rounds.clear();
    this.states.clear();
  }

  settle(): void {
    for (const client of this.clients) client.settle();
  }

  private remember(group: Group): void {
    this.states.set(group, this.shown(group));
  }

  private act(client: PackedClient, step: Extract<Step, { who: number }>): void {
    if (step.do === 'flush') client.flush(step.every);
    else if (step.do === 'stall') client.takes = step.takes;
    else if (step.do === 'read') client.read();
    else if (step.do === 'restart') client.restart();
    else if (step.do === 'redial') client.dial();
    else if (step.do === 'unwatch') client.unwatch(step.w);
    else client.watch(step.w, this.groups[step.of]!, step.minIntervalMs);
  }

  private ping(group: Group, rider: number, ping: Ping): void {
    const { north, east, late, skip, anew, heading, speed, accuracy, verdict } = ping;
    const key = `${group.number}/${rider}`;
    const from = this.last.get(key) ?? { session: 59_700_000, seq: 0, lat: 5_251_630, lng: 1_340_497 };
    const to = {
      session: from.session + (anew ? 1 : 0),
      seq: (anew ? 0 : from.seq) + 1 + skip,
      lat: within(from.lat + north, 9e6),
      lng: within(from.lng + east, 18e6),
    };
    this.last.set(key, to);
    const times = { fixAt: this.now - late, heardAt: this.now };
    const rest = { heading, speed, accuracy, verdict };
    group.take({ rider: `r${rider}`, ...to, ...times, ...rest }, [], this.refOf(group, rider));
  }

  private refOf(group: Group, rider: number): number | undefined {
    if (this.named) return undefined;
    const before = this.riders.get(group);
    if (before !== rider) {
      if (before !== undefined) group.leave(`r${before}`, 'hidden');
      this.riders.set(group, rider);
      this.assignments.set(group, (this.assignments.get(group) ?? 0) + 1);
    }
    return this.assignments.get(group);
  }
}

const within = (n: number, most: number) => Math.max(-most, Math.min(most, n));
