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

interface UserData {
  readonly codec: Codec;
  readonly header: string | undefined;
  readonly ip: string;
  socket: NativeSocket | undefined;
  session: Session | undefined;
}

/** uWebSockets.js' send results. */
const BUFFERED = 0;
const DROPPED = 2;

class NativeSocket implements Socket {
  readonly codec: Codec;
  private ws: WebSocket<UserData> | undefined;

  constructor(ws: WebSocket<UserData>, codec: Codec) {
    this.ws = ws;
    this.codec = codec;
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
      const data: UserData = { codec: entered, header, ip, socket: undefined, session: undefined };
      res.upgrade(data, key, offered === '' ? '' : entered.subprotocol, extensions, context);
    },
    open(ws) {
      guard(() => {
        const data = ws.getUserData();
        data.socket = new NativeSocket(ws, data.codec);
        data.session = parts.opened(data.socket, data.header);
        sessions.add(data.session);
      });
    },
    message(ws, message, binary) {
      guard(() => ws.getUserData().session?.message(new Uint8Array(message), binary));
    },
    drain(ws) {
      guard(() => {
        if (ws.getBufferedAmount() === 0) ws.getUserData().session?.drained();
      });
    },
    close(ws) {
      guard(() => {
        const { ip, socket, session } = ws.getUserData();
        socket?.closed();
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
