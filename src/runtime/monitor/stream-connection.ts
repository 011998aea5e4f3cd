/**
 * A connection of a monitor that turned into streams: hello and request go out together, and after the answer
 * come frames. What the two sides of them mean is its owner's: a process's (streams.ts), a port's (port.ts).
 * Nothing is read while the owner wants no more: back-pressure reaches the monitor, and what is behind it.
 */
import type { Socket } from "node:net";
import { RuntimeError } from "../../errors/runtime-error.ts";
import { givenUp, openSocket, socketFault } from "./client.ts";
import {
  encodeMessage,
  encodeStreamHeader,
  FrameReader,
  maxMessageBytes,
  maxStreamFrameBytes,
  messageHeaderBytes,
  streamHeaderBytes,
} from "./frames.ts";
import {
  errorOf,
  helloRequest,
  type Method,
  parseHello,
  parseObject,
  type Wire,
  limitMs,
} from "./protocol.ts";

/** A frame that is held counts for this much more than its bytes: single bytes must not be free. */
export const frameCost = 512;
const nothing = Buffer.alloc(0);

/** What the connection must be greeted by. */
export interface MonitorProcess {
  readonly pid: number;
  readonly startTime: string;
  /** How long each program may take that it runs for a request; 0: it runs none. */
  readonly programMs?: number;
}

/** @throws RuntimeError `unavailable` when the hello is another process's. */
export function expectHello(frame: Buffer, monitor: MonitorProcess): void {
  const hello = parseHello(parseObject(frame.toString("utf8"), "hello"));
  if (hello.pid !== monitor.pid || hello.startTime !== monitor.startTime)
    throw new RuntimeError("unavailable", "another monitor answered than the one of this sandbox");
}

export interface StreamEvents {
  /** One frame; `bytes` is valid during the call only. False: it was the last. A throw ends the connection with it. */
  frame(stream: number, bytes: Buffer): boolean;
  /** Asked after each frame: false keeps all that follows, of one read too, until `resume`. */
  wantsMore(): boolean;
  /** Called once, when there were streams: they are over. undefined: in order, or by `end`. */
  closed(fault: RuntimeError | undefined): void;
}

export class StreamConnection {
  readonly #method: Method;
  readonly #monitor: MonitorProcess;
  readonly #events: StreamEvents;
  readonly #socket: Socket;
  readonly #opening = Promise.withResolvers<Wire>();
  #phase: "hello" | "answer" | "streams" | "leaving" | "over" = "hello";
  #reader = new FrameReader(messageHeaderBytes, maxMessageBytes);
  /** What was read and is not wanted yet: a read may hold ten thousands of frames. */
  #rest: Buffer = nothing;

