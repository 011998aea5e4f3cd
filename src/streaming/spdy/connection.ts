/**
 * The server's side of one SPDY/3.1 connection: streams that the client opens, over any transport.
 *
 * Flow control: Kubernetes' clients send no WINDOW_UPDATE and heed none, so none is waited for; the transport's
 * own back-pressure stops both sides. For clients that do heed windows ours is opened as wide as it goes, when
 * the client has spoken first: what arrives together with the answer to the upgrade, client-go throws away.
 */
import { type Inbox, InputBudget, type InputLimits } from "../inbox.ts";
import { protocolFault } from "../protocol-fault.ts";
import type { Transport } from "../transport.ts";
import {
  dataHeader,
  flagFin,
  FrameParser,
  frameType,
  goAway,
  goAwayStatus,
  initialWindow,
  ping,
  rstStatus,
  rstStream,
  streamIdOf,
  synReply,
  windowUpdate,
} from "./frame.ts";
import { HeaderDecoder, HeaderEncoder, type Headers } from "./header-block.ts";

const maxWindow = 0x7fffffff;
const defaultWindow = 64 << 10;
/** After so many bytes a window is opened again. */
const regrantBytes = 1 << 30;
/** One data frame of ours. */
const maxDataBytes = 64 << 10;
const noHeaders: Headers = new Map();

export interface SpdyOptions {
  readonly input: InputLimits;
  /** Streams open at a time. */
  readonly maxStreams: number;
  /** Streams refused in a row, beyond which the client is no client but a flood. */
  readonly maxRefusals: number;
  /** A new stream. False refuses it. */
  onStream(stream: SpdyStream): boolean;
  /** Called once. undefined: the client went away in order, or `finish` was called. */
  onClosed(fault: Error | undefined): void;
  /** Called for what counts as life: streams and their data, not pings. */
  onActivity(): void;
}

export class SpdyConnection {
  readonly #transport: Transport;
  readonly #o: SpdyOptions;
  readonly #parser: FrameParser;
  readonly #decoder = new HeaderDecoder();
  readonly #encoder = new HeaderEncoder();
  readonly #budget: InputBudget;
  readonly #streams = new Map<number, SpdyStream>();
  #lastStreamId = 0;
  #refusals = 0;
  #pingId = 0;
  #spoken = false;
  #receivedBytes = 0;
  #state: "open" | "finishing" | "closed" = "open";

  constructor(transport: Transport, o: SpdyOptions) {
    this.#transport = transport;
    this.#o = o;
    this.#budget = new InputBudget(o.input, (paused) => transport.pause(paused));
    this.#parser = new FrameParser({
      control: (type, flags, payload) => this.#control(type, flags, payload),
      data: (streamId, piece, fin) => this.#data(streamId, piece, fin),
    });
  }

  start(): void {
    this.#transport.start({
      data: (bytes) => this.#received(bytes),
      closed: (fault) => this.#closed(fault),
    });
  }

  get streams(): number {
    return this.#streams.size;
  }

  /** Whether the client is not read because what it sent was not taken yet. */
  get inputPaused(): boolean {
    return this.#budget.paused;
  }

  /** Asks the client for a sign of life, which finds a connection that nobody told us the end of. */
  ping(): void {
    if (this.#state !== "open" || !this.#spoken || this.#transport.congested) return;
    this.#pingId = (this.#pingId % 0x7ffffffe) + 2;
    this.#transport.write(ping(this.#pingId));
  }

  /** Says goodbye after all that was written. The streams should have ended. */
  finish(): void {
    if (this.#state !== "open") return;
    this.#state = "finishing";
    for (const stream of this.#streams.values()) stream.input.discard();
    this.#transport.write(goAway(this.#lastStreamId, goAwayStatus.ok));
    this.#transport.end();
  }

  destroy(fault?: Error): void {
    // One that is over already has been told why, and ends with that: it has seconds for it, not minutes.
    if (this.#state !== "closed") this.#transport.destroy(fault);
  }

  #received(bytes: Buffer): void {
    if (this.#state !== "open") return;
    try {
      this.#parser.feed(bytes);
    } catch (error) {
      this.#transport.write(goAway(this.#lastStreamId, goAwayStatus.protocolError));
      this.#closed(error instanceof Error ? error : protocolFault(String(error)));
      this.#transport.end(true);
      return;
    }
    if (!this.#spoken) {
      this.#spoken = true;
      this.#transport.write(initialWindow(maxWindow), windowUpdate(0, maxWindow - defaultWindow));
    }
  }

  #control(type: number, flags: number, payload: Buffer): void {
    if (this.#state !== "open") return;
    switch (type) {
      case frameType.synStream:
        this.#open(streamIdOf(payload), flags, this.#decoder.decode(payload.subarray(10)));
        return;
      case frameType.synReply:
      case frameType.headers:
        // Of no meaning to us, but the next block builds on it.
        this.#decoder.decode(payload.subarray(4));
        if (type === frameType.headers && (flags & flagFin) !== 0)
          this.#find(payload)?.received(undefined, true);
        return;
      case frameType.rstStream:
        this.#find(payload)?.wasReset();
        return;
      case frameType.ping:
        // Its own pings are odd; even ones are answers to ours.
        if ((payload.readUInt32BE(0) & 1) === 1) this.#transport.write(ping(payload.readUInt32BE(0)));
        return;
      case frameType.goAway:
        this.#closed(undefined);
        this.#transport.end(true);
        return;
      default:
        return; // SETTINGS and WINDOW_UPDATE: nothing here waits for either
    }
  }

  #find(payload: Buffer): SpdyStream | undefined {
    return this.#streams.get(streamIdOf(payload));
  }

  #open(id: number, flags: number, headers: Headers): void {
    if (id % 2 === 0 || id <= this.#lastStreamId) {
      this.#refuse(id, rstStatus.protocolError);
      return;
    }
    this.#lastStreamId = id;
    const stream = new SpdyStream(id, headers, this.#budget.inbox(), this.#transport, {
      gone: () => this.#streams.delete(id),
      activity: () => this.#o.onActivity(),
    });
    if (this.#streams.size >= this.#o.maxStreams || !this.#o.onStream(stream)) {
      stream.input.discard();
      this.#refuse(id, rstStatus.refusedStream);
      return;
    }
    this.#refusals = 0;
    this.#o.onActivity();
    this.#streams.set(id, stream);
    this.#transport.write(synReply(id, this.#encoder.encode(noHeaders)));
    if ((flags & flagFin) !== 0) stream.received(undefined, true);
    stream.opened();
  }

  #refuse(id: number, status: number): void {
    this.#transport.write(rstStream(id, status));
    this.#refusals++;
    if (this.#refusals >= this.#o.maxRefusals)
      throw protocolFault(`SPDY: ${this.#refusals} streams in a row are unwanted`);
  }

  #data(streamId: number, piece: Buffer, fin: boolean): void {
    if (this.#state !== "open") return;
    this.#o.onActivity();
    this.#receivedBytes += piece.length;
    if (this.#receivedBytes >= regrantBytes) {
      this.#receivedBytes = 0;
      this.#transport.write(windowUpdate(0, regrantBytes));
    }
    // Data may be under way to a stream that was reset a moment ago.
    this.#streams.get(streamId)?.received(piece, fin);
  }

  #closed(fault: Error | undefined): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    for (const stream of [...this.#streams.values()]) stream.wasReset();
    this.#streams.clear();
    this.#o.onClosed(fault);
  }
}

