/** The client's side of SPDY for tests: says what it is told to, keeps what it hears. */
import { dataHeader, FrameParser, frameType, synStream } from "./frame.ts";
import { HeaderDecoder, HeaderEncoder } from "./header-block.ts";

export class SpdyClient {
  /** What came on each stream. */
  readonly output = new Map<number, Buffer[]>();
  readonly ended = new Set<number>();
  readonly replied = new Set<number>();
  /** Streams that were reset, and why. */
  readonly reset = new Map<number, number>();
  readonly pings: number[] = [];
  readonly windowUpdates: [number, number][] = [];
  /** Status of the GOAWAY. */
  goAway: number | undefined;
  received = 0;
  readonly #send: (bytes: Buffer) => void;
  readonly #encoder = new HeaderEncoder();
  readonly #decoder = new HeaderDecoder();
  readonly #waiting = new Set<() => void>();
  readonly #parser: FrameParser;
  #nextId = 1;

  constructor(send: (bytes: Buffer) => void) {
    this.#send = send;
    this.#parser = new FrameParser({
      control: (type, _flags, payload) => this.#control(type, payload),
      data: (id, piece, fin) => {
        this.received += piece.length;
        const pieces = this.output.get(id) ?? [];
        this.output.set(id, pieces);
        if (piece.length > 0) pieces.push(Buffer.from(piece));
        if (fin) this.ended.add(id);
      },
    });
  }

  /** Bytes of the server. */
  feed(bytes: Buffer): void {
    this.#parser.feed(bytes);
    for (const wake of this.#waiting) wake();
  }

  /** The frame that opens a stream; to be sent in order. */
  opening(headers: Readonly<Record<string, string>>, fin = false): { id: number; frame: Buffer } {
    const id = this.#nextId;
    this.#nextId += 2;
    return { id, frame: synStream(id, this.#encoder.encode(new Map(Object.entries(headers))), fin) };
  }

  open(headers: Readonly<Record<string, string>>, fin = false): number {
    const { id, frame } = this.opening(headers, fin);
    this.#send(frame);
    return id;
  }

  send(id: number, data: Buffer | string, fin = false): void {
    const bytes = Buffer.from(data);
    this.#send(Buffer.concat([dataHeader(id, bytes.length, fin), bytes]));
  }

  raw(bytes: Buffer): void {
    this.#send(bytes);
  }

  text(id: number): string {
    return Buffer.concat(this.output.get(id) ?? []).toString();
  }

  /** Waits until `condition` holds; it is asked after whatever comes. */
  async until(condition: () => boolean, what = "the server's answer", limitMs = 10_000): Promise<void> {
    if (condition()) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => reject(new Error(`${what} did not come`)), limitMs);
    const wake = () => {
      if (condition()) resolve();
    };
    this.#waiting.add(wake);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(wake);
    }
  }

  #control(type: number, payload: Buffer): void {
    const first = payload.readUInt32BE(0);
    if (type === frameType.synReply) {
      this.#decoder.decode(payload.subarray(4));
      this.replied.add(first);
    } else if (type === frameType.rstStream) this.reset.set(first, payload.readUInt32BE(4));
    else if (type === frameType.ping) this.pings.push(first);
    else if (type === frameType.goAway) this.goAway = payload.readUInt32BE(4);
    else if (type === frameType.windowUpdate) this.windowUpdates.push([first, payload.readUInt32BE(4)]);
  }
}
