/// <reference lib="esnext.disposable" preserve="true" />
/** The public types of the SDK. Self-contained: nothing here names the gateway's code. */

/** Undoes what returned it. Calling it twice is harmless. */
export type Off = () => void;

export type State = 'connecting' | 'live' | 'waiting' | 'offline' | 'suspended' | 'closed';

/** Why: one of these, or the word with which the gateway closed the session (PROTOCOL.md, close codes). */
export type Reason =
  | 'network'
  | 'timeout'
  | 'offline'
  | 'hidden'
  | 'server-restart'
  | 'overload'
  | 'auth'
  | 'denied'
  | 'replaced'
  | 'protocol'
  | 'user'
  | (string & Record<never, never>);

export interface Info {
  readonly state: State;
  /** Why it is not live. */
  readonly reason?: Reason;
  /** Dials since the link was last proven healthy. */
  readonly attempt: number;
  /** When the next dial is due, ms since epoch on this device's clock. */
  readonly retryAt?: number;
  /** Newest measured round trip, ms. */
  readonly rttMs?: number;
}

/** What went wrong, with a close code (4000–4999) or the gateway's error code (`not_found`, …). */
export interface ClientError extends Error {
  readonly code: number | string;
  readonly reason: Reason;
  /** Whether the SDK goes on by itself. False: this client, or this watch, is over. */
  readonly retryable: boolean;
}

/** How messages look on the wire. Text that arrives is JSON whatever the codec; it decodes the rest. */
export interface Codec {
  /** The WebSocket sub-protocol that names it. */
  readonly protocol: string;
  encode(frame: unknown): string | Uint8Array;
  decode(data: string | ArrayBuffer): unknown;
}

/** One way to the gateway. */
export interface Link {
  /** `data` is the message as the codec has it. */
  send(data: string | Uint8Array, message: unknown): void;
  /** Bytes handed over and not yet on the network. */
  buffered(): number;
  /** Lets go at once: no callback fires afterwards. With a code the other side is told. */
  drop(code?: number): void;
}

export interface LinkEvents {
  /** Once more on an open link: a new session begins on it, and it is told everything anew. */
  open(): void;
  data(data: string | ArrayBuffer): void;
  close(code: number, reason?: string): void;
}

/** Opens a link. Must not call back before it has returned. */
export type Transport = (url: string, events: LinkEvents, o: TransportOptions) => Link;

export interface TransportOptions extends Options {
  codec: Codec;
  /** The transport that is used by default. */
  webSocket: Transport;
}

/** What is so around the app. What is left out is not so. */
export interface Around {
  /** Nobody sees it. */
  readonly hidden?: boolean;
  /** About to be frozen, as into the back/forward cache, and `hidden`, too: the link is let go at once. */
  readonly frozen?: boolean;
  readonly offline?: boolean;
}

/** Tells what is so around the app, anew whenever something changed, be it one network for another. */
export type Env = (tell: (around: Around) => void) => Off;

export type WebSocketClass = new (url: string, protocols?: string | string[]) => unknown;

export interface Options {
  /**
   * A token, or where to get one. A function's token is kept until it expires or is rejected, and renewed in place at
   * 80 % of its life. Reject with `{ retryable: false }` to close the client.
   */
  token: string | ((why: 'initial' | 'expiring' | 'rejected', signal: AbortSignal) => Promise<string>);
  /** False (default): a hidden page lets go after `suspendAfterMs` and does not dial. True: riders. */
  background?: boolean;
  /** ms, default 30,000. */
  suspendAfterMs?: number;
  /** Full jitter: U(0, min(capMs, baseMs * 2^n)). Defaults 1,000 and 30,000 ms. A window from the gateway wins. */
  backoff?: { baseMs?: number; capMs?: number };
  /** What happens around the app. Default: a browser page's visibility and network; elsewhere nothing. See /react-native. */
  env?: Env;
  /** How a link is opened. Default: a WebSocket. Where only HTTP gets through: `withFallback(sse())` of /sse. */
  transport?: Transport;
  /** How messages look. Default: JSON. */
  codec?: Codec;
  /** The class of WebSockets; default the global one. Node 20: that of /node. */
  WebSocket?: WebSocketClass;
}

export interface ClientEvents {
  state: Info;
  error: ClientError;
}

export interface Client extends Disposable {
  readonly info: Info;
  /** The gateway's clock, ms since epoch; this device's until the first welcome. */
  now(): number;
  /** Resolves when live. Rejects when the client closes. */
  ready(): Promise<void>;
  /** Lets go of the link until `resume`. */
  pause(): void;
  resume(): void;
  close(): void;
  on<K extends keyof ClientEvents>(event: K, listener: (e: ClientEvents[K]) => void): Off;
}

// ---- watching -------------------------------------------------------------------------------------------------

export interface Position {
  /** Degrees. */
  readonly lat: number;
  readonly lng: number;
  /** When the fix was taken, ms since epoch on the gateway's clock. */
  readonly at: number;
  /** Degrees, 0..359. */
  readonly heading?: number;
  /** m/s. */
  readonly speed?: number;
  /** Metres. */
  readonly accuracy?: number;
}

export interface Eta {
  /** ms since epoch. */
  readonly at: number;
  readonly low?: number;
  readonly high?: number;
}

export type Freshness = 'catching-up' | 'live' | 'stale' | 'lost' | 'ended';

/** Where a watch stands in an order's events. Store it whole. */
export interface Cursor {
  readonly epoch: string;
  readonly offset: number;
  readonly id: string;
}

export interface WatchEvents<S> {
  /** The new snapshot. */
  change: S;
  freshness: Freshness;
  /** Events were missed for good; the snapshot is whole again. */
  gap: { missed: number | 'unknown' };
  error: ClientError;
}

