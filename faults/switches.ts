/** The gateway's protections, each with a way to switch it off: what the twin of a row runs with. Never an option. */
import type { Backbone } from '../src/backbone/backbone.ts';
import type { Bus } from '../src/backbone/bus.ts';
import { missedSince } from '../src/backbone/log.ts';
import { Connection } from '../src/backbone/redis/connection.ts';
import type { Store } from '../src/backbone/store.ts';
import type { Config } from '../src/config.ts';
import { Outbox } from '../src/edge/outbox.ts';
import { Session } from '../src/edge/session.ts';
import { Hub } from '../src/fanout/hub.ts';
import { OrderLog } from '../src/fanout/order-log.ts';
import type { Grant } from '../src/fanout/visibility.ts';
import { Rider } from '../src/ingest/rider.ts';
import { Load } from '../src/observe/load.ts';
import { decodeBus, encodeEvent } from '../src/protocol/bus-messages.ts';
import type { Cursor } from '../src/protocol/messages.ts';

/** ms: longer than any run. */
const NEVER = 3_600_000;

/** ms by which a subscription comes too late: after whatever it would have brought. */
const TOO_LATE = 60_000;

type WeakConfig = { -readonly [K in keyof Config]: Config[K] };

interface Switch {
  readonly meaning: string;
  config?(config: WeakConfig): void;
  bus?(bus: Bus): Bus;
  store?(store: Store): Store;
  /** Where no port is in the way: a method of the core is replaced, in this process. */
  patch?(): void;
}

export const switches = {
  generation: {
    meaning: 'nothing is read again when the bus was joined anew',
    bus: (bus) => with_(bus, { onGeneration() {} }),
  },
  probe: {
    meaning: 'nobody looks whether Redis answers and messages arrive',
    config(config) {
      config.redisProbeMs = NEVER;
    },
  },
  check: {
    meaning: 'no periodic look at where the store says an order stands',
    config(config) {
      config.checkMs = NEVER;
    },
  },
  timeout: {
    meaning: 'a command to Redis may take a minute',
    config(config) {
      config.redisTimeoutMs = 60_000;
    },
  },
  'entry-id': {
    meaning: 'a cursor is epoch and offset only',
    bus: (bus) => blurredBus(bus, byOffset),
    store: (store) => blurredStore(store, byOffset),
  },
  epoch: {
    meaning: 'a cursor is an offset only',
    bus: (bus) => blurredBus(bus, byOffsetAlone),
    store: (store) => blurredStore(store, byOffsetAlone),
  },
  tick: {
    meaning: 'zones and partners are flushed every 10 ms, however busy the gateway',
    config(config) {
      config.groupTickMs = 10;
    },
    patch() {
      Load.prototype.sample = () => {};
    },
  },
  idempotency: {
    meaning: 'the key of a command is ignored',
    store: (store) => {
      let calls = 0;
      return with_(store, {
        append: (c) => store.append({ ...c, key: `${c.key}~${process.pid}~${++calls}` }),
      });
    },
  },
  acknowledgement: {
    meaning: `a subscription counts ${TOO_LATE} ms before Redis has it`,
    bus: (bus) =>
      with_(bus, {
        async subscribe(channel) {
          setTimeout(() => bus.subscribe(channel).catch(() => {}), TOO_LATE);
        },
      }),
  },
  honesty: {
    meaning: 'what is left of a log is given as if it were all that was missed',
    patch() {
      const whole = OrderLog.prototype.missedSince;
      OrderLog.prototype.missedSince = function (since) {
        const missed = whole.call(this, since);
        if (missed.verdict !== 'limit' && missed.verdict !== 'trimmed') return missed;
        const { tail } = this as unknown as { tail: typeof missed.entries };
        return { verdict: 'ok', entries: tail.filter(({ offset }) => offset > since.offset) };
      };
    },
  },
  behind: {
    meaning: 'an event that the socket did not take is forgotten',
    patch() {
      const outbox = Outbox.prototype as unknown as { write(bytes: Uint8Array): boolean };
      Outbox.prototype.sendBytes = function (bytes) {
        outbox.write.call(this, bytes);
      };
    },
  },
  refusal: {
    meaning: 'a write that the store refused is answered as if it had been taken',
    store: (store) =>
      with_(store, {
        append: (change) =>
          store.append(change).catch(() => ({
            result: 'appended' as const,
            cursor: { epoch: '?', offset: change.expect + 1, id: '?' },
          })),
        indexOrder: (...change) => store.indexOrder(...change).catch(() => {}),
      }),
  },
  'ping order': {
    meaning: 'pings count in the order in which they come',
    patch() {
      const { take } = Rider.prototype;
      Rider.prototype.take = function (session, pings, now) {
        const top = this.seqOf(session);
        return take.call(this, session, pings.map((ping, i) => ({ ...ping, seq: top + 1 + i })), now); // biome-ignore format: short
      };
    },
  },
  expiry: {
    meaning: 'a token that was taken once counts for as long as its socket, revoked or not',
    patch() {
      const { sweep } = Session.prototype;
      Session.prototype.sweep = function (now) {
        const { state } = this as unknown as { state: { grant?: Grant } };
        if (state.grant !== undefined) state.grant = { ...state.grant, expiresAt: now };
        sweep.call(this, now);
      };
      Session.prototype.revoke = () => {};
    },
  },
  readonly: {
    meaning: 'a connection to a server that refuses writes is kept',
    patch() {
      const { open } = Connection.prototype;
      Connection.prototype.open = function () {
        const { redis } = this as unknown as { redis: { options: { reconnectOnError?: unknown } } };
        redis.options.reconnectOnError = undefined;
        return open.call(this);
      };
    },
  },
  isolation: {
    meaning: 'nobody catches what a message or a frame that makes no sense throws',
    patch() {
      const { deliver } = Hub.prototype;
      Hub.prototype.deliver = function (name, payload) {
        uncaught(() => decodeBus(payload));
        deliver.call(this, name, payload);
      };
      const { read } = Session.prototype;
      Session.prototype.read = function (bytes, codec) {
        uncaught(() => codec.decode(bytes));
        read.call(this, bytes, codec);
      };
    },
  },
} satisfies Record<string, Switch>;

