import { emitter, report } from './emitter.ts';
import { BUFFER_BYTES, EARLY, PING_BYTES, SAVE_MS, STILL_MS } from './limits.ts';
import { clean, metres, onEarth, thin, type Waiting } from './queue.ts';
import { timer } from './timer.ts';
import type { Client, Pace, Ping, Rider, RiderEvents, RiderOptions } from './types.ts';
import type { Core, Message, Part, WirePing } from './wire.ts';

const UNPACED: Pace = { intervalMs: 1000, minMoveM: 0, accuracy: 'high' };

/**
 * Sends a rider's pings. At least once to the gateway, which shows each at most once: what is not acknowledged is sent
 * again with the same number. Offline pings wait, bounded by count and age; what is dropped is a `drop` event. Connect
 * with `background: true`.
 */
export function rider(client: Client, o: RiderOptions = {}): Rider {
  const core = client as Core;
  const { on, emit, mute } = emitter<RiderEvents>();
  const { max = 500, maxAgeMs = 600_000, whenFull = 'thin' } = o.queue ?? {};

  /** Not acknowledged, oldest first; the numbered ones are at its head. */
  let queue: Waiting[] = [];
  /**
   * The rider session, and from then on the highest number given in it. It is the welcome's own: another rider on this
   * link, after this one, must not give a number again.
   */
  let numbering: NonNullable<Message<'welcome'>['rider']> | undefined;
  let pace = UNPACED;
  let last: Ping | undefined;
  let lastAt = 0;
  /** What an earlier run of the app left comes first. */
  let loaded = !o.store;
  const saving = timer();
  /** The store does not have what is in the queue. */
  let unsaved = false;
  const flushing = new Set<() => void>();
  let open = true;

  const paceNow = () => (pace.until && core.now() > pace.until ? UNPACED : pace);

  const tooSoon = (ping: Ping, now: number): boolean => {
    const { intervalMs, minMoveM } = paceNow();
    const elapsed = now - lastAt;
    // A clock that was set back must not silence the rider.
    if (!last || elapsed < 0) return false;
    if (elapsed < EARLY * intervalMs) return true;
    return elapsed < Math.max(intervalMs, STILL_MS) && metres(last, ping) < minMoveM;
  };

  const push = (ping: Ping): 'sent' | 'queued' | 'skipped' => {
    const now = Date.now();
    if (!onEarth(ping)) emit('drop', { count: 1, reason: 'rejected' });
    if (!open || !onEarth(ping) || tooSoon(ping, now)) return 'skipped';
    last = ping;
    lastAt = now;
    const waiting: Waiting = { fix: clean(ping, now) };
    queue.push(waiting);
    bound();
    send();
    changed();
    return waiting.sent ? 'sent' : 'queued';
  };

  const keep = (next: Waiting[], reason: RiderEvents['drop']['reason']): void => {
    const count = queue.length - next.length;
    queue = next;
    if (count) emit('drop', { count, reason });
  };

  const bound = (): void => {
    const oldest = Date.now() - maxAgeMs;
    keep(
      queue.filter(({ fix }) => fix.at >= oldest),
      'age',
    );
    if (queue.length > max) keep(whenFull === 'thin' ? thin(queue) : queue.slice(-max), 'full');
  };

  /** Sends what this link has not seen, in batches, as long as they flow. */
  const send = (): void => {
    const limits = core.greeting?.limits;
    if (!limits || !numbering || !loaded || !open) return;
    const most = Math.max(1, Math.min(limits.pingsPerFrame, limits.frameBytes / PING_BYTES));
    for (;;) {
      const batch = queue.filter((waiting) => !waiting.sent).slice(0, most);
      if (!batch.length || core.backlog() > BUFFER_BYTES) return;
      const pings = batch.map((waiting): WirePing => {
        waiting.sent = true;
        waiting.seq ??= ++numbering!.seq;
        return { ...waiting.fix, at: waiting.fix.at + core.skew, seq: waiting.seq };
      });
      core.say({ t: 'ping', pings });
    }
  };

  /** Goes on by what a welcome says; false: it does not know a rider. */
  const begin = ({ rider: next }: Message<'welcome'>): boolean => {
    if (!next) return false;
    const stored = next.seq;
    const same = next.session === numbering?.session;
    if (same) next.seq = Math.max(stored, numbering!.seq);
    for (const waiting of queue) {
      waiting.sent = false;
      // Numbers mean nothing in another session.
      if (!same) waiting.seq = undefined;
    }
    numbering = next;
    acknowledge(stored);
    bound();
    send();
    return true;
  };

  /** Refused pings are over wherever they stand: the gateway may take later ones before earlier ones. */
  const acknowledge = (upTo: number, refused?: ReadonlySet<number>): void => {
    const before = queue.length;
    queue = queue.filter(({ seq }) => seq === undefined || (seq > upTo && !refused?.has(seq)));
    if (queue.length === before) return;
    changed();
    emit('ack', { upTo, queued: queue.length });
    if (!queue.length) for (const done of flushing) done();
  };

  const changed = (): void => {
    // Before the store was read, it has more than we know of.
    if (!o.store || !loaded || unsaved) return;
    unsaved = true;
    saving(save, SAVE_MS);
  };

  const save = async (): Promise<void> => {
    saving();
    if (!unsaved) return;
    unsaved = false;
    try {
      await o.store?.save(queue.map(({ fix }) => fix));
    } catch (error) {
      report(error);
    }
  };

  const load = async (): Promise<void> => {
    try {
      const kept = ((await o.store!.load()) as Ping[]).filter(onEarth);
      queue = [...kept.map((ping) => ({ fix: clean(ping, Date.now()) })), ...queue];
    } catch (error) {
      report(error);
    }
    loaded = true;
    bound();
    changed();
    if (open) send();
    else void save();
  };

  const close = (): void => {
    if (!open) return;
    open = false;
    core.parts.delete(part);
    void save();
    for (const done of flushing) done();
    mute();
  };

  const part: Part = {
    hello(m) {
      m.rider = { session: numbering?.session };
    },
    welcome: begin,
    pinged(m) {
      const refused = new Set(m.refused?.map(([seq]) => seq));
      acknowledge(m.seq, refused);
      if (refused.size) emit('drop', { count: refused.size, reason: 'rejected' });
      send();
    },
    pace({ t: _, ...next }) {
      pace = next;
      emit('pace', next);
    },
    bye: close,
  };

  const flush = (timeoutMs = 5000): Promise<boolean> => {
    send();
    return new Promise((resolve) => {
      const limit = timer();
      const done = () => {
        limit();
        flushing.delete(done);
        resolve(!queue.length);
      };
      flushing.add(done);
      if (queue.length && open) limit(done, timeoutMs);
      else done();
    });
  };

  core.parts.add(part);
  if (core.greeting && !begin(core.greeting)) {
    // Not known as a rider on this link: the next hello says so.
    core.pause();
    core.resume();
  }
  if (o.store) void load();

  return {
    push,
    get pace() {
      return paceNow();
    },
    get queued() {
      return queue.length;
    },
    flush,
    on,
    close,
    [Symbol.dispose]: close,
  };
}
