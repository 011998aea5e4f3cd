/**
 * What a client sent on one stream and nobody has taken yet, bounded: `InputBudget` stops the reading of the
 * connection when a stream or all of them together hold too much, and lets it go on when there is room.
 * A connection has no windows that its clients heed (SPDY as spoken here, WebSocket), so a stream that is not
 * read stops its neighbours once its share is full; the share lets the others go on for a while.
 */

/** A queued piece counts for this much more than its bytes: single bytes must not be free. */
const pieceCost = 512;

export interface InputLimits {
  /** Held for one stream. */
  readonly streamBytes: number;
  /** Held for all streams of a connection. */
  readonly connectionBytes: number;
}

export const defaultInputLimits: InputLimits = { streamBytes: 1 << 20, connectionBytes: 4 << 20 };

/** The share of all streams of one connection. */
export class InputBudget {
  readonly #limits: InputLimits;
  readonly #pause: (paused: boolean) => void;
  #held = 0;
  /** Streams that hold their whole share. */
  #full = 0;
  #paused = false;

  /** `pause` is called when reading must stop, and when it may go on. */
  constructor(limits: InputLimits, pause: (paused: boolean) => void) {
    this.#limits = limits;
    this.#pause = pause;
  }

  /** Bytes held now, with what the pieces cost. */
  get held(): number {
    return this.#held;
  }

  get paused(): boolean {
    return this.#paused;
  }

  inbox(): Inbox {
    return new Inbox((before, after) => this.#changed(before, after));
  }

  #changed(before: number, after: number): void {
    const limit = this.#limits.streamBytes;
    this.#held += after - before;
    this.#full += Number(after >= limit) - Number(before >= limit);
    const paused = this.#full > 0 || this.#held >= this.#limits.connectionBytes;
    if (paused === this.#paused) return;
    this.#paused = paused;
    this.#pause(paused);
  }
}

/** The input of one stream: filled by the connection, emptied by one reader. */
export class Inbox implements AsyncIterable<Buffer> {
  readonly #changed: (before: number, after: number) => void;
  #pieces: Buffer[] = [];
  #held = 0;
  #state: "open" | "ended" | "discarded" = "open";
  #fault: Error | undefined;
  #reader: ((piece: Buffer | undefined) => void) | undefined;
  #rejectReader: ((fault: Error) => void) | undefined;

  constructor(changed: (before: number, after: number) => void) {
    this.#changed = changed;
  }

  /** Whether the other side may still send. */
  get open(): boolean {
    return this.#state === "open";
  }

  /** Adds a piece; `piece` may be a part of a larger buffer. After the end it does nothing. */
  push(piece: Buffer): void {
    if (this.#state !== "open" || piece.length === 0) return;
    const reader = this.#reader;
    if (reader !== undefined) {
      this.#reader = undefined;
      reader(piece);
      return;
    }
    // A small part must not keep a large buffer alive.
    this.#pieces.push(piece.length * 2 < piece.buffer.byteLength ? Buffer.from(piece) : piece);
    this.#count(piece.length + pieceCost);
  }

  /** Nothing more will come. */
  end(): void {
    if (this.#state !== "open") return;
    this.#state = "ended";
    this.#reader?.(undefined);
    this.#reader = undefined;
  }

  /** Drops what is held; readers get `fault` from now on. */
  fail(fault: Error): void {
    if (this.#state === "discarded") return;
    this.#fault ??= fault;
    this.#drop();
    this.#rejectReader?.(fault);
    this.#reader = undefined;
  }

  /** Nobody will read: drops what is held and what comes. A waiting reader gets the end. */
  discard(): void {
    if (this.#state === "discarded") return;
    this.#drop();
    this.#reader?.(undefined);
    this.#reader = undefined;
  }

  /** The next piece, or undefined at the end. One reader at a time. @throws what `fail` was given */
  read(): Promise<Buffer | undefined> {
    const piece = this.#pieces.shift();
    if (piece !== undefined) {
      this.#count(-(piece.length + pieceCost));
      return Promise.resolve(piece);
    }
    if (this.#fault !== undefined) return Promise.reject(this.#fault);
    if (this.#state !== "open") return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      this.#reader = resolve;
      this.#rejectReader = reject;
    });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, undefined> {
    for (;;) {
      const piece = await this.read();
      if (piece === undefined) return;
      yield piece;
    }
  }

  #drop(): void {
    this.#state = "discarded";
    this.#pieces = [];
    this.#count(-this.#held);
  }

  #count(change: number): void {
    const before = this.#held;
    this.#held += change;
    this.#changed(before, this.#held);
  }
}
