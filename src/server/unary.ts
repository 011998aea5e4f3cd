/**
 * The one wrapper around every handler.
 *
 * Enters: the bytes of a request, the caller's deadline and its going away. Leaves: the bytes of the answer, or a
 * status. In between: the request is decoded (broken bytes are the caller's fault: INVALID_ARGUMENT), the deadline
 * and a cancel become one AbortSignal, whatever is thrown becomes a status, and the call becomes one line in the log
 * (method, the ids it was about, how long, how it ended; never a body).
 * Never: lets an error of one call reach another call or the process.
 */
import { performance } from "node:perf_hooks";
import type { Codec, Method } from "../../cri-api/index.ts";
import { DecodeError } from "../../cri-api/index.ts";
import { RuntimeError } from "../errors/runtime-error.ts";
import type { Log } from "../log/log.ts";
import { type GrpcStatus, type StatusName, grpcStatus } from "./grpc-status.ts";

type AnyMethod = Method<unknown, never, unknown, never>;
type Request<M> = M extends { request: Codec<infer Req, infer _> } ? Req : never;
type ResponseInit<M> = M extends { response: Codec<infer _, infer Init> } ? Init : never;

/** The handlers of a service table: promises for plain methods, async iterables for streams. All may be missing. */
export type Handlers<Table> = {
  readonly [Name in keyof Table]?: Table[Name] extends { serverStreaming: true }
    ? (request: Request<Table[Name]>, signal: AbortSignal) => AsyncIterable<ResponseInit<Table[Name]>>
    : (request: Request<Table[Name]>, signal: AbortSignal) => Promise<ResponseInit<Table[Name]>>;
};

/** A handler as the wrapper sees it, for one method of any table. */
export type UnaryHandler = (request: unknown, signal: AbortSignal) => Promise<unknown>;
export type StreamHandler = (request: unknown, signal: AbortSignal) => AsyncIterable<unknown>;

/** Which calls are logged: every one, those that change something or fail, or those that fail. */
export type CallLogging = "all" | "changes" | "errors";

/** One call under way. */
export interface Call {
  readonly method: Method;
  readonly bytes: Uint8Array;
  /** Ended by the deadline, the caller's leaving, or the server's end. */
  readonly signal: AbortSignal;
}

export interface CallOptions {
  readonly log: Log;
  readonly logging: CallLogging;
  /** Told at the end of each call that may have changed something. */
  readonly worked?: () => void;
}

/** Answers one plain call. Never rejects. */
export async function runUnary(
  call: Call,
  handler: UnaryHandler | undefined,
  options: CallOptions,
): Promise<{ bytes: Buffer } | { status: GrpcStatus }> {
  const record = new CallRecord(call, options);
  try {
    const request = record.decode();
    if (!handler) throw unimplemented(call.method);
    const response = await handler(request, call.signal);
    const bytes = call.method.response.encode(response as never);
    record.ended("OK", response);
    return { bytes };
  } catch (error) {
    return { status: record.failed(error) };
  }
}

/**
 * Answers one streaming call: `write` takes each message and resolves when the caller can take more. Never rejects.
 * Returns undefined after a stream that ended by itself.
 */
export async function runStream(
  call: Call,
  handler: StreamHandler | undefined,
  write: (bytes: Buffer) => Promise<void>,
  options: CallOptions,
): Promise<GrpcStatus | undefined> {
  const record = new CallRecord(call, options);
  try {
    const request = record.decode();
    if (!handler) throw unimplemented(call.method);
    for await (const message of handler(request, call.signal)) {
      call.signal.throwIfAborted();
      await write(call.method.response.encode(message as never));
    }
    call.signal.throwIfAborted();
    record.ended("OK");
    return undefined;
  } catch (error) {
    return record.failed(error);
  }
}

function unimplemented(method: AnyMethod | Method): RuntimeError {
  return new RuntimeError(
    "unimplemented",
    `${method.path.slice(1).replace("/", ".")} is not implemented by this version`,
  );
}

/** Methods that only look: a kubelet calls them several times a second for ever. */
const looking =
  /\/(Version|Status|RuntimeConfig|List\w+|Stream\w+|\w+Status|\w+Stats|ImageFsInfo|GetContainerEvents)$/;

/** Whether the method only looks. */
export function looks(method: Pick<Method, "path">): boolean {
  return looking.test(method.path);
}

/** What one call leaves in the log. */
class CallRecord {
  readonly #call: Call;
  readonly #options: CallOptions;
  readonly #startMs = performance.now();
  #subject: Record<string, string> = {};

  constructor(call: Call, options: CallOptions) {
    this.#call = call;
    this.#options = options;
  }

  /** @throws RuntimeError `invalid-argument` */
  decode(): unknown {
    try {
      const request = this.#call.method.request.decode(this.#call.bytes);
      this.#subject = subjectOf(request);
      return request;
    } catch (cause) {
      if (!(cause instanceof DecodeError)) throw cause;
      throw new RuntimeError("invalid-argument", cause.message);
    }
  }

  ended(code: StatusName, response?: unknown): void {
    const { log, logging } = this.#options;
    const quiet = logging === "errors" || (logging === "changes" && looks(this.#call.method));
    if (!quiet) log.info({ ...this.#fields(code), ...subjectOf(response) }, "call");
  }

  failed(error: unknown): GrpcStatus {
    const status = grpcStatus(error, this.#call.signal);
    const { log } = this.#options;
    const fields = { ...this.#fields(status.name), error };
    // What the caller can mend is not the node's trouble; INTERNAL is always ours.
    if (status.name === "INTERNAL") log.error(fields, "call");
    else if (status.name === "NOT_FOUND" || status.name === "CANCELLED" || status.name === "UNIMPLEMENTED")
      log.info(fields, "call");
    else log.warn(fields, "call");
    return status;
  }

  #fields(code: StatusName): Record<string, unknown> {
    return {
      method: this.#call.method.path.slice(this.#call.method.path.lastIndexOf("/") + 1),
      ...this.#subject,
      durationMs: Math.round((performance.now() - this.#startMs) * 100) / 100,
      code,
    };
  }
}

/**
 * The ids and names that a message is about, by the names they have in the CRI. Nothing else of it may be logged:
 * commands, environments, credentials and annotations can hold secrets.
 */
export function subjectOf(message: unknown): Record<string, string> {
  const out: Record<string, string> = {};
  const put = (name: string, value: unknown) => {
    // Cut: an id may be whatever a client sent, up to 16 MiB of it.
    if (typeof value === "string" && value !== "")
      out[name] = value.length > 256 ? `${value.slice(0, 253)}...` : value;
  };
  const at = (value: unknown, key: string): unknown =>
    typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
  const config = at(message, "config");
  const metadata = at(config, "metadata");
  put("pod", at(message, "podSandboxId"));
  put("container", at(message, "containerId"));
  put("name", at(metadata, "name"));
  put("namespace", at(metadata, "namespace"));
  put("handler", at(message, "runtimeHandler"));
  const image = at(message, "image");
  put("image", typeof image === "string" ? image : (at(image, "image") ?? at(at(config, "image"), "image")));
  put("imageRef", at(message, "imageRef"));
  return out;
}
