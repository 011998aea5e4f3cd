/**
 * The streams of an exec'd or attached process. Nothing is read while too much output waits for its reader, so the
 * monitor stops reading the process: back-pressure from the client of the stream to the process.
 */
import { RuntimeError } from "../../errors/runtime-error.ts";
import type { OutputChunk, ProcessEnd, ProcessStreams } from "../handler.ts";
import { streamId } from "./frames.ts";
import { parsePid, parseProcessEnd, type Wire } from "./protocol.ts";
import { frameCost, type MonitorProcess, StreamConnection, type StreamEvents } from "./stream-connection.ts";

export type { MonitorProcess } from "./stream-connection.ts";

/** Output held for a reader that has not asked for it yet, with what its pieces cost. */
const maxQueuedBytes = 256 << 10;
/** Input goes in pieces of this size, so that a resize never waits behind megabytes. */
const stdinPieceBytes = 32 << 10;

/**
 * Runs `method` on a connection of its own and gives its streams.
 * @throws RuntimeError as the monitor answered; `unavailable` when it is gone or not the one expected.
 */
export async function openStreams(
  runDir: string,
  monitor: MonitorProcess,
  method: "exec" | "attach",
  params: Wire,
  signal: AbortSignal,
): Promise<ProcessStreams> {
  return (await openStreamsOf(runDir, monitor, method, params, signal)).streams;
}

/** The same with what the monitor answered. */
export async function openStreamsOf(
  runDir: string,
  monitor: MonitorProcess,
  method: "exec" | "attach" | "exec_io",
  params: Wire,
  signal: AbortSignal,
): Promise<{ readonly streams: ProcessStreams; readonly result: Wire }> {
  const inbox = new OutputQueue();
  const { connection, result } = await StreamConnection.open(runDir, monitor, method, params, inbox, signal);
  try {
    const pid = method === "exec" ? parsePid(result) : 0;
    return { streams: new MonitorStreams(connection, inbox, method, pid), result };
  } catch (error) {
    connection.end();
    throw error;
  }
}

/** What has come and was not asked for yet; there before its connection, whose first read may hold it all. */
class OutputQueue implements StreamEvents {
  readonly #queue: OutputChunk[] = [];
  #discard = false;
  readonly #ending = Promise.withResolvers<ProcessEnd>();
  readonly ended = this.#ending.promise;
  #heldBytes = 0;
  #statusCame = false;
  #over = false;
  #fault: RuntimeError | undefined;
  /** Wakes the one who iterates the output. */
  #wake: (() => void) | undefined;

  constructor() {
    this.ended.catch(() => {}); // whoever only reads the output hears of the loss there
  }

  frame(stream: number, bytes: Buffer): boolean {
    if (stream === streamId.status) {
      this.#ending.resolve(parseProcessEnd(bytes));
      this.#statusCame = true;
      return false;
    }
    if (this.#discard) return true;
    if (bytes.length > 0 && (stream === streamId.stdout || stream === streamId.stderr)) {
      // Copied: the socket's buffer is shared and read into again.
      this.#queue.push({
        stream: stream === streamId.stdout ? "stdout" : "stderr",
        data: Buffer.from(bytes),
      });
      this.#heldBytes += bytes.length + frameCost;
      this.#wake?.();
    }
    return true;
  }

  discard(): void {
    this.#discard = true;
  }

  /** Nobody reads any more: what is held is not wanted either. */
  drop(): void {
    this.#queue.length = 0;
    this.#heldBytes = 0;
  }

  wantsMore(): boolean {
    return this.#heldBytes < maxQueuedBytes;
  }

  closed(fault: RuntimeError | undefined): void {
    this.#over = true;
    this.#fault = fault;
    // An error is not made for nothing: its stack is the dearest thing in a probe's life here.
    if (!this.#statusCame)
      this.#ending.reject(fault ?? new RuntimeError("cancelled", "the streams were closed"));
    this.#wake?.();
  }

  /** `onRoom`: more may be read again. */
  async *chunks(onRoom: () => void): AsyncGenerator<OutputChunk> {
    for (;;) {
      const chunk = this.#queue.shift();
      if (chunk) {
        const wasFull = !this.wantsMore();
        this.#heldBytes -= chunk.data.length + frameCost;
        if (wasFull && this.wantsMore()) onRoom();
        yield chunk;
        continue;
      }
      if (this.#over) {
        if (this.#fault) throw this.#fault;
        return;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }
}

class MonitorStreams implements ProcessStreams {
  readonly pid: number;
  readonly output: AsyncIterable<OutputChunk>;
  readonly ended: Promise<ProcessEnd>;
  readonly #connection: StreamConnection;
  readonly #inbox: OutputQueue;
  readonly #method: string;
  #stdinEnded = false;

  constructor(connection: StreamConnection, inbox: OutputQueue, method: string, pid: number) {
    this.#connection = connection;
    this.#inbox = inbox;
    this.#method = method;
    this.pid = pid;
    this.ended = inbox.ended;
    this.output = inbox.chunks(() => connection.resume());
  }

  async writeStdin(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length; at += stdinPieceBytes) {
      if (this.#stdinEnded || !this.#connection.open) return;
      const piece = data.subarray(at, at + stdinPieceBytes);
      if (!this.#connection.send(streamId.stdin, piece)) await this.#connection.writable();
    }
  }

  discardOutput(): void {
    this.#inbox.discard();
  }

  endStdin(): void {
    if (this.#stdinEnded) return;
    this.#stdinEnded = true;
    this.#connection.send(streamId.stdin, Buffer.alloc(0));
  }

  resize(width: number, height: number): void {
    this.#connection.send(streamId.resize, Buffer.from(JSON.stringify({ width, height })));
  }

  close(): void {
    this.#inbox.drop();
    if (this.#connection.open)
      this.#connection.fail(new RuntimeError("cancelled", `${this.#method} was closed`));
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
