/**
 * HTTP requests and answers over uWebSockets.js. Its lifetimes, and our rule for each:
 *
 * | native value | valid | rule |
 * |---|---|---|
 * | `req` | until the handler returns | everything is copied before the first await |
 * | `res` | until answered or aborted | `onAborted` is the first line; `over` is checked before every use |
 * | a body chunk | until the callback returns | copied |
 * | an answer after an await | – | inside `res.cork` |
 */
import type { HttpRequest, HttpResponse, TemplatedApp } from 'uWebSockets.js';
import { crossOrigin, isAllowed } from './origin.ts';

export interface Call {
  readonly params: readonly string[];
  readonly query: string;
  /** The bearer token, if there is one. */
  readonly token: string | undefined;
  readonly idempotencyKey: string | undefined;
  readonly body: string;
}

export interface Answer {
  readonly status: number;
  /** An object is sent as JSON. */
  readonly body?: unknown;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Route {
  readonly method: 'get' | 'post' | 'put';
  /** With `:name` for parts that vary. */
  readonly path: string;
  handle(call: Call): Answer | Promise<Answer>;
}

export interface RouteOptions {
  readonly maxBody: number;
  /** Origins whose pages may read the answers; none: all. */
  readonly allowedOrigins: readonly string[];
  /** Told every answer's status. */
  readonly answered: (status: number) => void;
  /** What a thrown error becomes; it must not throw. */
  readonly failed: (error: unknown) => Answer;
}

const REASONS: Record<number, string> = {
  200: 'OK',
  201: 'Created',
  304: 'Not Modified',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict',
  413: 'Content Too Large',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

/** An error answer in the API's one shape. */
export function problem(
  status: number,
  code: string,
  message: string,
  more: Record<string, unknown> = {},
): Answer {
  return { status, body: { error: { code, message, ...more } } };
}

/** Adds a route to the app. */
export function addRoute(app: TemplatedApp, route: Route, options: RouteOptions): void {
  const names = (route.path.match(/:\w+/g) ?? []).length;
  app[route.method](route.path, (res, req) => {
    let over = false;
    res.onAborted(() => {
      over = true;
    });
    const call = copy(req, names);
    const origin = req.getHeader('origin');
    const readable = isAllowed(origin, options.allowedOrigins) ? crossOrigin(origin) : {};
    const answer = (given: Answer) => {
      if (over) return;
      over = true;
      options.answered(given.status);
      writeAnswer(res, { ...given, headers: { ...given.headers, ...readable } });
    };
    const run = async (body: string) => {
      let given: Answer;
      try {
        given = await route.handle({ ...call, body });
      } catch (error) {
        given = options.failed(error);
      }
      answer(given);
    };
    if (route.method === 'get') return void run('');
    readBody(res, options.maxBody, (body) => {
      if (body === undefined) answer(problem(413, 'too_large', `at most ${options.maxBody} bytes`));
      else void run(body);
    });
  });
}

function copy(req: HttpRequest, names: number): Omit<Call, 'body'> {
  const authorization = req.getHeader('authorization');
  const params: string[] = [];
  for (let i = 0; i < names; i++) params.push(req.getParameter(i) ?? '');
  return {
    params,
    query: req.getQuery() ?? '',
    token: bearer(authorization),
    idempotencyKey: req.getHeader('idempotency-key') || undefined,
  };
}

/** `Bearer x` -> x */
export function bearer(header: string): string | undefined {
  return /^bearer /i.test(header) ? header.slice(7).trim() : undefined;
}

/** The body as text; undefined: it is longer than `most` bytes. Not called at all if the client goes away. */
export function readBody(res: HttpResponse, most: number, done: (body: string | undefined) => void): void {
  let chunks: Buffer[] = [];
  let length = 0;
  res.onData((chunk, last) => {
    if (length > most) return;
    length += chunk.byteLength;
    if (length > most) {
      chunks = [];
      return done(undefined);
    }
    chunks.push(Buffer.from(chunk.slice(0)));
    if (last) done(Buffer.concat(chunks).toString('utf8'));
  });
}

/**
 * Answers, once, while `res` is neither answered nor aborted.
 * @param head without the body, but with its length
 */
export function writeAnswer(res: HttpResponse, { status, body, type, headers }: Answer, head = false): void {
  const plain = body === undefined || typeof body === 'string' || body instanceof Uint8Array;
  const bytes = plain ? (body ?? '') : JSON.stringify(body);
  res.cork(() => {
    res.writeStatus(`${status} ${REASONS[status] ?? 'Status'}`);
    for (const [name, value] of Object.entries(headers ?? {})) res.writeHeader(name, value);
    res.writeHeader('Content-Type', type ?? (plain ? 'text/plain; charset=utf-8' : 'application/json'));
    if (!head) return void res.end(bytes);
    // Given a length, this build of endWithoutBody waits for the body and the process ends.
    res.writeHeader('Content-Length', String(Buffer.byteLength(bytes)));
    res.endWithoutBody();
  });
}