  private constructor(
    runDir: string,
    monitor: MonitorProcess,
    method: Method,
    params: Wire,
    events: StreamEvents,
  ) {
    this.#monitor = monitor;
    this.#method = method;
    this.#events = events;
    const request = encodeMessage({ id: 1, method, params });
    this.#socket = openSocket(runDir, (bytes) => {
      // Copied: the socket's buffer is shared and read into again.
      this.#rest = Buffer.from(this.#read(bytes));
      return this.#goesOn();
    });
    this.#socket.once("error", (error) => this.fail(socketFault(error)));
    this.#socket.once("close", () => {
      // An error costs more than all else here: none is made for a connection that is over.
      if (this.#phase !== "over") this.fail(socketFault(undefined));
    });
    this.#socket.write(Buffer.concat([encodeMessage(helloRequest), request]));
  }

  /**
   * Runs `method` on a connection of its own. Gives the connection and what the monitor answered.
   * @throws RuntimeError as the monitor answered; `unavailable` when it is gone or not the one expected.
   */
  static async open(
    runDir: string,
    monitor: MonitorProcess,
    method: Method,
    params: Wire,
    events: StreamEvents,
    signal: AbortSignal,
  ): Promise<{ readonly connection: StreamConnection; readonly result: Wire }> {
    if (signal.aborted) throw givenUp(method, signal);
    const connection = new StreamConnection(runDir, monitor, method, params, events);
    const onAbort = () => connection.fail(givenUp(method, signal));
    signal.addEventListener("abort", onAbort, { once: true });
    const forMs = limitMs(method, monitor.programMs);
    const timer = setTimeout(
      () =>
        connection.fail(
          new RuntimeError("deadline-exceeded", `monitor did not answer ${method} within ${forMs} ms`),
        ),
      forMs,
    );
    try {
      return { connection, result: await connection.#opening.promise };
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    }
  }

  get open(): boolean {
    return this.#phase === "streams";
  }

  /** Sends one frame. True: there is room for more; else `writable` tells when. */
  send(stream: number, bytes: Uint8Array): boolean {
    if (this.#phase !== "streams") return true;
    this.#socket.cork();
    this.#socket.write(encodeStreamHeader(stream, bytes.length));
    if (bytes.length > 0) this.#socket.write(bytes);
    this.#socket.uncork();
    return !this.#socket.writableNeedDrain;
  }

  /** Resolves when the socket takes more, or is over. */
  writable(): Promise<void> {
    if (this.#phase !== "streams" || !this.#socket.writableNeedDrain) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        this.#socket.removeListener("drain", done);
        this.#socket.removeListener("close", done);
        resolve();
      };
      this.#socket.once("drain", done);
      this.#socket.once("close", done);
    });
  }

  /** Goes on after `wantsMore` was false. Not for use within `frame`. */
  resume(): void {
    this.#rest = this.#read(this.#rest);
    if (this.#goesOn()) this.#socket.resume();
  }

  /** Resolves when all that was sent is the kernel's, or the connection is over. */
  flushed(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#phase !== "streams") resolve();
      else this.#socket.write(Buffer.alloc(0), () => resolve());
    });
  }

  /** The streams are over in order: the connection is closed at once. */
  end(): void {
    this.#over(undefined);
  }

  /** The same, but the monitor closes it, having read all that was sent; `limitMs` later it is closed anyway. */
  leave(limitMs: number): void {
    if (this.#phase !== "streams") return;
    this.#phase = "leaving";
    const timer = setTimeout(() => this.#socket.destroy(), limitMs);
    timer.unref();
    this.#socket.once("close", () => clearTimeout(timer));
    this.#socket.resume();
    this.#events.closed(undefined);
  }

  /** Ends everything with `fault`, unless it is over. */
  fail(fault: RuntimeError): void {
    this.#over(fault);
  }

  #over(fault: RuntimeError | undefined): void {
    const before = this.#phase;
    this.#phase = "over";
    this.#socket.destroy();
    if (before === "streams") this.#events.closed(fault);
    else if (before === "hello" || before === "answer")
      this.#opening.reject(fault ?? new RuntimeError("cancelled", `${this.#method} was closed`));
  }

  /** Whether the socket is to be read. */
  #goesOn(): boolean {
    return this.#phase === "leaving" || (this.#phase !== "over" && this.#events.wantsMore());
  }

  /** Takes the frames that are wanted. Returns what is left. */
  #read(bytes: Buffer): Buffer {
    let rest = bytes;
    try {
      while (rest.length > 0 && this.#phase !== "leaving" && this.#phase !== "over") {
        // The reader of messages stops at the answer; what follows are streams.
        const used = this.#reader.feed(rest, (tag, frame) => this.#take(tag, frame));
        rest = rest.subarray(used);
        if (!this.#events.wantsMore()) return rest;
      }
    } catch (error) {
      this.fail(error instanceof RuntimeError ? error : socketFault(error as Error));
    }
    return nothing;
  }

  /** Returns false to let the rest of the input be read by another reader, or not at all. */
  #take(tag: number, frame: Buffer): boolean {
    switch (this.#phase) {
      case "hello": {
        expectHello(frame, this.#monitor);
        this.#phase = "answer";
        return true;
      }
      case "answer": {
        const { error, result } = parseObject(frame.toString("utf8"), "answer");
        if (typeof error === "object" && error !== null) throw errorOf(error as Wire, this.#method);
        this.#phase = "streams";
        this.#reader = new FrameReader(streamHeaderBytes, maxStreamFrameBytes);
        this.#opening.resolve((result ?? {}) as Wire);
        return false;
      }
      case "streams":
        if (!this.#events.frame(tag, frame)) this.end();
        return this.#phase === "streams" && this.#events.wantsMore();
      default:
        return false;
    }
  }
}
