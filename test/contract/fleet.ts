import { randomUUID } from 'node:crypto';
import type { Backbone } from '../../src/backbone/backbone.ts';

/** Two started nodes over one backbone. */
export interface Fleet {
  readonly a: Backbone;
  readonly b: Backbone;
  stop(): Promise<void>;
}

export type MakeFleet = (options: { positionTtlMs?: number }) => Promise<Fleet>;

/** An id no other test uses. */
export function fresh(kind: string): string {
  return `${kind}-${randomUUID()}`;
}

/** Takes over what a node hears. */
export class Inbox {
  readonly heard: { channel: string; payload: Buffer }[] = [];
  private wake: () => void = () => {};

  constructor(node: Backbone) {
    node.bus.onMessage((channel, payload) => {
      this.heard.push({ channel, payload: Buffer.from(payload) });
      this.wake();
    });
  }

  /** Payloads heard on one channel, as text. */
  on(channel: string): string[] {
    return this.heard.filter((m) => m.channel === channel).map((m) => m.payload.toString());
  }

  /** Resolves once the condition holds; asked after every message. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }
}

/** Asks again and again until it is so; for what has no event, like the end of a life in the store. */
export async function eventually(condition: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}
