/**
 * An exec or attach connection: hello and request go out together, and after the answer the connection
 * carries stream frames. Nothing is read while too much output waits for its reader, so the
 * monitor stops reading the process: back-pressure from the client of the stream to the process.
 */
import type { Socket } from "node:net";
import { RuntimeError } from "../../errors/runtime-error.ts";
import type { OutputChunk, ProcessEnd, ProcessStreams } from "../handler.ts";
import { givenUp, openSocket, socketFault } from "./client.ts";
import {
  encodeMessage,
  encodeStreamHeader,
  FrameReader,
  maxMessageBytes,
  maxStreamFrameBytes,
  messageHeaderBytes,
  streamHeaderBytes,
  streamId,
} from "./frames.ts";
import {
  deadlineMs,
  errorOf,
  helloRequest,
  parseHello,
  parseObject,
  parsePid,
  parseProcessEnd,
  type Wire,
} from "./protocol.ts";

/** Output held for a reader that has not asked for it yet. */
const maxQueuedBytes = 256 << 10;
/** Input goes in pieces of this size, so that a resize never waits behind megabytes. */
const stdinPieceBytes = 32 << 10;

/** What the connection must be greeted by. */
export interface MonitorProcess {
  readonly pid: number;
  readonly startTime: string;
}

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
  if (signal.aborted) throw givenUp(method, signal);
  const streams = new MonitorStreams(runDir, monitor, method, params);
  const onAbort = () => streams.fail(givenUp(method, signal));
  signal.addEventListener("abort", onAbort, { once: true });
  const timer = setTimeout(
    () =>
      streams.fail(
        new RuntimeError(
          "deadline-exceeded",
          `monitor did not answer ${method} within ${deadlineMs[method]} ms`,
        ),
      ),
    deadlineMs[method],
  );
  try {
    await streams.opened;
    return streams;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

class MonitorStreams implements ProcessStreams {
  pid = 0;
  readonly opened: Promise<void>;
  readonly ended: Promise<ProcessEnd>;
  readonly #socket: Socket;
  readonly #monitor: MonitorProcess;
  readonly #method: string;
  readonly #queue: OutputChunk[] = [];
  #queuedBytes = 0;
  #phase: "hello" | "answer" | "streams" | "over" = "hello";
  #reader = new FrameReader(messageHeaderBytes, maxMessageBytes);
  #fault: RuntimeError | undefined;
  #stdinEnded = false;
  /** Wakes the one who iterates the output. */
  #wake: (() => void) | undefined;
  #opening!: PromiseWithResolvers<void>;
  #ending!: PromiseWithResolvers<ProcessEnd>;

  constructor(runDir: string, monitor: MonitorProcess, method: "exec" | "attach", params: Wire) {
    this.#monitor = monitor;
    this.#method = method;
    this.#opening = Promise.withResolvers<void>();
    this.#ending = Promise.withResolvers<ProcessEnd>();
    this.opened = this.#opening.promise;
    this.ended = this.#ending.promise;
    this.ended.catch(() => {}); // whoever only reads the output hears of the loss there
    const request = encodeMessage({ id: 1, method, params });
    this.#socket = openSocket(runDir, (bytes) => this.#read(bytes));
    this.#socket.once("error", (error) => this.fail(socketFault(error)));
    this.#socket.once("close", () => this.fail(socketFault(undefined)));
    this.#socket.write(Buffer.concat([encodeMessage(helloRequest), request]));
  }

  get output(): AsyncIterable<OutputChunk> {
    return this.#chunks();
  }

  async writeStdin(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length; at += stdinPieceBytes) {
      if (this.#phase !== "streams" || this.#stdinEnded) return;
      const piece = data.subarray(at, at + stdinPieceBytes);
      this.#socket.write(encodeStreamHeader(streamId.stdin, piece.length));
      if (!this.#socket.write(piece)) await this.#writable();
    }
  }

  endStdin(): void {
    if (this.#phase !== "streams" || this.#stdinEnded) return;
    this.#stdinEnded = true;
    this.#socket.write(encodeStreamHeader(streamId.stdin, 0));
  }

  resize(width: number, height: number): void {
    if (this.#phase !== "streams") return;
    const size = Buffer.from(JSON.stringify({ width, height }));
    this.#socket.write(Buffer.concat([encodeStreamHeader(streamId.resize, size.length), size]));
  }

  close(): void {
    this.fail(new RuntimeError("cancelled", `${this.#method} was closed`));
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Ends everything with `fault`, unless it is over. */
  fail(fault: RuntimeError): void {
    if (this.#phase !== "over") {
      this.#phase = "over";
      this.#fault = fault;
      this.#opening.reject(fault);
      this.#ending.reject(fault);
    }
    this.#socket.destroy();
    this.#wake?.();
  }

  #read(bytes: Buffer): boolean {
    try {
      let rest = bytes;
      while (rest.length > 0 && this.#phase !== "over") {
        // The reader of messages stops at the answer; what follows are streams.
        const used = this.#reader.feed(rest, (tag, frame) => this.#take(tag, frame));
        rest = rest.subarray(used);
      }
    } catch (error) {
      this.fail(error instanceof RuntimeError ? error : socketFault(error as Error));
    }
    return this.#phase !== "over" && this.#queuedBytes < maxQueuedBytes;
  }

  /** Returns false to let the rest of the input be read by another reader, or not at all. */
  #take(tag: number, frame: Buffer): boolean {
    switch (this.#phase) {
      case "hello": {
        const hello = parseHello(parseObject(frame.toString("utf8"), "hello"));
        if (hello.pid !== this.#monitor.pid || hello.startTime !== this.#monitor.startTime) {
          throw new RuntimeError("unavailable", "another monitor answered than the one of this sandbox");
        }
        this.#phase = "answer";
        return true;
      }
      case "answer": {
        const { error, result } = parseObject(frame.toString("utf8"), "answer");
        if (typeof error === "object" && error !== null) throw errorOf(error as Wire, this.#method);
        if (this.#method === "exec") this.pid = parsePid((result ?? {}) as Wire);
        this.#phase = "streams";
        this.#reader = new FrameReader(streamHeaderBytes, maxStreamFrameBytes);
        this.#opening.resolve();
        return false;
      }
      case "streams":
        return this.#takeStream(tag, frame);
      case "over":
        return false;
    }
  }

  #takeStream(tag: number, frame: Buffer): boolean {
    if (tag === streamId.status) {
      this.#phase = "over";
      this.#ending.resolve(parseProcessEnd(frame));
      this.#socket.destroy();
      this.#wake?.();
      return false;
    }
    if (frame.length > 0 && (tag === streamId.stdout || tag === streamId.stderr)) {
      // Copied: the socket's buffer is shared and read into again.
      this.#queue.push({ stream: tag === streamId.stdout ? "stdout" : "stderr", data: Buffer.from(frame) });
      this.#queuedBytes += frame.length;
      this.#wake?.();
    }
    return true;
  }

  async *#chunks(): AsyncGenerator<OutputChunk> {
    for (;;) {
      const chunk = this.#queue.shift();
      if (chunk) {
        const wasFull = this.#queuedBytes >= maxQueuedBytes;
        this.#queuedBytes -= chunk.data.length;
        if (wasFull && this.#queuedBytes < maxQueuedBytes) this.#socket.resume();
        yield chunk;
        continue;
      }
      if (this.#phase === "over") {
        if (this.#fault) throw this.#fault;
        return;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  /** Until the socket takes more, or ended. */
  #writable(): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#socket.removeListener("drain", done);
        this.#socket.removeListener("close", done);
        resolve();
      };
      if (this.#socket.destroyed) return resolve();
      this.#socket.once("drain", done);
      this.#socket.once("close", done);
    });
  }
}
