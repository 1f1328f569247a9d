/** Holds what apps saw against what really happened. */
import type { Ledger } from './ledger.ts';
import type { Sight } from './sights.ts';

export interface Trial {
  readonly ledger: Ledger;
  readonly sights: readonly Sight[];
  /** ms since epoch: when the fault began, and when it was over. */
  readonly injectedAt: number;
  readonly healedAt: number;
  /** When the run ended: all must be in order by then. */
  readonly endedAt: number;
  /** Resets each app had to be told of, per order. More are false ones. */
  readonly resets: number;
  /** Apps the run let go of on purpose: how they end does not count. */
  readonly gone: ReadonlySet<number>;
}

export interface Figures {
  /** Events an app never applied and no announced snapshot covered. */
  readonly lost: number;
  /** Events applied twice. */
  readonly dup: number;
  /** Events applied out of order. */
  readonly ooo: number;
  /** Events applied, or left standing, that did not happen after all. */
  readonly phantom: number;
  /** Seconds the worst-off app was wrong without being told. */
  readonly silent_s: number;
  /** The longest an app was wrong before it was right, or told. */
  readonly t_detect_ms: number;
  /** From the end of the fault until an app was live and right for good. null: never. */
  readonly t_converge_p50_ms: number | null;
  readonly t_converge_p99_ms: number | null;
  readonly t_converge_max_ms: number | null;
  readonly resets: number;
  readonly false_resync: number;
  /** Positions shown that were older than one shown before. */
  readonly regressions: number;
  /** Apps that were not shown the newest position in the end. */
  readonly outdated: number;
  readonly events: number;
  readonly apps: number;
}

/** Shorter than this, an app that is behind is only waiting for what is on its way. ms */
const ON_ITS_WAY = 500;

/** One app and one of its orders. */
interface Trail {
  readonly order: string;
  readonly sights: Sight[];
}

interface Counts {
  lost: number;
  dup: number;
  ooo: number;
  phantom: number;
  resets: number;
  regressions: number;
  outdated: number;
  events: number;
}

/** A stretch of time, ms since epoch. */
interface Stretch {
  readonly from: number;
  readonly to: number;
}

export function judge(trial: Trial): Figures {
  const counts: Counts = { lost: 0, dup: 0, ooo: 0, phantom: 0, resets: 0, regressions: 0, outdated: 0, events: 0 }; // biome-ignore format: short
  let silent = 0;
  let detect = 0;
  let falseResets = 0;
  const converged: number[] = [];
  const byApp = trailsByApp(trial.sights);
  for (const [app, trails] of byApp) {
    let right = 0;
    for (const trail of trails) {
      const resets = follow(trail, trial, counts, !trial.gone.has(app));
      falseResets += Math.max(0, resets - trial.resets);
      const { wrong, unsaid, away } = stretches(trail, trial);
      const noticed = unsaid.map(lengthOf);
      silent = Math.max(
        silent,
        noticed.filter((ms) => ms > ON_ITS_WAY).reduce((a, b) => a + b, 0),
      );
      detect = Math.max(detect, ...noticed);
      const bad = [...wrong.filter((s) => lengthOf(s) > ON_ITS_WAY), ...away];
      for (const { from, to } of bad)
        if (to >= trial.injectedAt && from <= trial.endedAt)
          right = Math.max(right, to >= trial.endedAt ? Number.POSITIVE_INFINITY : to - trial.healedAt);
    }
    if (!trial.gone.has(app)) converged.push(right);
  }
  converged.sort((a, b) => a - b);
  const at = (p: number) => finite(converged[Math.max(0, Math.ceil(p * converged.length) - 1)]);
  return {
    lost: counts.lost,
    dup: counts.dup,
    ooo: counts.ooo,
    phantom: counts.phantom,
    silent_s: Math.round(silent / 10) / 100,
    t_detect_ms: Math.round(detect),
    t_converge_p50_ms: at(0.5),
    t_converge_p99_ms: at(0.99),
    t_converge_max_ms: at(1),
    resets: counts.resets,
    false_resync: falseResets,
    regressions: counts.regressions,
    outdated: counts.outdated,
    events: counts.events,
    apps: byApp.size,
  };
}

const lengthOf = ({ from, to }: Stretch) => to - from;

function finite(ms: number | undefined): number | null {
  return ms === undefined || ms === Number.POSITIVE_INFINITY ? null : Math.round(ms);
}