/** One stream: input to be read, output to be written, each of which ends by itself. */
export class SpdyStream {
  readonly id: number;
  readonly headers: Headers;
  readonly input: Inbox;
  readonly #transport: Transport;
  readonly #tell: { gone(): void; activity(): void };
  readonly #opened = Promise.withResolvers<void>();
  #receivedBytes = 0;
  #inputEnded = false;
  #outputEnded = false;
  #wasReset = false;
  #onReset: (() => void) | undefined;

  constructor(
    id: number,
    headers: Headers,
    input: Inbox,
    transport: Transport,
    tell: { gone(): void; activity(): void },
  ) {
    this.id = id;
    this.headers = headers;
    this.input = input;
    this.#transport = transport;
    this.#tell = tell;
  }

  /** When the client was told that it has the stream: before that nothing may be sent on it. */
  get accepted(): Promise<void> {
    return this.#opened.promise;
  }

  /** Calls `listener` once when the client, or the loss of the connection, ends the stream in both directions. */
  onReset(listener: () => void): void {
    if (this.#wasReset) listener();
    else this.#onReset = listener;
  }

  /** Sends `data`, waiting for room after each frame. What is sent after the end is dropped. */
  async write(data: Buffer): Promise<void> {
    for (let at = 0; at < data.length && !this.#outputEnded; at += maxDataBytes) {
      const piece = data.subarray(at, at + maxDataBytes);
      this.#transport.write(dataHeader(this.id, piece.length, false), piece);
      this.#tell.activity();
      const room = this.#transport.room();
      if (room !== undefined) await room;
    }
  }

  /** No more output. */
  end(): void {
    if (this.#outputEnded) return;
    this.#outputEnded = true;
    this.#transport.write(dataHeader(this.id, 0, true));
    this.#leaveWhenDone();
  }

  /** Ends both directions at once. */
  reset(status: number = rstStatus.cancel): void {
    if (!this.#outputEnded || !this.#inputEnded) this.#transport.write(rstStream(this.id, status));
    this.#onReset = undefined;
    this.wasReset();
  }

  /** For the connection: the client's side of it. */
  opened(): void {
    this.#opened.resolve();
  }

  /** For the connection. */
  received(piece: Buffer | undefined, fin: boolean): void {
    if (this.#inputEnded) return;
    if (piece !== undefined) {
      this.input.push(piece);
      this.#receivedBytes += piece.length;
      if (this.#receivedBytes >= regrantBytes) {
        this.#receivedBytes = 0;
        this.#transport.write(windowUpdate(this.id, regrantBytes));
      }
    }
    if (!fin) return;
    this.#inputEnded = true;
    this.input.end();
    this.#leaveWhenDone();
  }

  /** For the connection. */
  wasReset(): void {
    this.#inputEnded = true;
    this.#outputEnded = true;
    this.#wasReset = true;
    this.input.fail(protocolFault("the client gave up the stream"));
    this.#opened.resolve();
    this.#tell.gone();
    const listener = this.#onReset;
    this.#onReset = undefined;
    listener?.();
  }

  #leaveWhenDone(): void {
    if (this.#inputEnded && this.#outputEnded) this.#tell.gone();
  }
}
