/**
 * WebSocket sessions over uWebSockets.js. Its lifetimes, and our rule for each:
 *
 * | native value | valid | rule |
 * |---|---|---|
 * | `ws` | until its `close` handler ran | only `NativeSocket` holds it, and lets go in `closed()` |
 * | `ws.close()`, `ws.end()` | call the `close` handler before they return | nothing follows them |
 * | the message's ArrayBuffer | until the handler returns or awaits | read at once; what is kept is copied |
 * | `req` of the upgrade | until the handler returns | headers are copied first; the upgrade is synchronous |
 */
import type { HttpRequest, HttpResponse, TemplatedApp, WebSocket } from 'uWebSockets.js';
import { type Codec, codecs, jsonCodec } from '../protocol/codec.ts';
import { addressOf, type DoorParts, type Refused, refusal } from './door.ts';
import { bearer, writeAnswer } from './http.ts';
import type { Socket } from './outbox.ts';
import type { Session } from './session.ts';

/** One field: each is a property of the native object, and there are as many of those as there are clients. */
interface UserData {
  readonly socket: NativeSocket;
}

/** uWebSockets.js' send results. */
const BUFFERED = 0;
const DROPPED = 2;

class NativeSocket implements Socket {
  readonly codec: Codec;
  readonly ip: string;
  session: Session | undefined;
  private ws: WebSocket<UserData> | undefined;
  /** A token the upgrade carried. */
  private header: string | undefined;

  constructor(codec: Codec, ip: string, header: string | undefined) {
    this.codec = codec;
    this.ip = ip;
    this.session = undefined;
    this.ws = undefined;
    this.header = header;
  }

  /** The socket is open. Gives the token the upgrade carried, and keeps it no longer. */
  opened(ws: WebSocket<UserData>): string | undefined {
    const { header } = this;
    this.ws = ws;
    this.header = undefined;
    return header;
  }

  send(bytes: Uint8Array, binary: boolean): 'sent' | 'buffered' | 'dropped' {
    if (this.ws === undefined) return 'sent'; // nobody is there to miss it
    const result = this.ws.send(bytes, binary, false);
    return result === DROPPED ? 'dropped' : result === BUFFERED ? 'buffered' : 'sent';
  }

  close(code: number, reason: string): void {
    this.ws?.end(code, reason);
  }

  buffered(): number {
    return this.ws?.getBufferedAmount() ?? 0;
  }

  closed(): void {
    this.ws = undefined;
  }
}

/** Adds the WebSocket endpoint to the app. */
export function addWebSocket(app: TemplatedApp, path: string, parts: DoorParts): void {
  const { config, sessions, ips } = parts;
  const guard = (work: () => void) => {
    try {
      work();
    } catch (error) {
      parts.failed(error);
    }
  };
  app.ws<UserData>(path, {
    maxPayloadLength: config.frameBytes,
    idleTimeout: config.idleTimeoutS,
    maxBackpressure: config.sendBufferBytes,
    closeOnBackpressureLimit: false,
    sendPingsAutomatically: true,
    compression: 0,
    upgrade(res, req, context) {
      const asked = copyUpgrade(res, req, config.trustProxy);
      const entered = enter(asked, parts);
      if ('answer' in entered) {
        parts.refused(entered.reason);
        return writeAnswer(res, entered.answer);
      }
      const { header, ip, offered, key, extensions } = asked;
      const socket = new NativeSocket(entered, ip, header);
      res.upgrade(
        { socket } satisfies UserData,
        key,
        offered === '' ? '' : entered.subprotocol,
        extensions,
        context,
      );
    },
    open(ws) {
      guard(() => {
        const { socket } = ws.getUserData();
        socket.session = parts.opened(socket, socket.opened(ws));
        sessions.add(socket.session);
      });
    },
    message(ws, message, binary) {
      guard(() => ws.getUserData().socket.session?.message(new Uint8Array(message), binary));
    },
    drain(ws) {
      guard(() => {
        if (ws.getBufferedAmount() === 0) ws.getUserData().socket.session?.drained();
      });
    },
    close(ws) {
      guard(() => {
        const { socket } = ws.getUserData();
        const { ip, session } = socket;
        socket.closed();
        ips.leave(ip);
        if (session !== undefined) sessions.delete(session);
        session?.closed();
      });
    },
  });
}

/** What an upgrade says of itself. */
function copyUpgrade(res: HttpResponse, req: HttpRequest, trustProxy: boolean) {
  return {
    offered: req.getHeader('sec-websocket-protocol'),
    key: req.getHeader('sec-websocket-key'),
    extensions: req.getHeader('sec-websocket-extensions'),
    origin: req.getHeader('origin'),
    header: bearer(req.getHeader('authorization')),
    ip: addressOf(res, req, trustProxy),
  };
}

/** The codec of a session that may begin, which then counts for its address; or why it may not. */
function enter(asked: ReturnType<typeof copyUpgrade>, parts: DoorParts): Codec | Refused {
  const codec = chooseCodec(asked.offered);
  if (codec === undefined) {
    const known = codecs.map((c) => c.subprotocol).join(' or ');
    const answer = { status: 400, body: `name the WebSocket sub-protocol ${known}` };
    return { reason: 'subprotocol', answer };
  }
  return refusal(asked.origin, asked.ip, parts) ?? codec;
}

/** The first sub-protocol both know; JSON if the client names none. */
function chooseCodec(offered: string): Codec | undefined {
  if (offered === '') return jsonCodec;
  for (const name of offered.split(',')) {
    const codec = codecs.find((c) => c.subprotocol === name.trim());
    if (codec !== undefined) return codec;
  }
  return undefined;
}