export type SwitchName = keyof typeof switches;

/** The configuration with these protections off; what no port reaches is off from then on. */
export function weakConfig(config: Config, off: readonly SwitchName[]): Config {
  const weak: WeakConfig = { ...config };
  for (const name of off) {
    (switches[name] as Switch).config?.(weak);
    (switches[name] as Switch).patch?.();
  }
  return weak;
}

/** The backbone with these protections off. */
export function weakBackbone(backbone: Backbone, off: readonly SwitchName[]): Backbone {
  let { bus, store } = backbone;
  for (const name of off) {
    const { bus: weakBus, store: weakStore } = switches[name] as Switch;
    if (weakBus !== undefined) bus = weakBus(bus);
    if (weakStore !== undefined) store = weakStore(store);
  }
  return with_(backbone, { bus, store });
}

/** The same object, but for these members. */
function with_<T extends object>(of: T, other: Partial<T>): T {
  return new Proxy(of, {
    get(target, name) {
      if (name in other) return other[name as keyof T];
      const value = target[name as keyof T];
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** What it throws ends the process. */
function uncaught(work: () => void): void {
  try {
    work();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

/** What is left of where an entry stands. */
type Blur = <T extends Cursor>(of: T) => T;

const idAt = (offset: number) => (offset === 0 ? '' : `at-${offset}`);

const byOffset: Blur = (of) => ({ ...of, id: idAt(of.offset), prev: idAt(of.offset - 1) });

const byOffsetAlone: Blur = (of) => byOffset({ ...of, epoch: 'one' });

function blurredBus(bus: Bus, blur: Blur): Bus {
  const blurred = (payload: Uint8Array) => {
    try {
      const message = decodeBus(payload);
      return message.kind === 'event' ? encodeEvent(blur(message.entry)) : payload;
    } catch {
      return payload;
    }
  };
  return with_(bus, {
    onMessage: (listener) => bus.onMessage((channel, payload) => listener(channel, blurred(payload))),
  });
}

function blurredStore(store: Store, blur: Blur): Store {
  const readLog = async (order: string, tail: number) => {
    const log = await store.readLog(order, tail);
    return log && { ...log, cursor: blur(log.cursor), entries: log.entries.map((entry) => blur(entry)) };
  };
  return with_(store, {
    readLog,
    async append(change) {
      const appended = await store.append(change);
      return appended.result === 'conflict' ? appended : { ...appended, cursor: blur(appended.cursor) };
    },
    async readOrder(order) {
      const state = await store.readOrder(order);
      return state && { ...state, cursor: blur(state.cursor) };
    },
    heads: async (orders) => (await store.heads(orders)).map((head) => head && blur(head)),
    async recover(order, since, limit) {
      const log = await readLog(order, limit + 1);
      return log && { state: log, ...missedSince(log, since, limit) };
    },
  });
}
