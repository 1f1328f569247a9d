/**
 * Sessions for whom a firewall leaves only HTTP: the same session, its JSON messages as server-sent events. What the
 * client has to say stands in the request; pings go to the HTTP API, and who wants other watches, or has a new token,
 * opens another stream, on whatever node. A stream resumes like a socket: by the cursors of the hello, or by
 * Last-Event-ID, which holds those of all orders watched. `for` cuts it in pieces, for proxies that hand on only what
 * is complete.
 */
import type { HttpRequest, HttpResponse, TemplatedApp } from 'uWebSockets.js';
import { jsonCodec } from '../protocol/codec.ts';
import type { Cursor, GatewayMessages } from '../protocol/messages.ts';
import { addressOf, type DoorParts, refusal } from './door.ts';
import { type Answer, bearer, problem, readBody, writeAnswer } from './http.ts';
import { crossOrigin, isAllowed } from './origin.ts';
import type { Socket } from './outbox.ts';

/** The shortest and longest piece, ms. */
const MIN_PIECE_MS = 100;
const MAX_PIECE_MS = 60_000;

/** When a stream says something again, ms: what proxies hold back does not come by then, though the beginning did. */
const PROOF_MS = 250;

/** Where each order stands that is watched, by the client's number. */
type Cursors = Record<number, Cursor>;

/** The response as a socket. */
class EventStream implements Socket {
  readonly codec = jsonCodec;
  private readonly most: number;
  private readonly cursors: Cursors;
  /** Order channels: their numbers on the wire, and the watch and epoch they belong to. */
  private readonly orders = new Map<number, { w: number; epoch: string }>();
  private res: HttpResponse | undefined;
  /** Called once, when the response has ended or the client is gone. */
  private readonly over: () => void;
  /** Bytes handed over since the client stopped reading. */
  private waiting = 0;
  private full = false;
  /** Called with the first message. */
  begun: (() => void) | undefined;

  constructor(res: HttpResponse, cursors: Cursors, most: number, over: () => void) {
    this.res = res;
    this.cursors = cursors;
    this.most = most;
    this.over = over;
  }

  send(bytes: Uint8Array): 'sent' | 'buffered' | 'dropped' {
    const { res } = this;
    if (res === undefined) return 'sent'; // nobody is there to miss it
    this.begun?.();
    this.begun = undefined;
    if (this.full && this.waiting + bytes.length > this.most) return 'dropped';
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
    const id = this.advance(text);
    const event = id === undefined ? `data: ${text}\n\n` : `id: ${id}\ndata: ${text}\n\n`;
    let taken = true;
    res.cork(() => {
      taken = res.write(event);
    });
    if (!taken) this.full = true;
    if (this.full) this.waiting += bytes.length;
    return this.full ? 'buffered' : 'sent';
  }

  /** The reason is told: a response has no close code. */
  close(code: number, reason: string): void {
    this.end(`event: close\ndata: ${JSON.stringify({ code, reason })}\n\n`);
  }

  /** This piece is over, and nothing is wrong. */
  complete(): void {
    this.end('');
  }

  buffered(): number {
    return this.waiting;
  }

  /** The client reads again. */
  drained(): void {
    this.full = false;
    this.waiting = 0;
  }

  closed(): void {
    if (this.res === undefined) return;
    this.res = undefined;
    this.over();
  }

  private end(last: string): void {
    const { res } = this;
    if (res === undefined) return;
    res.cork(() => res.end(last));
    this.closed();
  }

  /** The id of the event, if it moves a cursor. */
  private advance(text: string): string | undefined {
    if (text.startsWith('{"t":"watching"')) {
      const { w, c, cursor } = JSON.parse(text) as GatewayMessages['watching'];
      if (cursor === undefined) return undefined;
      this.orders.set(c, { w, epoch: cursor.epoch });
      this.cursors[w] = cursor;
    } else if (text.startsWith('{"t":"event"')) {
      const { c, offset, id } = JSON.parse(text) as GatewayMessages['event'];
      const order = this.orders.get(c);
      if (order === undefined) return undefined;
      this.cursors[order.w] = { epoch: order.epoch, offset, id };
    } else return undefined;
    return Buffer.from(JSON.stringify(this.cursors)).toString('base64url');
  }
}

/**
 * Adds `GET` of that path to the app, which says in the query what it wants, and `POST`, whose body is the hello: of any
 * length, and in nobody's log.
 */
export function addEventStream(app: TemplatedApp, path: string, parts: DoorParts): void {
  app.get(path, (res, req) => {
    const request = new Opening(res, req, parts);
    request.begin(helloInQuery(request.query));
  });
  app.post(path, (res, req) => {
    const request = new Opening(res, req, parts);
    readBody(res, parts.config.frameBytes, (body) =>
      request.begin(body === undefined ? undefined : parse(body)),
    );
  });
  app.options('/v1/*', (res, req) => {
    const origin = req.getHeader('origin');
    if (!isAllowed(origin, parts.config.allowedOrigins)) return void res.writeStatus('403 Forbidden').end();
    res.cork(() => {
      res.writeStatus('204 No Content');
      for (const [name, value] of Object.entries(crossOrigin(origin))) res.writeHeader(name, value);
      res.writeHeader('Access-Control-Allow-Methods', 'GET, POST, PUT');
      res.writeHeader(
        'Access-Control-Allow-Headers',
        'Authorization, Content-Type, Idempotency-Key, Last-Event-ID',
      );
      res.writeHeader('Access-Control-Max-Age', '86400');
      res.endWithoutBody();
    });
  });
}

