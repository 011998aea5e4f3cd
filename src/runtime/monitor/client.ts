/**
 * One connection to a monitor's control socket: requests with ids and deadlines, events, and the end.
 * Enters: a run folder. Leaves: JSON results, checked by protocol.ts.
 * Keeps nothing on disk. Costs one socket and a few hundred bytes while idle: all connections share one
 * read buffer, and timers exist only while a request is under way.
 */
import { closeSync, constants, openSync } from "node:fs";
import { Socket } from "node:net";
import { RuntimeError, errorKind } from "../../errors/runtime-error.ts";
import { FrameReader, encodeMessage, maxMessageBytes, messageHeaderBytes } from "./frames.ts";
import { waitPatiently } from "./patience.ts";
import {
  errorOf,
  type Hello,
  helloDeadlineMs,
  helloRequest,
  limitMs,
  type Method,
  parseHello,
  parseObject,
  protocolVersion,
  type Wire,
} from "./protocol.ts";

/** Longest path that fits sockaddr_un with its terminating NUL. Source: unix(7). */
const maxSocketPathBytes = 107;
/** A monitor that takes nothing any more must not fill our memory. */
const maxUnsentBytes = 4 << 20;
const maxInFlight = 256;

const noAnswer: Promise<Wire> = Promise.resolve({});

/**
 * Reads are handled before the next one begins, so every connection may use the same buffer. What a socket holds at most
 * (208 KiB) fits: output costs 40 % less processor time than with 64 KiB.
 */
const readBuffer = Buffer.allocUnsafeSlow(256 << 10);

interface InFlight {
  readonly method: Method;
  settle(answer: Wire | RuntimeError): void;
}

export interface MonitorConnectionOptions {
  /** Called for each `{"event": …}` message. */
  readonly onEvent?: (message: Wire) => void;
  /** A request without parameters that is sent together with the hello; see `first`. */
  readonly first?: Method;
  /** How long each program may take that the monitor runs for a request; 0: it runs none. */
  readonly programMs?: number;
}

/** Opens the socket `m.sock` of a run folder, also one whose path is too long for sockaddr_un. */
export function openSocket(runDir: string, onRead: (bytes: Buffer) => boolean): Socket {
  let path = `${runDir}/m.sock`;
  let folder = -1;
  if (Buffer.byteLength(path) > maxSocketPathBytes) {
    folder = openSync(runDir, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    path = `/proc/self/fd/${folder}/m.sock`;
  }
  const socket = new Socket({
    onread: {
      buffer: readBuffer,
      callback: (size: number) => onRead(readBuffer.subarray(0, size)),
    },
  });
  socket.connect(path);
  // connect(2) on a unix socket looks the path up at once, or says EAGAIN and never looks again.
  if (folder >= 0) {
    const done = () => closeSync(folder);
    socket.once("connect", () => {
      socket.removeListener("close", done);
      done();
    });
    socket.once("close", done);
  }
  return socket;
}

/** The connection was there, and ended before it said anything. */
class CutBeforeHello extends RuntimeError {
  constructor({ kind, message, cause }: RuntimeError) {
    super(kind, message, { cause });
  }
}

/** A control connection after its hello. */
export class MonitorConnection {
  readonly hello: Hello;
  /** Settles when the connection ended: undefined after `close`, else why. Never rejects. */
  readonly closed: Promise<Error | undefined>;
  /** The answer to the option `first`; without it, never of interest. */
  readonly first: Promise<Wire>;
  readonly #link: Link;

  private constructor(link: Link, hello: Hello, first: Promise<Wire>) {
    this.#link = link;
    this.hello = hello;
    this.first = first;
    this.closed = link.closed;
  }

  /**
   * Connects and exchanges the hello.
   * @throws RuntimeError `not-found` when nobody listens there, `deadline-exceeded` when the hello does not
   * come in time, `failed-precondition` for a protocol that this daemon does not speak, `unavailable` when it can't be
   * known whether anybody is there.
   */
  static async open(
    runDir: string,
    options: MonitorConnectionOptions,
    signal: AbortSignal,
  ): Promise<MonitorConnection> {
    try {
      return await MonitorConnection.#greeted(runDir, options, signal);
    } catch (error) {
      if (!(error instanceof CutBeforeHello)) throw error;
    }
    // A monitor that is just dying accepts by its queue and cuts off: the second time tells.
    return await MonitorConnection.#greeted(runDir, options, signal);
  }

  static async #greeted(
    runDir: string,
    options: MonitorConnectionOptions,
    signal: AbortSignal,
  ): Promise<MonitorConnection> {
    const link = new Link(runDir, options.onEvent, options.programMs);
    try {
      const greeting = link.greet(signal);
      const first = options.first === undefined ? noAnswer : link.request(options.first, {}, signal);
      first.catch(() => {}); // of interest only after the hello
      const hello = parseHello(await greeting);
      if (hello.protocol !== protocolVersion) {
        throw new RuntimeError(
          "failed-precondition",
          `monitor ${hello.version} speaks protocol ${hello.protocol}, this daemon ${protocolVersion}`,
        );
      }
      return new MonitorConnection(link, hello, first);
    } catch (error) {
      link.end(undefined);
      throw error;
    }
  }

  /**
   * Sends a request and waits for its answer.
   * @throws RuntimeError with the monitor's kind and sentence; `unavailable` when the connection is
   * gone or full, `deadline-exceeded`, `cancelled`: then the request may still take effect.
   */
  request(method: Method, params: Wire, signal: AbortSignal): Promise<Wire> {
    return this.#link.request(method, params, signal);
  }

  /** Ends the connection; requests under way fail with `unavailable`. */
  close(): void {
    this.#link.end(undefined);
  }
}

