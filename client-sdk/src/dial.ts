import type { ClientError, Link, Reason, TransportOptions } from './types.ts';
import { fault } from './wire.ts';

/** What comes of an attempt; nothing after it was dropped. */
export interface Outcome {
  open(token: string): void;
  data(data: string | ArrayBuffer): void;
  close(code: number): void;
  failed(error: ClientError): void;
}

/**
 * One attempt at a link: token, url, open. Returns at once, and calls back later. What it returns may be dropped at any
 * time, and is a link once it is open.
 */
export function dial(
  url: string | (() => string | Promise<string>),
  o: TransportOptions,
  getToken: (signal: AbortSignal) => Promise<string>,
  on: Outcome,
): Link {
  const gone = new AbortController();
  const { signal } = gone;
  let link: Link | undefined;

  async function begin(): Promise<void> {
    let reason: Reason = 'auth';
    try {
      const token = await getToken(signal);
      reason = 'network';
      const to = typeof url === 'string' ? url : await url();
      if (signal.aborted) return;
      link = (o.transport ?? o.webSocket)(
        to,
        {
          open: () => signal.aborted || on.open(token),
          data: (data) => signal.aborted || on.data(data),
          close: (code) => signal.aborted || on.close(code),
        },
        o,
      );
    } catch (error) {
      const retryable = (error as ClientError | undefined)?.retryable !== false;
      if (!signal.aborted) on.failed(fault(0, reason, String(error), retryable));
    }
  }

  void begin();
  return {
    send: (data, message) => link!.send(data, message),
    buffered: () => link!.buffered(),
    drop(code) {
      gone.abort();
      link?.drop(code);
    },
  };
}
