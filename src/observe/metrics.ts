/** Counts, kept as plain numbers on the hot path and read by prom-client only when somebody asks. */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';

/** A total per label value, such as pings per verdict. */
export type Tally = Record<string, number>;

export class Counts {
  /** pings by what ingest made of them: taken, duplicate, still, and every refusal */
  readonly pings: Tally = {};
  /** frames from clients that were not taken, by error code */
  readonly refusedFrames: Tally = {};
  /** frames taken, by message type */
  readonly frames: Tally = {};
  /** sockets closed by the gateway, by reason */
  readonly closes: Tally = {};
  /** watches granted or not, by outcome */
  readonly watches: Tally = {};
  /** HTTP answers, by status */
  readonly http: Tally = {};
  /** order events appended, by outcome */
  readonly orderEvents: Tally = {};
  /** messages of the bus that were dropped, by reason */
  readonly busDrops: Tally = {};
  /** watchers that were given a snapshot because what they missed could not be given, by reason */
  readonly resets: Tally = {};
  /** events of the bus that did not follow from where a channel stood */
  gaps = 0;
  positionFrames = 0;
  positionBlocks = 0;
  eventsSent = 0;
  /** of these, what clients said they applied, while they watched */
  eventsAcked = 0;
  laggingFlushes = 0;
  /** pings overwritten by a newer one of their rider before they were stored */
  shed = 0;
  storeFailures = 0;
  generations = 0;
}

/** Adds one to a tally. */
export function tally(counts: Tally, label: string): void {
  counts[label] = (counts[label] ?? 0) + 1;
}

/** What is read at the moment of asking. */
export interface Gauges {
  sessions(): number;
  channels(): number;
  riders(): number;
  healthy(): boolean;
  buffered(): number;
  stretch(): number;
  busy(): number;
}

/** The registry behind /metrics. */
export function makeRegistry(counts: Counts, gauges: Gauges, node: string): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ node });
  collectDefaultMetrics({ register: registry });
  const total = (name: string, help: string, read: () => number) =>
    // biome-ignore format: short
    new Counter({ name, help, registers: [registry], collect() { this.reset(); this.inc(read()); } });
  const totals = (name: string, help: string, label: string, read: Tally) =>
    new Counter({
      name,
      help,
      labelNames: [label],
      registers: [registry],
      collect() {
        this.reset();
        for (const [value, n] of Object.entries(read)) this.inc({ [label]: value }, n);
      },
    });
  const gauge = (name: string, help: string, read: () => number) =>
    // biome-ignore format: short
    new Gauge({ name, help, registers: [registry], collect() { this.set(read()); } });

  totals('ridecast_pings_total', 'Pings by verdict', 'verdict', counts.pings);
  total(
    'ridecast_pings_shed_total',
    'Pings overtaken by a newer one before they were shown',
    () => counts.shed,
  );
  totals('ridecast_frames_total', 'Frames taken from clients', 'type', counts.frames);
  totals('ridecast_refused_frames_total', 'Frames not taken', 'code', counts.refusedFrames);
  totals('ridecast_closes_total', 'Sockets closed by the gateway', 'reason', counts.closes);
  totals('ridecast_watches_total', 'Watches asked for', 'outcome', counts.watches);
  totals('ridecast_http_total', 'HTTP answers', 'status', counts.http);
  totals('ridecast_order_events_total', 'Order events', 'outcome', counts.orderEvents);
  totals('ridecast_bus_drops_total', 'Bus messages dropped', 'reason', counts.busDrops);
  totals('ridecast_resets_total', 'Watchers told that events are missing', 'reason', counts.resets);
  total('ridecast_gaps_total', 'Events that did not follow the one before', () => counts.gaps);
  total('ridecast_position_frames_total', 'Position frames sent', () => counts.positionFrames);
  total('ridecast_position_blocks_total', 'Channel blocks in them', () => counts.positionBlocks);
  total('ridecast_events_sent_total', 'Order events sent to watchers', () => counts.eventsSent);
  total('ridecast_events_acked_total', 'Of these, applied as clients say', () => counts.eventsAcked);
  total('ridecast_lagging_flushes_total', 'Flushes put off for a slow watcher', () => counts.laggingFlushes);
  total(
    'ridecast_store_failures_total',
    'Position batches the store did not take',
    () => counts.storeFailures,
  );
  total('ridecast_generations_total', 'Times the bus had to be joined anew', () => counts.generations);
  gauge('ridecast_sessions', 'Open sessions', gauges.sessions);
  gauge('ridecast_buffered_bytes', 'Bytes held for clients that do not read', gauges.buffered);
  gauge('ridecast_channels', 'Channels subscribed', gauges.channels);
  gauge('ridecast_riders', 'Riders held by this node', gauges.riders);
  gauge('ridecast_backbone_healthy', '1 while the backbone answers', () => (gauges.healthy() ? 1 : 0));
  gauge(
    'ridecast_stretch',
    'Factor by which ticks are stretched: 1 unless the node is overloaded',
    gauges.stretch,
  );
  gauge('ridecast_busy_ratio', 'Busy share of the event loop in the last quarter second', gauges.busy);
  return registry;
}