/** Sights of an app's link count for each of its orders. */
function trailsByApp(sights: readonly Sight[]): Map<number, Trail[]> {
  const links = new Map<number, Sight[]>();
  const trails = new Map<number, Map<string, Trail>>();
  for (const sight of sights) {
    const [app, , , order] = sight;
    let own = trails.get(app);
    if (own === undefined) {
      own = new Map();
      trails.set(app, own);
      links.set(app, []);
    }
    if (order === '') {
      links.get(app)!.push(sight);
      for (const trail of own.values()) trail.sights.push(sight);
      continue;
    }
    let trail = own.get(order);
    if (trail === undefined) {
      trail = { order, sights: [...links.get(app)!] };
      own.set(order, trail);
    }
    trail.sights.push(sight);
  }
  return new Map([...trails].map(([app, own]) => [app, [...own.values()]]));
}

/** Walks what the app was given, event by event. Gives how many resets it was told of. */
function follow({ order, sights }: Trail, { ledger }: Trial, counts: Counts, toTheEnd: boolean): number {
  let known: number | undefined;
  let fix = -1;
  let resets = 0;
  const applied = new Set<number>();
  const step = (n: number) => {
    const steps = ledger.steps(order, known!, n);
    if (steps !== undefined && steps > 0) counts.lost += steps - 1;
    else if (steps === 0 || applied.has(n)) counts.dup++;
    else if (ledger.steps(order, n, known!) !== undefined) counts.ooo++;
    else counts.phantom++;
  };
  for (const [, , what, , n] of sights) {
    if (what === 'position') {
      if (n < fix) counts.regressions++;
      fix = Math.max(fix, n);
    } else if (what === 'event' || what === 'jump') {
      if (what === 'event') counts.events++;
      if (known !== undefined) step(n);
      if (what === 'jump') counts.lost++; // nothing said why
      known = n;
      applied.add(n);
    } else if (what === 'snapshot' || what === 'reset') {
      if (what === 'reset') resets++;
      known = n;
    }
  }
  counts.resets += resets;
  if (!toTheEnd) return resets;
  if (fix < (ledger.newestFix(order) ?? -1) && !sights.some(([, , what]) => what === 'ended'))
    counts.outdated++;
  const newest = ledger.newest(order);
  const missing = known === undefined ? 0 : ledger.steps(order, known, newest);
  if (missing === undefined) counts.phantom++;
  else counts.lost += missing;
  return resets;
}

/** When the app was wrong, when it was wrong and nothing told it, and when it was not live. */
function stretches(
  { order, sights }: Trail,
  { ledger, endedAt }: Trial,
): { wrong: Stretch[]; unsaid: Stretch[]; away: Stretch[] } {
  const turns = ledger.turns(order);
  const moments = [...new Set([...sights.map(([, at]) => at), ...turns.map(({ at }) => at), endedAt])]
    .filter((at) => at > 0 && at <= endedAt)
    .sort((a, b) => a - b);
  const wrong = new Recorder();
  const unsaid = new Recorder();
  const away = new Recorder();
  let [s, t] = [0, 0];
  let truth = 0;
  let known: number | undefined;
  let [link, fresh, degraded, paused, over] = [false, false, false, false, false];
  for (const at of moments) {
    while (t < turns.length && turns[t]!.at <= at) truth = turns[t++]!.n;
    while (s < sights.length && sights[s]![1] <= at) {
      const [, , what, , n] = sights[s++]!;
      if (what === 'link') link = n === 1;
      else if (what === 'degraded') degraded = n === 1;
      else if (what === 'paused') paused = n === 1;
      else if (what === 'fresh') fresh = n === 1;
      else if (what === 'ended' || what === 'refused') over = true;
      else if (what !== 'position') known = n;
    }
    // An event may reach the app before its backend is answered.
    const ahead = known !== undefined && !ledger.isUndone(order, known, at) && (ledger.steps(order, truth, known) ?? 0) > 0; // biome-ignore format: one condition
    const isWrong = known !== undefined && known !== truth && !ahead && !over;
    wrong.note(isWrong, at);
    unsaid.note(isWrong && link && fresh && !degraded && !paused, at);
    away.note(known !== undefined && !link && !over, at);
  }
  return { wrong: wrong.end(endedAt), unsaid: unsaid.end(endedAt), away: away.end(endedAt) };
}

/** Turns a condition over time into stretches. */
class Recorder {
  private readonly list: Stretch[] = [];
  private since: number | undefined;

  note(holds: boolean, at: number): void {
    if (holds) this.since ??= at;
    else {
      if (this.since !== undefined) this.list.push({ from: this.since, to: at });
      this.since = undefined;
    }
  }

  end(at: number): Stretch[] {
    this.note(false, at);
    return this.list;
  }
}
