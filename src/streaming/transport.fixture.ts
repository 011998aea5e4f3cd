/** A transport without a socket, for tests: what is written is kept, what is read is put in by hand. */
import type { Transport, TransportEvents } from "./transport.ts";

export class MemoryTransport implements Transport {
  readonly written: Buffer[] = [];
  paused = false;
  ended = false;
  closed = false;
  congested = false;
  #events: TransportEvents | undefined;
  #room: PromiseWithResolvers<void> | undefined;

  start(events: TransportEvents): void {
    this.#events = events;
  }

  /** As if it came from the client. */
  receive(bytes: Uint8Array): void {
    if (!this.closed && !this.ended) this.#events?.data(Buffer.from(bytes));
  }

  /** The client goes away. */
  leave(): void {
    this.destroy();
  }

  write(...parts: readonly Uint8Array[]): void {
    if (!this.ended && !this.closed) this.written.push(Buffer.concat(parts));
  }

  /** Makes writers wait, until `false` is given. */
  fill(full: boolean): void {
    this.congested = full;
    if (full) this.#room ??= Promise.withResolvers<void>();
    else {
      this.#room?.resolve();
      this.#room = undefined;
    }
  }

  room(): Promise<void> | undefined {
    return this.#room?.promise;
  }

  pause(paused: boolean): void {
    this.paused = paused;
  }

  end(): void {
    this.ended = true;
  }

  destroy(fault?: Error): void {
    if (this.closed) return;
    this.closed = true;
    this.fill(false);
    this.#events?.closed(fault);
  }
}