/** The socket with what is in flight on it. */
class Link {
  readonly closed: Promise<Error | undefined>;
  readonly #socket: Socket;
  readonly #reader = new FrameReader(messageHeaderBytes, maxMessageBytes);
  readonly #inFlight = new Map<number, InFlight>();
  readonly #onEvent: ((message: Wire) => void) | undefined;
  readonly #programMs: number;
  #onHello: ((message: Wire | RuntimeError) => void) | undefined;
  #lastId = 0;
  #ended = false;
  #fault: Error | undefined;
  #settleClosed: (fault: Error | undefined) => void = () => {};

  constructor(runDir: string, onEvent: ((message: Wire) => void) | undefined, programMs = 0) {
    this.#onEvent = onEvent;
    this.#programMs = programMs;
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
    try {
      this.#socket = openSocket(runDir, (bytes) => this.#read(bytes));
    } catch (cause) {
      throw socketFault(cause as Error);
    }
    this.#socket.once("error", (error) => {
      this.#fault ??= error;
    });
    this.#socket.once("close", () => this.end(this.#fault ?? new Error("connection ended by the monitor")));
    this.#socket.unref(); // an idle pod keeps no process alive
  }

  async greet(signal: AbortSignal): Promise<Wire> {
    if (signal.aborted) throw givenUp("hello", signal);
    return await new Promise<Wire>((resolve, reject) => {
      const settle = (answer: Wire | RuntimeError) => {
        if (!this.#onHello) return;
        this.#onHello = undefined;
        stopWaiting();
        signal.removeEventListener("abort", onAbort);
        if (answer instanceof RuntimeError) reject(answer);
        else resolve(answer);
      };
      const onAbort = () => settle(givenUp("hello", signal));
      // Of a daemon that starts: whoever is late here is taken for dead, with all that it holds.
      const stopWaiting = waitPatiently(helloDeadlineMs, () =>
        settle(new RuntimeError("deadline-exceeded", `monitor did not answer within ${helloDeadlineMs} ms`)),
      );
      signal.addEventListener("abort", onAbort, { once: true });
      this.#onHello = settle;
      this.#socket.write(encodeMessage(helloRequest));
    });
  }

  request(method: Method, params: Wire, signal: AbortSignal): Promise<Wire> {
    return new Promise<Wire>((resolve, reject) => {
      if (signal.aborted) return reject(givenUp(method, signal));
      if (this.#ended) return reject(lost(method, this.#fault));
      if (this.#inFlight.size >= maxInFlight || this.#socket.writableLength > maxUnsentBytes) {
        return reject(new RuntimeError("unavailable", `monitor is too busy for ${method}`));
      }
      this.#lastId += 1;
      const id = this.#lastId;
      const frame = encodeMessage({ id, method, params });
      const forMs = limitMs(method, this.#programMs);
      const stopWaiting = waitPatiently(forMs, () =>
        settle(new RuntimeError("deadline-exceeded", `monitor did not answer ${method} within ${forMs} ms`)),
      );
      const onAbort = () => settle(givenUp(method, signal));
      const settle = (answer: Wire | RuntimeError) => {
        if (!this.#inFlight.delete(id)) return;
        stopWaiting();
        signal.removeEventListener("abort", onAbort);
        if (answer instanceof RuntimeError) reject(answer);
        else resolve(answer);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#inFlight.set(id, { method, settle });
      this.#socket.write(frame);
    });
  }

  end(fault: Error | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#fault ??= fault;
    this.#socket.destroy();
    if (this.#onHello) {
      const why = socketFault(fault);
      this.#onHello(why.kind === "unavailable" ? new CutBeforeHello(why) : why);
    }
    for (const { method, settle } of [...this.#inFlight.values()]) settle(lost(method, fault));
    this.#settleClosed(fault);
  }

  #read(bytes: Buffer): boolean {
    try {
      this.#reader.feed(bytes, (_, frame) => {
        this.#take(parseObject(frame.toString("utf8"), "message"));
        return !this.#ended;
      });
    } catch (error) {
      this.end(error instanceof Error ? error : new Error(String(error)));
    }
    return !this.#ended;
  }

  #take(message: Wire): void {
    if (this.#onHello) {
      this.#onHello(message);
      return;
    }
    if (message.event !== undefined) {
      this.#onEvent?.(message);
      return;
    }
    const id = message.id;
    const request = typeof id === "number" ? this.#inFlight.get(id) : undefined;
    if (!request) return; // the answer to a request that was given up
    const { error, result } = message;
    if (typeof error === "object" && error !== null) request.settle(errorOf(error as Wire, request.method));
    else request.settle((typeof result === "object" && result !== null ? result : {}) as Wire);
  }
}

/** The error of a socket that could not be opened or ended before it said anything. */
export function socketFault(error: Error | undefined): RuntimeError {
  if (error instanceof RuntimeError) return error;
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? "";
  if (["ENOENT", "ECONNREFUSED", "ENOTDIR", "ENOTSOCK"].includes(code)) {
    return new RuntimeError("not-found", "monitor is dead: nobody listens on its socket", { cause: error });
  }
  const why =
    code === "" ? "monitor ended the connection" : "the connection to the monitor can't be made, or broke";
  return new RuntimeError("unavailable", why, { cause: error });
}

function lost(method: string, fault: Error | undefined): RuntimeError {
  return new RuntimeError(
    "unavailable",
    `connection to the monitor is lost, ${method} may have taken effect`,
    {
      cause: fault,
    },
  );
}

/** What a wait that `signal` ended is answered with. */
export function givenUp(what: string, signal: AbortSignal): RuntimeError {
  const kind = errorKind(signal.reason) === "deadline-exceeded" ? "deadline-exceeded" : "cancelled";
  return new RuntimeError(kind, `${what} was given up`, { cause: signal.reason });
}
