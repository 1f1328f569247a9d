/**
 * Sessions for whom a firewall leaves only HTTP: the same session, its JSON messages as server-sent events. What the
 * client has to say stands in the request; pings go to the HTTP API, and who wants other watches, or has a new token,
 * opens another stream. Last-Event-ID holds the cursors of all orders watched, so a stream resumes like a socket.
 */
import type { HttpRequest, HttpResponse, TemplatedApp } from 'uWebSockets.js';
import { jsonCodec } from '../protocol/codec.ts';
import type { Cursor, GatewayMessages } from '../protocol/messages.ts';
import { addressOf, type DoorParts, refusal } from './door.ts';
import { type Answer, bearer, problem, writeAnswer } from './http.ts';
import { crossOrigin, isAllowed } from './origin.ts';
import type { Socket } from './outbox.ts';

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

  constructor(res: HttpResponse, cursors: Cursors, most: number, over: () => void) {
    this.res = res;
    this.cursors = cursors;
    this.most = most;
    this.over = over;
  }

  send(bytes: Uint8Array): 'sent' | 'buffered' | 'dropped' {
    const { res } = this;
    if (res === undefined) return 'sent'; // nobody is there to miss it
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
    const { res } = this;
    if (res === undefined) return;
    res.cork(() => res.end(`event: close\ndata: ${JSON.stringify({ code, reason })}\n\n`));
    this.closed();
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

/** Adds `GET` of that path to the app. */
export function addEventStream(app: TemplatedApp, path: string, parts: DoorParts): void {
  app.get(path, (res, req) => {
    let aborted = () => {};
    res.onAborted(() => aborted());
    const asked = copy(res, req, parts.config.trustProxy);
    const refused = refuse(asked, parts);
    if (refused !== undefined) return writeAnswer(res, refused);
    const stream = new EventStream(res, { ...asked.cursors }, parts.config.sendBufferBytes, () => {
      parts.ips.leave(asked.ip);
      parts.sessions.delete(session);
      session.closed();
    });
    aborted = () => stream.closed();
    begin(res, asked.origin);
    const session = parts.opened(stream, asked.token);
    parts.sessions.add(session);
    res.onWritable(() => {
      stream.drained();
      session.drained();
      return true;
    });
    session.message(jsonCodec.encode(asked.hello), false);
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

interface Asked {
  readonly hello: Record<string, unknown> | undefined;
  readonly cursors: Cursors;
  readonly token: string | undefined;
  readonly origin: string;
  readonly ip: string;
}

function copy(res: HttpResponse, req: HttpRequest, trustProxy: boolean): Asked {
  const cursors = parse(Buffer.from(req.getHeader('last-event-id'), 'base64url').toString()) as Cursors;
  return {
    cursors: cursors ?? {},
    hello: helloOf(new URLSearchParams(req.getQuery() ?? ''), cursors ?? {}),
    token: bearer(req.getHeader('authorization')),
    origin: req.getHeader('origin'),
    ip: addressOf(res, req, trustProxy),
  };
}

/** `?hello={…}`, as a socket would send it, or `?watch=order:42&watch=zone:7`, numbered from 1. */
function helloOf(query: URLSearchParams, cursors: Cursors): Record<string, unknown> | undefined {
  const given = query.has('hello') ? parse(query.get('hello')!) : {};
  if (given === undefined) return undefined;
  const named = query.getAll('watch').map((channel, i) => ({ w: i + 1, channel }));
  const watch = Array.isArray(given.watch) ? given.watch : named;
  const since = (one: { w?: unknown }) => (typeof one?.w === 'number' ? cursors[one.w] : undefined);
  return {
    ...given,
    t: 'hello',
    credit: false,
    watch: watch.map((one) => (since(one) === undefined ? one : { ...one, since: since(one) })),
  };
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function refuse({ hello, token, origin, ip }: Asked, parts: DoorParts): Answer | undefined {
  if (hello === undefined)
    return problem(400, 'bad_field', 'hello: expected a JSON object', { field: 'hello' });
  if (token === undefined) return problem(401, 'token', 'expected Authorization: Bearer and a token');
  const refused = refusal(origin, ip, parts);
  if (refused !== undefined) parts.refused(refused.reason);
  return refused?.answer;
}