function begin(res: HttpResponse, origin: string): void {
  res.cork(() => {
    res.writeStatus('200 OK');
    res.writeHeader('Content-Type', 'text/event-stream');
    res.writeHeader('Cache-Control', 'no-store');
    res.writeHeader('X-Accel-Buffering', 'no'); // nginx would keep events for itself
    for (const [name, value] of Object.entries(crossOrigin(origin))) res.writeHeader(name, value);
    res.write(': ridecast.v1.json\n\n');
  });
}

/** What a request says of itself, copied while it can be read, and the stream it becomes. */
class Opening {
  readonly query: URLSearchParams;
  private readonly res: HttpResponse;
  private readonly parts: DoorParts;
  private readonly lastEventId: string;
  private readonly token: string | undefined;
  private readonly origin: string;
  private readonly ip: string;
  private aborted = false;
  private stream: EventStream | undefined;

  constructor(res: HttpResponse, req: HttpRequest, parts: DoorParts) {
    res.onAborted(() => {
      this.aborted = true;
      this.stream?.closed();
    });
    this.res = res;
    this.parts = parts;
    this.query = new URLSearchParams(req.getQuery() ?? '');
    this.lastEventId = req.getHeader('last-event-id');
    this.token = bearer(req.getHeader('authorization'));
    this.origin = req.getHeader('origin');
    this.ip = addressOf(res, req, parts.config.trustProxy);
  }

  /** Starts the session with this hello; undefined: it makes no sense. */
  begin(hello: Record<string, unknown> | undefined): void {
    if (this.aborted) return;
    const { res, parts, ip, origin } = this;
    const refused = this.refuse(hello);
    if (refused !== undefined)
      return writeAnswer(res, { ...refused, headers: { ...refused.headers, ...crossOrigin(origin) } });
    const cursors = parse(Buffer.from(this.lastEventId, 'base64url').toString()) as Cursors | undefined;
    const timers: NodeJS.Timeout[] = [];
    const stream = new EventStream(res, { ...cursors }, parts.config.sendBufferBytes, () => {
      for (const timer of timers) clearTimeout(timer);
      parts.ips.leave(ip);
      parts.sessions.delete(session);
      session.closed();
    });
    this.stream = stream;
    begin(res, origin);
    const session = parts.opened(stream, this.token);
    parts.sessions.add(session);
    res.onWritable(() => {
      stream.drained();
      session.drained();
      return true;
    });
    const beat = () => session.message(jsonCodec.encode({ t: 'beat' }), false);
    stream.begun = () => timers.push(setTimeout(beat, PROOF_MS));
    if (this.query.has('for'))
      timers.push(setTimeout(() => stream.complete(), Number(this.query.get('for'))));
    session.message(jsonCodec.encode(resumed(hello!, cursors ?? {})), false);
  }

  private refuse(hello: Record<string, unknown> | undefined): Answer | undefined {
    const { parts, origin, ip, query } = this;
    if (hello === undefined)
      return problem(
        400,
        'bad_field',
        `hello: expected a JSON object of at most ${parts.config.frameBytes} bytes`,
        { field: 'hello' },
      );
    const piece = query.get('for');
    if (piece !== null && !(Number(piece) >= MIN_PIECE_MS && Number(piece) <= MAX_PIECE_MS)) {
      const expected = `ms, ${MIN_PIECE_MS}..${MAX_PIECE_MS}`;
      return problem(400, 'bad_field', `for: expected ${expected}`, { field: 'for', expected });
    }
    if (hello.token === undefined && this.token === undefined)
      return problem(401, 'token', 'expected Authorization: Bearer and a token');
    const refused = refusal(origin, ip, parts);
    if (refused !== undefined) parts.refused(refused.reason);
    return refused?.answer;
  }
}

/** `?hello={…}`, as a socket would send it, or `?watch=order:42&watch=zone:7`, numbered from 1. */
function helloInQuery(query: URLSearchParams): Record<string, unknown> | undefined {
  const given = query.has('hello') ? parse(query.get('hello')!) : {};
  // Addresses end up in logs: no token is taken from one.
  if (given === undefined || 'token' in given) return undefined;
  const named = query.getAll('watch').map((channel, i) => ({ w: i + 1, channel }));
  return Array.isArray(given.watch) ? given : { ...given, watch: named };
}

/** The hello of a stream, with the cursors known from an earlier one. */
function resumed(hello: Record<string, unknown>, cursors: Cursors): Record<string, unknown> {
  const watch: unknown[] = Array.isArray(hello.watch) ? hello.watch : [];
  const resume = (one: unknown) => {
    const since = cursors[(one as { w: number } | null)?.w ?? 0];
    return since === undefined ? one : { ...(one as object), since };
  };
  return { ...hello, t: 'hello', credit: false, watch: watch.map(resume) };
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
