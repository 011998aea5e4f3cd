/**
 * Events to subscribers, each with a queue of its own and a bound: one that does not keep up is
 * dropped with an error, so that it asks again and lists, instead of holding our memory.
 */
import { RuntimeError } from "../errors/runtime-error.ts";

export interface EventHubOptions {
  /** Events that may wait for one subscriber. Default: 1024. */
  readonly maxQueued?: number;
  /** Subscribers at a time. Default: 64. */
  readonly maxSubscribers?: number;
}

export class EventHub<T> {
  readonly #maxQueued: number;
  readonly #maxSubscribers: number;
  readonly #subscribers = new Set<Subscriber<T>>();

  constructor(options: EventHubOptions = {}) {
    this.#maxQueued = options.maxQueued ?? 1024;
    this.#maxSubscribers = options.maxSubscribers ?? 64;
  }

  /** Whether anybody listens: an event that costs something to make need not be made. */
  get hasSubscribers(): boolean {
    return this.#subscribers.size > 0;
  }

  /** Hands `event` to every subscriber. Never waits. */
  publish(event: T): void {
    for (const subscriber of [...this.#subscribers]) {
      if (!subscriber.push(event, this.#maxQueued)) this.#subscribers.delete(subscriber);
    }
  }

  /**
   * Every event from this call on, in order. The iteration ends without an error when `signal` is
   * aborted or the hub is closed, and with `resource-exhausted` when the subscriber fell behind.
   * @throws RuntimeError `resource-exhausted` when there are too many subscribers.
   */
  subscribe(signal: AbortSignal): AsyncIterable<T> {
    if (this.#subscribers.size >= this.#maxSubscribers) {
      throw new RuntimeError("resource-exhausted", `more than ${this.#maxSubscribers} subscribers to events`);
    }
    const subscriber = new Subscriber<T>();
    const onAbort = () => {
      subscriber.end();
      this.#subscribers.delete(subscriber);
    };
    this.#subscribers.add(subscriber);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    return this.#iterate(subscriber, () => {
      signal.removeEventListener("abort", onAbort);
      this.#subscribers.delete(subscriber);
    });
  }

  /** Ends every subscription. */
  close(): void {
    for (const subscriber of this.#subscribers) subscriber.end();
    this.#subscribers.clear();
  }

  async *#iterate(subscriber: Subscriber<T>, leave: () => void): AsyncGenerator<T> {
    try {
      for (;;) {
        const event = await subscriber.next();
        if (event === undefined) return;
        yield event.value;
      }
    } finally {
      leave();
    }
  }
}

class Subscriber<T> {
  #queue: T[] = [];
  #state: "open" | "ended" | "behind" = "open";
  #wake: (() => void) | undefined;

  /** False when there is no room: the subscriber is dropped. */
  push(event: T, maxQueued: number): boolean {
    if (this.#state !== "open") return false;
    if (this.#queue.length >= maxQueued) {
      this.#state = "behind";
      this.#queue = [];
      this.#wake?.();
      return false;
    }
    this.#queue.push(event);
    this.#wake?.();
    return true;
  }

  end(): void {
    if (this.#state === "open") this.#state = "ended";
    this.#queue = [];
    this.#wake?.();
  }

  /** The next event; undefined at the end. */
  async next(): Promise<{ value: T } | undefined> {
    for (;;) {
      if (this.#state === "behind") {
        throw new RuntimeError(
          "resource-exhausted",
          "the subscriber did not take events fast enough: list and subscribe again",
        );
      }
      const value = this.#queue.shift();
      if (value !== undefined) return { value };
      if (this.#state === "ended") return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }
}
