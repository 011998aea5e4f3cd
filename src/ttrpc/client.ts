/**
 * A ttrpc client: unary calls over one unix socket, each with a deadline.
 * Enters: an address and encoded messages. Leaves: the bytes of answers, or the peer's status as an error.
 * Hostile peers: frames and calls under way are capped, an answer that nobody waits for is dropped, what is no
 * ttrpc cuts the connection. Keeps nothing on disk; idle it costs one socket.
 */
import { closeSync, constants, openSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { basename, dirname } from "node:path";
import { errorKind, RuntimeError } from "../errors/runtime-error.ts";
import { type Caller, type CallOptions, decodeResult, encodeCall } from "./call.ts";
import { type Frame, FrameParser, frameType } from "./frame.ts";
import type { Codec } from "./message.ts";

const maxInFlight = 1024;
/** A peer that takes nothing must not fill our memory. */
const maxUnsentBytes = 8 << 20;
/** Stream ids are odd and never used twice. */
const lastStream = 0x7fff_ffff;
/** Longest path that fits sockaddr_un with its terminating NUL. Source: unix(7). */
const maxSocketPathBytes = 107;

interface Call {
  settle(answer: Buffer | RuntimeError): void;
}

export class TtrpcClient implements Caller {
  /** Settles when the connection ended: undefined after `close`, else why. Never rejects. */
  readonly closed: Promise<Error | undefined>;
  readonly #socket: Socket;
  readonly #calls = new Map<number, Call>();
  readonly #parser = new FrameParser();
  readonly #end: (error: Error | undefined) => void;
  #next = 1;
  #over: { readonly error: Error | undefined } | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const { promise, resolve } = Promise.withResolvers<Error | undefined>();
    this.closed = promise;
    this.#end = resolve;
    socket.on("data", (bytes: Buffer) => {
      try {
        this.#parser.feed(bytes, (frame) => this.#take(frame));
      } catch (error) {
        this.#finish(error instanceof Error ? error : new Error(String(error)));
      }
    });
    socket.on("error", (error) => this.#finish(error));
    socket.on("close", () => this.#finish(new RuntimeError("unavailable", "the peer closed the connection")));
  }

  /**
   * Connects to the socket at `path`; "\0name" is an abstract one.
   * @throws RuntimeError `unavailable` when nobody accepts, `not-found` when nobody listens there, `resource-exhausted` when
   * this process has no room for a connection.
   */
  static async connect(path: string, signal: AbortSignal): Promise<TtrpcClient> {
    signal.throwIfAborted();
    // A path that is too long for the call is reached through its folder.
    let folder = -1;
    let at = path;
    if (!path.startsWith("\0") && Buffer.byteLength(path) > maxSocketPathBytes) {
      folder = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
      at = `/proc/self/fd/${folder}/${basename(path)}`;
    }
    const socket = connect(at);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = () => {
      reject(new RuntimeError("unavailable", `nobody accepts at ${printable(path)} in time`));
    };
    signal.addEventListener("abort", abort, { once: true });
    socket.once("connect", resolve);
    socket.once("error", (cause: NodeJS.ErrnoException) => {
      const nobody = cause.code === "ENOENT" || cause.code === "ECONNREFUSED";
      const kind = nobody ? "not-found" : errorKind(cause) === "internal" ? "unavailable" : errorKind(cause);
      reject(new RuntimeError(kind, `connect to ${printable(path)}`, { cause }));
    });
    try {
      await promise;
      return new TtrpcClient(socket);
    } catch (error) {
      socket.on("error", () => {}); // its one answer was given
      socket.destroy();
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
      if (folder >= 0) closeSync(folder);
    }
  }

  /**
   * Calls `method` of `service`.
   * @throws RuntimeError of the peer's status; `deadline-exceeded`; `cancelled` by the signal; `unavailable` when the
   * connection ends; `internal` for an answer that is none.
   */
  async call<Req, ReqInit, Res, ResInit>(
    service: string,
    method: string,
    request: Codec<Req, ReqInit>,
    response: Codec<Res, ResInit>,
    message: ReqInit,
    options: CallOptions,
  ): Promise<Res> {
    const payload = request.encode(message);
    return decodeResult(method, response, await this.#unary(service, method, payload, options));
  }

  /** Ends the connection; calls under way fail with `unavailable`. */
  close(): void {
    this.#finish(undefined);
  }

  /** The data of the frame that answers. */
  async #unary(service: string, method: string, payload: Uint8Array, options: CallOptions): Promise<Buffer> {
    const { timeoutMs, signal } = options;
    if (signal?.aborted) throw new RuntimeError("cancelled", `${method}: given up before it was sent`);
    if (this.#over !== undefined)
      throw new RuntimeError("unavailable", `${method}: the connection is closed`, {
        cause: this.#over.error,
      });
    if (this.#calls.size >= maxInFlight || this.#socket.writableLength > maxUnsentBytes)
      throw new RuntimeError("resource-exhausted", `${method}: too many calls are under way`);
    const stream = this.#next;
    if (stream > lastStream) throw new RuntimeError("unavailable", `${method}: the connection is used up`);
    const frame = encodeCall(stream, service, method, payload, options);
    this.#next += 2;
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    this.#calls.set(stream, {
      settle: (answer) => (answer instanceof RuntimeError ? reject(answer) : resolve(answer)),
    });
    const timer = setTimeout(
      () => reject(new RuntimeError("deadline-exceeded", `${method}: no answer in ${timeoutMs} ms`)),
      timeoutMs,
    );
    const abort = () => reject(new RuntimeError("cancelled", `${method}: given up`));
    signal?.addEventListener("abort", abort, { once: true });
    this.#socket.write(frame);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      this.#calls.delete(stream);
    }
  }

  #take({ stream, type, data }: Frame): void {
    if (type !== frameType.response)
      throw new RuntimeError("internal", `the peer sent a frame of type ${type} to a unary call`);
    // Nobody waits any more for what comes after its deadline.
    this.#calls.get(stream)?.settle(Buffer.from(data));
  }

  #finish(error: Error | undefined): void {
    if (this.#over !== undefined) return;
    this.#over = { error };
    this.#socket.destroy();
    for (const call of this.#calls.values())
      call.settle(new RuntimeError("unavailable", "the connection ended", { cause: error }));
    this.#calls.clear();
    this.#end(error);
  }
}

function printable(path: string): string {
  return path.startsWith("\0") ? `@${path.slice(1)}` : path;
}
