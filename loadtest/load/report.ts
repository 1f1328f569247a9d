/** What a load test found: the JSON it writes. Times in ms, memory in bytes, CPU in cores or core-seconds. */
import type { Lane, Role } from './plan.ts';

export interface Percentiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

export interface LaneReport {
  readonly frames: number;
  /** Positions newer than the one shown before. */
  readonly shown: number;
  /** Pings a watcher never saw, though it saw an earlier and should have seen this one. */
  readonly lost: number;
  /** Pings not shown because a newer one overtook them, as the position lane allows. */
  readonly overtaken: number;
  readonly regressions: number;
  readonly duplicates: number;
  /** Pairs of a watcher and a rider it never saw, though it should have. */
  readonly blind: number;
  readonly bytesPerPosition: number | null;
  /** From when a ping was due to when the watcher had it, after the ramp; null: nothing was shown. */
  readonly latencyMs: Percentiles | null;
  /** How old what a watcher shows is, looked at every second after the ramp. */
  readonly ageMs: Percentiles | null;
}

export interface CrewReport {
  /** Such as `customers-1`. */
  readonly name: string;
  /** Cores, on average after the ramp. */
  readonly cpu: number;
  readonly lagMaxMs: number;
  /** Seconds in which this process was the limit, of those after the ramp. */
  readonly saturatedSeconds: number;
  readonly seconds: number;
}

export interface LoadReport {
  readonly ridecastLoadtest: 1;
  /** When it began, ISO 8601. */
  readonly at: string;
  /** The options as understood. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly machine: { readonly cores: number; readonly node: string; readonly platform: string };
  readonly rampSeconds: number;
  /** Of the pings, after the ramp. */
  readonly measuredSeconds: number;
  readonly pings: {
    readonly sent: number;
    readonly acknowledged: number;
    readonly resent: number;
    readonly refused: Readonly<Record<string, number>>;
    /** Due while there was no socket, and too old when there was one. */
    readonly givenUp: number;
    /** Due, and still without a socket at the end. */
    readonly unsent: number;
    /** From when a ping was due to when it was written: what the generator adds to every latency. */
    readonly lateMs: Percentiles | null;
  };
  readonly lanes: Readonly<Partial<Record<Lane, LaneReport>>>;
  readonly sockets: {
    readonly wanted: Readonly<Record<Role, number>>;
    readonly connects: number;
    readonly connectMs: Percentiles | null;
    readonly reconnects: number;
    readonly failed: number;
    readonly closes: Readonly<Record<string, number>>;
    /** Watches the gateway refused. */
    readonly deniedWatches: number;
    /** Sockets that should have been open at the end, and were not: what they missed is not judged. */
    readonly missing: number;
  };
  /** Orders given, and watchers of them (customers) that were told of their end. */
  readonly orders: { readonly given: number; readonly ended: number; readonly watchersTold: number };
  /** Of the gateways and Redis, after the ramp. Empty if they are not on this machine. */
  readonly processes: Readonly<
    Record<string, { readonly cpuSeconds: number | null; readonly rssMaxBytes: number | null }>
  >;
  /** CPU-seconds of all gateways per million positions shown after the ramp. */
  readonly cpuSecondsPerMillionShown: number | null;
  readonly generator: {
    /** The numbers above say more about the generator than about the gateway. */
    readonly saturated: boolean;
    /** Whether all cores of the machine were busy: generator and gateway took them from each other. */
    readonly machineFull: boolean;
    readonly crews: readonly CrewReport[];
  };
  /** What should not have happened, in words. */
  readonly shortfalls: readonly string[];
  /** Columns by name, one value a second; `second` is when the second was over. null: nothing to measure. */
  readonly series: Readonly<Record<string, readonly (number | null)[]>>;
}

/** What should not have happened, in words; none: all went well. */
export function shortfallsOf(report: Omit<LoadReport, 'shortfalls'>): string[] {
  const { lanes, pings, sockets, orders } = report;
  const sum = (of: (lane: LaneReport) => number) =>
    Object.values(lanes).reduce((total, lane) => total + of(lane), 0);
  const counts: [count: number, what: string][] = [
    [sum(({ lost }) => lost), 'positions lost'],
    [sum(({ regressions }) => regressions), 'positions gone back'],
    [sum(({ duplicates }) => duplicates), 'positions shown twice'],
    [sum(({ blind }) => blind), 'riders never seen by a watcher'],
    [pings.sent - pings.acknowledged, 'pings not acknowledged'],
    [pings.unsent, 'pings not sent for want of a socket'],
    [sockets.missing, 'sockets not open at the end'],
    [sockets.deniedWatches, 'watches refused'],
    [orders.given - orders.ended, 'orders that could not be ended'],
  ];
  return counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
}
