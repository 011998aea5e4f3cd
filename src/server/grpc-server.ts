/**
 * The gRPC server on a unix socket: the only file that knows @grpc/grpc-js.
 *
 * Enters: handlers by method name. Leaves: a running server that answers every method of every table given; those
 * without a handler answer UNIMPLEMENTED and name the method.
 * Bounds: message sizes, calls per connection, connections, calls in all; a caller beyond them is refused, others
 * are served. The listening socket is our own (grpc-js is handed accepted connections), because its mode, its name
 * and the number of connections are ours to hold.
 */
import { once } from "node:events";
import { performance } from "node:perf_hooks";
import { createServer, connect as connectUnix, type Socket } from "node:net";
import { connect as connectHttp2 } from "node:http2";
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from "@grpc/grpc-js";
import type { Method } from "../../cri-api/index.ts";
import { RuntimeError } from "../errors/runtime-error.ts";
import type { Log } from "../log/log.ts";
import { type GrpcStatus, statusCode } from "./grpc-status.ts";
import { bindSocket } from "./socket.ts";
import {
  type CallLogging,
  type CallOptions,
  type StreamHandler,
  type UnaryHandler,
  looks,
  runStream,
  runUnary,
} from "./unary.ts";

export type { Handlers } from "./unary.ts";

export interface ServerLimits {
  /** The largest request. */
  readonly receiveBytes: number;
  /** The largest answer; above it the caller gets RESOURCE_EXHAUSTED. */
  readonly sendBytes: number;
  /** Calls of one connection at a time; HTTP/2 makes clients wait for their turn. */
  readonly callsPerConnection: number;
  /** Connections at a time; further ones are closed at once. */
  readonly connections: number;
  /** Calls at a time over all connections; further ones get RESOURCE_EXHAUSTED. */
  readonly calls: number;
  /** What one connection may hold in memory for frames under way, in MiB; then its new calls are refused. */
  readonly sessionMemoryMib: number;
}

export const defaultLimits: ServerLimits = {
  receiveBytes: 16 << 20,
  sendBytes: 32 << 20,
  callsPerConnection: 256,
  connections: 1024,
  calls: 2048,
  sessionMemoryMib: 128,
};

/** One service: its table from cri-api and the object whose methods answer it. */
export interface ServedService {
  readonly table: Readonly<Record<string, Method<unknown, never, unknown, never>>>;
  readonly handlers: object;
}

export interface ServerOptions {
  readonly socketPath: string;
  readonly services: readonly ServedService[];
  readonly limits?: Partial<ServerLimits>;
  readonly log: Log;
  /** Asked at each call: the setting may change while we serve. Default: all. */
  readonly callLogging?: () => CallLogging;
  /** Told at the end of each call that may have changed something. */
  readonly worked?: () => void;
}

export interface RunningServer {
  readonly socketPath: string;
  /** Calls being answered now. */
  calls(): number;
  /**
   * Takes no new connections, ends streams at once, gives plain calls `graceMs` to finish and then aborts them.
   * May be called twice.
   */
  close(graceMs: number): Promise<void>;
}

/** A handler may run on after its caller was answered for it; this is how long the end of the server waits for it. */
const abortGraceMs = 500;

/**
 * Starts to serve. The first call of a process costs tens of milliseconds (code is compiled, connections set up): one
 * is made here, over the socket before it has its public name, so that no client pays it.
 * @param signal ends the start, not the server
 * @throws RuntimeError `failed-precondition` when the socket is taken
 */
