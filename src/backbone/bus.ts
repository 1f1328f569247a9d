/**
 * The bus: how nodes hear each other.
 *
 * Delivery: at most once, to every node subscribed to the channel when the message is published, the publisher
 * included. Order: messages of one publisher on one channel arrive in the order published. Nothing is kept.
 * Failure: `subscribe` resolves only when the broker acknowledged it, so whatever is published afterwards is heard,
 * until `onGeneration` fires: from there on something may have been missed, and every watcher must read the
 * store again. Messages are handed over outside of any caller's stack: never inside `publish`.
 */
export interface Bus {
  /** Resolves when the broker acknowledged. Idempotent. Rejects if the broker does not answer in time. */
  subscribe(channel: string): Promise<void>;
  /** Stops listening. Messages on the way may still arrive. */
  unsubscribe(channel: string): Promise<void>;
  /**
   * Sends. Resolves with how many nodes listen (the demand for that channel), rejects if the broker did not
   * confirm; whether the message was sent is then unknown. Calls of one turn of the event loop share a write.
   * The payload must not be changed afterwards.
   */
  publish(channel: string, payload: Uint8Array): Promise<number>;
  /** The one listener. It must not throw and must return quickly. */
  onMessage(listener: (channel: string, payload: Uint8Array) => void): void;
  /** Adds a listener for: all subscriptions were made anew and acknowledged, what was published before may be lost. */
  onGeneration(listener: (generation: number) => void): void;
}
