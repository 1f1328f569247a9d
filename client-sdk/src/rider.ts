import { emitter, report } from './emitter.ts';
import { metres } from './geo.ts';
import { BUFFER_BYTES, EARLY, GATHER_MS, SAVE_MS, STILL_MS } from './limits.ts';
import { clean, thin, type Waiting } from './queue.ts';
import { timer } from './timer.ts';
import type { Client, Pace, Ping, Rider, RiderEvents, RiderOptions } from './types.ts';
import type { Core, Message, Part, WirePing } from './wire.ts';

const UNPACED: Pace = { intervalMs: 1000, minMoveM: 0, accuracy: 'high' };

/**
 * Sends a rider's pings. At least once to the gateway, which shows each at most once: what is not acknowledged is sent
 * again with the same number. Offline pings wait, bounded by count and age; what is dropped is a `drop` event. Connect
 * with `background: true`.
 */
export const rider = ((core: Core, o: RiderOptions = {}): Rider => {
  const { handle, emit, mute } = emitter<RiderEvents & { idle: unknown }>(() => close());
  const { max = 500, maxAgeMs = 600_000, whenFull = 'thin' } = o.queue ?? {};

  /** Not acknowledged, oldest first; the numbered ones are at its head. */
  let queue: Waiting[] = [];
  /**
   * The rider session, and from then on the highest number given in it. It is the welcome's own: another rider on this
   * link, after this one, must not give a number again.
   */
  let numbering: NonNullable<Message<'welcome'>['rider']> | undefined;
  let pace = UNPACED;
  /** The newest that was kept, and when that was. */
  let last: Waiting['fix'] = { lat: 0, lng: 0, at: 0 };
  let lastAt = 0;
  let sentAt = 0;
  const gathering = timer();
  /** What an earlier run of the app left comes first. */
  let loaded = !o.store;
  /** The store does not have what is in the queue. */
  let saving: ReturnType<typeof setTimeout> | undefined;
  let open = true;

  const paceNow = () => (core.now() > pace.until! ? UNPACED : pace);

  const tooSoon = (fix: Waiting['fix'], now: number): boolean => {
    const { intervalMs, minMoveM } = paceNow();
    // Fixes that were gathered come all at once, and one that is told again was taken long ago.
    const elapsed = Math.max(now - lastAt, fix.at - last.at);
    // A clock that was set back must not silence the rider.
    if (elapsed < 0) return false;
    if (elapsed < EARLY * intervalMs) return true;
    return elapsed < Math.max(intervalMs, STILL_MS) && metres(last, fix) < minMoveM;
  };

  const push = (ping: Ping): 'sent' | 'queued' | 'skipped' => {
    const now = Date.now();
    const fix = clean(ping, now);
    if (!fix) emit('drop', { count: 1, reason: 'rejected' });
    if (!fix || !open || tooSoon(fix, now)) return 'skipped';
    last = fix;
    lastAt = now;
    const waiting: Waiting = { fix };
    queue.push(waiting);
    bound();
    // What comes in one go is one frame, for the gateway counts frames.
    if (now - sentAt < GATHER_MS) gathering(send, GATHER_MS);
    else send();
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
    for (;;) {
      const batch = queue.filter((waiting) => !waiting.sent).slice(0, limits.pingsPerFrame);
      if (!batch.length || core.backlog() > BUFFER_BYTES) return;
      const pings = batch.map((waiting): WirePing => {
        waiting.sent = true;
        waiting.seq ??= ++numbering!.seq;
        return { ...waiting.fix, at: waiting.fix.at + core.skew, seq: waiting.seq };
      });
      core.say({ t: 'ping', pings });
      sentAt = Date.now();
    }
  };

  /** Goes on by what a welcome says. */
  const begin = ({ rider: next }: Message<'welcome'>): void => {
    if (!next) return;
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
  };

  /** Refused pings are over wherever they stand: the gateway may take later ones before earlier ones. */
  const acknowledge = (upTo: number, refused?: ReadonlySet<number>): void => {
    const before = queue.length;
    queue = queue.filter(({ seq }) => !(seq! <= upTo || refused?.has(seq!)));
    if (queue.length === before) return;
    changed();
    emit('ack', { upTo, queued: queue.length });
    if (!queue.length) emit('idle', undefined);
  };

  const changed = (): void => {
    // Before the store was read, it has more than we know of.
    if (o.store && loaded) saving ??= setTimeout(save, SAVE_MS);
  };

  const save = async (): Promise<void> => {
    if (!saving) return;
    clearTimeout(saving);
    saving = undefined;
    try {
      await o.store!.save(queue.map(({ fix }) => fix));
    } catch (error) {
      report(error);
    }
  };

  const load = async (): Promise<void> => {
    try {
      const kept = ((await o.store!.load()) as Ping[]).map((ping) => ({ fix: clean(ping) }));
      queue = [...kept.filter((waiting): waiting is Waiting => !!waiting.fix), ...queue];
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
    gathering();
    core.parts.delete(part);
    void save();
    emit('idle', undefined);
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
        off();
        resolve(!queue.length);
      };
      const off = handle.on('idle', done);
      if (queue.length && open) limit(done, timeoutMs);
      else done();
    });
  };

  core.parts.add(part);
  if (core.greeting) begin(core.greeting);
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
    ...handle,
  };
}) as (client: Client, o?: RiderOptions) => Rider;