export async function startServer(o: ServerOptions, signal?: AbortSignal): Promise<RunningServer> {
  const limits = { ...defaultLimits, ...o.limits };
  const ending = new AbortController();
  const calls = new Calls(limits.calls, ending.signal);
  let logging: () => CallLogging = () => "errors";
  const options = {
    log: o.log,
    get logging() {
      return logging();
    },
    ...(o.worked === undefined ? {} : { worked: o.worked }),
  };
  const server = new Server({
    "grpc.max_receive_message_length": limits.receiveBytes,
    "grpc.max_send_message_length": limits.sendBytes,
    "grpc.max_concurrent_streams": limits.callsPerConnection,
    "grpc-node.max_session_memory": limits.sessionMemoryMib,
    "grpc.enable_channelz": 0,
  });
  for (const service of o.services) register(server, service, calls, options);

  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const sockets = new Set<Socket>();
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    // Resets by clients are their business; without a listener they would end the process.
    socket.on("error", () => {});
    injector.injectConnection(socket);
  });
  listener.maxConnections = limits.connections;
  let dropped = 0;
  listener.on("drop", () => {
    // A flood must not flood the log: powers of two.
    if ((++dropped & (dropped - 1)) === 0)
      o.log.warn({ dropped, limit: limits.connections }, "connections refused");
  });

  signal?.throwIfAborted();
  const socket = await bindSocket(listener, o.socketPath);
  listener.on("error", (error) => o.log.error({ error }, "accept"));
  let closed: Promise<void> | undefined;
  const close = (graceMs: number): Promise<void> => {
    closed ??= (async () => {
      // The name first: while we hold the socket, its inode number cannot be another's.
      await socket.remove();
      listener.close();
      injector.drain(graceMs + abortGraceMs);
      calls.endStreams();
      await calls.idle(graceMs);
      ending.abort(new RuntimeError("unavailable", "the daemon is being stopped"));
      await calls.idle(abortGraceMs);
      injector.destroy();
      server.forceShutdown();
      for (const one of sockets) one.destroy();
    })();
    return closed;
  };
  try {
    await warmUp(socket.privatePath, o.services);
    logging = o.callLogging ?? (() => "all");
    signal?.throwIfAborted();
    await socket.publish();
  } catch (error) {
    await close(0);
    throw error;
  }
  return { socketPath: o.socketPath, calls: () => calls.size, close };
}

/** The calls under way. */
class Calls {
  readonly #limit: number;
  readonly #ending: AbortSignal;
  readonly #streams = new Set<AbortController>();
  #count = 0;
  #idle: (() => void)[] = [];

  constructor(limit: number, ending: AbortSignal) {
    this.#limit = limit;
    this.#ending = ending;
  }

  get size(): number {
    return this.#count;
  }