/** S is immutable and keeps its identity until something changes. */
export interface Watch<S, E> extends Disposable {
  readonly snapshot: S | undefined;
  readonly freshness: Freshness;
  /** Order watches; pass it as `since` to go on after a restart of the app. */
  readonly cursor: Cursor | undefined;
  on<K extends keyof (E & WatchEvents<S>)>(event: K, listener: (e: (E & WatchEvents<S>)[K]) => void): Off;
  close(): void;
}

export interface Point {
  readonly lat: number;
  readonly lng: number;
}

/** An order without where its rider is. */
export interface OrderInfo<St extends string = string> {
  readonly id: string;
  readonly status: St;
  /** When it got that status, ms since epoch. */
  readonly at: number;
  readonly version: number;
  /** How many riders it has had. */
  readonly assignment: number;
  readonly ended: boolean;
  readonly zone?: string;
  readonly partner?: string;
  readonly customer?: string;
  readonly rider?: string;
  readonly pickup?: Point;
  readonly destination?: Point;
  readonly data?: Readonly<Record<string, unknown>>;
}

export interface Order<St extends string = string> extends OrderInfo<St> {
  /** Absent while this watcher may not see it. */
  readonly position?: Position;
  readonly eta?: Eta;
}

export interface OrderEvents<St extends string = string> {
  /** Newest wins; never replayed, never older than the one before. */
  position: Position;
  /** Every event of the order, once and in order. */
  event: { type: string; at: number; offset: number; order: Order<St>; replayed: boolean };
  status: { status: St; at: number; replayed: boolean };
  eta: Eta;
  /** The order ended; the watch is over. */
  end: Order<St>;
}

export interface WatchOptions {
  /** At most this many position updates a second, 0.01..60. Default: as the gateway has them. */
  maxHz?: number;
}

export interface OrderOptions extends WatchOptions {
  /** Go on from here: the `cursor` of an earlier watch, stored whole. Default: begin with the snapshot. */
  since?: Cursor;
  /** ms after which an unheard position is stale, default 30,000; lost after four times that. */
  staleAfterMs?: number;
}

export type OrderWatch<St extends string = string> = Watch<Order<St>, OrderEvents<St>>;

export type Selector = { zone: string } | { partner: string } | { orders: readonly string[] };

/** One dot: a rider, or (selector `orders`) an order. */
export interface Item {
  readonly id: string;
  readonly position: Position;
  /** The gateway's word when it last heard of it; see the fleet's own freshness too. */
  readonly freshness: 'live' | 'stale' | 'lost';
  /** Of the first of its orders, where known. */
  readonly status?: string;
  readonly orders?: readonly string[];
}

export interface FleetEvents {
  /** Ids whose item changed, entered or left; at most once per 16 ms: about one per frame of the screen. */
  batch: ReadonlySet<string>;
  enter: string;
  leave: string;
  /** An order's status changed (partner and orders selectors). */
  status: { id: string; status: string; at: number };
  /** Everything was replaced; how many items there are now. */
  reset: number;
}

export interface FleetOptions extends WatchOptions {
  /** Further riders are not taken in, default unlimited. */
  maxItems?: number;
  /** ms without a word from the gateway after which the fleet is stale, default 30,000; lost after four times that. */
  staleAfterMs?: number;
}

export interface Fleet extends Watch<ReadonlyMap<string, Item>, FleetEvents> {
  /** The running orders, with or without a rider in sight (partner and orders selectors). */
  readonly orders: ReadonlyMap<string, OrderInfo>;
  /** Watches something else from now on; what is not there leaves. */
  retarget(selector: Selector): void;
}

// ---- riding ---------------------------------------------------------------------------------------------------

export interface Ping extends Omit<Position, 'at'> {
  /** When the fix was taken, ms since epoch on this device's clock. Missing: now. */
  at?: number;
  mocked?: boolean;
  /** 0..1 */
  battery?: number;
}

export interface Pace {
  readonly intervalMs: number;
  readonly minMoveM: number;
  readonly accuracy: 'high' | 'balanced' | 'low';
  /** ms since epoch on the gateway's clock; afterwards 1,000 ms again. */
  readonly until?: number;
}

/** Keeps the queue over restarts of the app. */
export interface Store {
  load(): Promise<unknown[]>;
  save(queue: readonly unknown[]): void | Promise<void>;
}

export interface RiderEvents {
  pace: Pace;
  /** Every ping up to this number is dealt with. */
  ack: { upTo: number; queued: number };
  drop: { count: number; reason: 'full' | 'age' | 'rejected' };
}

export interface RiderOptions {
  queue?: {
    /** Default 500. */
    max?: number;
    /** ms, default 600,000. */
    maxAgeMs?: number;
    /** `thin` (default) drops every other ping of the older half: the route keeps its shape. */
    whenFull?: 'thin' | 'drop-oldest';
  };
  /** Where the queue outlives the app. Default: nowhere. */
  store?: Store;
}

export interface Rider extends Disposable {
  /** Never throws, never blocks. `queued`: it goes with others that come in the same 20 ms, or with the next link. `skipped`: faster than the pace, not kept. */
  push(ping: Ping): 'sent' | 'queued' | 'skipped';
  readonly pace: Pace;
  /** Pings not yet acknowledged, sent or not. */
  readonly queued: number;
  /** True when everything is acknowledged, false when `timeoutMs` (default 5,000) ran out first. */
  flush(timeoutMs?: number): Promise<boolean>;
  on<K extends keyof RiderEvents>(event: K, listener: (e: RiderEvents[K]) => void): Off;
  close(): void;
}
