import type { Transport } from './types.ts';

// What the browser's WebSocket and the one of the `ws` package have in common.
interface Socket {
  binaryType: string;
  readonly bufferedAmount: number;
  onopen: unknown;
  onmessage: unknown;
  onclose: unknown;
  onerror: unknown;
  send(data: string | Uint8Array): void;
  close(code?: number): void;
}

/** A WebSocket: the browser's, Node 22's, or the class given in the options. */
export const webSocket: Transport = (url, events, o) => {
  const Class = (o.WebSocket ?? globalThis.WebSocket) as new (url: string, protocol: string) => Socket;
  const socket = Object.assign(new Class(url, o.codec.protocol), {
    binaryType: 'arraybuffer',
    onopen: events.open,
    onmessage: (e: { data: string | ArrayBuffer }) => events.data(e.data),
    onclose: (e: { code: number; reason: string }) => events.close(e.code, e.reason),
    // An error is always followed by a close. The listener stays: `ws` throws errors nobody listens to.
    onerror() {},
  });
  return {
    send: (data) => socket.send(data),
    buffered: () => socket.bufferedAmount,
    drop: (code) => socket.close(code),
  };
};