  /** @throws RuntimeError `resource-exhausted`, or `unavailable` at the end */
  begin(streaming: boolean): { abort: AbortController; end: () => void } {
    this.#ending.throwIfAborted();
    if (this.#count >= this.#limit)
      throw new RuntimeError(
        "resource-exhausted",
        `more than ${this.#limit} calls at a time: try again later`,
      );
    const abort = new AbortController();
    const onEnding = () => abort.abort(this.#ending.reason);
    this.#ending.addEventListener("abort", onEnding, { once: true });
    if (streaming) this.#streams.add(abort);
    this.#count++;
    return {
      abort,
      end: () => {
        this.#ending.removeEventListener("abort", onEnding);
        this.#streams.delete(abort);
        if (--this.#count === 0) for (const wake of this.#idle.splice(0)) wake();
      },
    };
  }

  endStreams(): void {
    for (const abort of this.#streams)
      abort.abort(new RuntimeError("unavailable", "the daemon is being stopped: listen again"));
  }

  /** Resolves when no call is under way, or after `ms`. */
  async idle(ms: number): Promise<void> {
    if (this.#count === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#idle.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

const asIs = (bytes: Buffer): Buffer => bytes;

/** Gives grpc-js a function for every method of a table. Messages pass it as bytes: they are decoded in unary.ts. */
function register(server: Server, service: ServedService, calls: Calls, options: CallOptions): void {
  for (const [name, method] of Object.entries(service.table)) {
    const found: unknown = (service.handlers as Record<string, unknown>)[name];
    const handler = typeof found === "function" ? found.bind(service.handlers) : undefined;
    const path = method.path;
    const one = method as unknown as Method;
    if (method.serverStreaming)
      server.register(
        path,
        (call: ServerWritableStream<Buffer, Buffer>) =>
          serveStream(call, one, handler as StreamHandler | undefined, calls, options),
        asIs,
        asIs,
        "serverStream",
      );
    else
      server.register(
        path,
        (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) =>
          serveUnary(call, answer, one, handler as UnaryHandler | undefined, calls, options),
        asIs,
        asIs,
        "unary",
      );
  }
}

async function serveUnary(
  call: ServerUnaryCall<Buffer, Buffer>,
  answer: sendUnaryData<Buffer>,
  method: Method,
  handler: UnaryHandler | undefined,
  calls: Calls,
  options: CallOptions,
): Promise<void> {
  const begun = begin(call, calls, false);
  if ("refused" in begun) return answer(begun.refused);
  const result = await runUnary(
    { method, bytes: call.request, signal: begun.abort.signal },
    handler,
    options,
  );
  begun.end();
  if (!looks(method)) options.worked?.();
  if ("bytes" in result) answer(null, result.bytes);
  else answer(result.status);
}

async function serveStream(
  call: ServerWritableStream<Buffer, Buffer>,
  method: Method,
  handler: StreamHandler | undefined,
  calls: Calls,
  options: CallOptions,
): Promise<void> {
  const begun = begin(call, calls, true);
  if ("refused" in begun) return void call.emit("error", begun.refused);
  const { signal } = begun.abort;
  const write = async (bytes: Buffer): Promise<void> => {
    // A slow reader holds the handler back here; a reader that is gone ends it through the signal.
    if (!call.write(bytes)) await once(call, "drain", { signal });
  };
  const status = await runStream({ method, bytes: call.request, signal }, handler, write, options);
  begun.end();
  if (call.cancelled || call.destroyed) return;
  if (status) call.emit("error", status);
  else call.end();
}

/** Starts the account of a call and ties its AbortSignal to the deadline and to the caller. */
function begin(
  call: { getDeadline(): Date | number; once(event: "cancelled", listener: () => void): unknown },
  calls: Calls,
  streaming: boolean,
): { abort: AbortController; end: () => void } | { refused: GrpcRefusal } {
  try {
    const begun = calls.begin(streaming);
    // Kept on the monotonic clock: somebody may set the other one meanwhile.
    const deadlineMs = performance.now() + Number(call.getDeadline()) - Date.now();
    // grpc-js tells both in one event; a deadline that is over by then was the reason.
    let ended = false;
    call.once("cancelled", () => {
      if (ended) return; // told of every call, after its end too
      const late = performance.now() >= deadlineMs - 2;
      begun.abort.abort(
        late
          ? new RuntimeError("deadline-exceeded", "the caller's deadline is over")
          : new RuntimeError("cancelled", "the caller went away"),
      );
    });
    return {
      abort: begun.abort,
      end: () => {
        ended = true;
        begun.end();
      },
    };
  } catch (error) {
    const exhausted = error instanceof RuntimeError && error.kind === "resource-exhausted";
    const code = exhausted ? statusCode.RESOURCE_EXHAUSTED : statusCode.UNAVAILABLE;
    return { refused: { code, details: error instanceof Error ? error.message : "" } };
  }
}

type GrpcRefusal = Pick<GrpcStatus, "code" | "details">;

/** Makes every codec run once, and one call through the whole stack. Its answer does not matter. */
async function warmUp(path: string, services: readonly ServedService[]): Promise<void> {
  for (const { table } of services)
    for (const method of Object.values(table) as unknown as Method[])
      for (const codec of [method.request, method.response]) codec.decode(codec.encode({}));
  const first = services[0] && Object.values(services[0].table)[0];
  if (!first) return;
  const session = connectHttp2("http://localhost", { createConnection: () => connectUnix(path) });
  try {
    session.on("error", () => {});
    const stream = session.request({
      ":method": "POST",
      ":path": first.path,
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.on("error", () => {});
    // A frame: not compressed, length 0.
    stream.end(Buffer.alloc(5));
    stream.resume();
    await once(stream, "close", { signal: AbortSignal.timeout(2_000) }).catch(() => {});
  } finally {
    session.destroy();
  }
}
