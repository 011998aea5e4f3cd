/**
 * The bytes below a protocol: a socket, or a WebSocket that SPDY is tunnelled through.
 * Writers ask for room and wait for it; a client that makes us answer (pings, refused streams) without reading
 * the answers is not read until it did.
 */
import type { Duplex } from "node:stream";
import { youngCollection } from "../process/young-collection.ts";

/** Answers that may wait for a client that does not read. */
const maxUnreadBytes = 256 << 10;
/** How long the end of a connection waits for the client's own. */
const lingerMs = 5000;
/** How long a client may take to read the last bytes, fewer than a socket's buffer. */
const lastBytesMs = 300_000;

export interface TransportEvents {
  /** May throw: the transport is destroyed with what was thrown. */
  data(bytes: Buffer): void;
  /** Called once. `fault` undefined: the client, or we, ended it in order. */
  closed(fault: Error | undefined): void;
}

export interface Transport {
  /** Begins to read. Called once. */
  start(events: TransportEvents): void;
  /** Sends `parts` as one. Never waits; see `room`. After the end it does nothing. */
  write(...parts: readonly Uint8Array[]): void;
  /** Undefined when there is room for more; else resolves when there is, or when the transport is closed. */
  room(): Promise<void> | undefined;
  /** Stops or goes on reading. */
  pause(paused: boolean): void;
  /** Whether bytes wait to be sent. */
  readonly congested: boolean;
  /** No longer usable in either direction. */
  readonly closed: boolean;
  /** Sends what was written, then the end; what still comes is dropped. `hurry`: the client deserves no patience. */
  end(hurry?: boolean): void;
  destroy(fault?: Error): void;
}

/** A transport over a socket; `head`: what was read from it already. */
export class SocketTransport implements Transport {
  readonly #socket: Duplex;
  readonly #head: Buffer;
  #events: TransportEvents | undefined;
  #fault: Error | undefined;
  #ended = false;
  #closed = false;
  #gathering = false;
  #pausedByReader = false;
  #pausedByUnread = false;
  #room: PromiseWithResolvers<void> | undefined;

  constructor(socket: Duplex, head: Buffer) {
    this.#socket = socket;
    this.#head = head;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get congested(): boolean {
    return this.#socket.writableLength > 0;
  }

  start(events: TransportEvents): void {
    this.#events = events;
    const socket = this.#socket;
    socket.on("error", (error) => this.destroy(error));
    socket.on("drain", () => this.#drained());
    socket.on("end", () => this.#peerEnded());
    socket.on("close", () => this.#close());
    if (socket.destroyed) {
      this.#close();
      return;
    }
    if (this.#head.length > 0) this.#take(this.#head);
    socket.on("data", (bytes: Buffer) => this.#take(bytes));
    this.#applyPause();
  }

  write(...parts: readonly Uint8Array[]): void {
    const socket = this.#socket;
    if (this.#ended || this.#closed) return;
    // What is written in one turn of the event loop goes out in one call: output comes in small pieces.
    if (!this.#gathering) {
      this.#gathering = true;
      socket.cork();
      process.nextTick(() => {
        this.#gathering = false;
        socket.uncork();
      });
    }
    for (const part of parts) {
      socket.write(part);
      youngCollection.flowed(part.length);
    }
    if (socket.writableLength > maxUnreadBytes && !this.#pausedByUnread) {
      this.#pausedByUnread = true;
      this.#applyPause();
    }
  }

  room(): Promise<void> | undefined {
    if (this.#closed || !this.#socket.writableNeedDrain) return undefined;
    this.#room ??= Promise.withResolvers<void>();
    return this.#room.promise;
  }

  pause(paused: boolean): void {
    this.#pausedByReader = paused;
    this.#applyPause();
  }

  end(hurry = false): void {
    if (this.#ended || this.#closed) return;
    this.#ended = true;
    const socket = this.#socket;
    // A close with input unread would be a reset, and a reset takes back what the client has not read yet.
    this.#applyPause();
    let timer = setTimeout(() => socket.destroy(), hurry ? lingerMs : lastBytesMs);
    socket.once("close", () => clearTimeout(timer));
    socket.end(() => {
      clearTimeout(timer);
      if (!socket.destroyed) timer = setTimeout(() => socket.destroy(), lingerMs);
    });
  }

  destroy(fault?: Error): void {
    if (this.#closed) return;
    this.#fault ??= fault;
    this.#socket.destroy();
    this.#close();
  }

  #take(bytes: Buffer): void {
    if (this.#ended || this.#closed) return;
    youngCollection.flowed(bytes.length);
    try {
      this.#events?.data(bytes);
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #peerEnded(): void {
    if (this.#ended) return; // its answer to our end: 'close' follows
    this.destroy();
  }

  #applyPause(): void {
    const paused = (this.#pausedByReader || this.#pausedByUnread) && !this.#ended;
    if (paused) this.#socket.pause();
    else this.#socket.resume();
  }

  #drained(): void {
    this.#room?.resolve();
    this.#room = undefined;
    if (this.#pausedByUnread) {
      this.#pausedByUnread = false;
      this.#applyPause();
    }
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#room?.resolve();
    this.#room = undefined;
    this.#events?.closed(this.#fault);
  }
}
