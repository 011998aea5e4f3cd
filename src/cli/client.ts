/**
 * A gRPC client of a unix socket in one small file, on node:http2: the command must start in a blink, and a whole
 * gRPC library costs more than most commands do.
 *
 * Enters: a method of cri-api and a request. Leaves: the answer, or an error that tells what to do.
 */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
} from "node:http2";
import { connect as connectUnix } from "node:net";
import type { Codec, Method } from "../../cri-api/index.ts";
import { type StatusName, statusCode } from "../server/grpc-status.ts";
import { CliError, exitCode } from "./cli-error.ts";

/** The largest answer that is taken, bytes; and how many items it may have: lists of a big node are long. */
const maxMessageBytes = 64 << 20;
const maxItems = 1 << 23;
const windowBytes = 4 << 20;

type Request<M> = M extends { request: Codec<infer _, infer Init> } ? Init : never;
type Response<M> = M extends { response: Codec<infer Res, infer _> } ? Res : never;
type AnyMethod = Method<unknown, never, unknown, never>;

/** What the daemon answered instead of a message. */
export class StatusError extends CliError {
  readonly status: StatusName;

  constructor(method: string, code: number, details: string) {
    const names = Object.entries(statusCode) as [StatusName, number][];
    const status = names.find(([, number]) => number === code)?.[0] ?? "UNKNOWN";
    super(details === "" ? `${method}: ${status}` : details, exitCode.failed);
    this.status = status;
  }
}

export interface CallOptions {
  /** 0: no deadline. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

const usual: CallOptions = { timeoutMs: 120_000 };

/** A connection to the daemon, opened by the first call. */
export class Daemon implements Disposable {
  readonly path: string;
  /** One for all calls, also for those that begin while it is being opened. */
  #session: Promise<ClientHttp2Session> | undefined;
  readonly #opened = new Set<ClientHttp2Session>();

  /** @param address "unix:///path" or "/path" */
  constructor(address: string) {
    this.path = address.replace(/^unix:(\/\/)?/, "");
    if (!this.path.startsWith("/"))
      throw new CliError(`address ${address} must be unix:///path/of/the/socket`, exitCode.usage);
  }

  /** @throws CliError when no daemon answers, StatusError when it answers with an error */
  async call<M extends AnyMethod>(
    method: M,
    request: Request<M>,
    o: CallOptions = usual,
  ): Promise<Response<M>> {
    for await (const response of this.stream(method, request, o)) return response;
    throw new CliError(`${shortName(method)}: the daemon answered nothing`, exitCode.failed);
  }

  /** All messages that `method` answers with. */
  async *stream<M extends AnyMethod>(
    method: M,
    request: Request<M>,
    o: CallOptions = usual,
  ): AsyncGenerator<Response<M>> {
    const stream = (await this.#connected()).request({
      ":method": "POST",
      ":path": method.path,
      "content-type": "application/grpc",
      te: "trailers",
      ...(o.timeoutMs > 0 ? { "grpc-timeout": `${Math.min(o.timeoutMs, 99_999_999)}m` } : {}),
    });
    const abort = () => stream.close();
    o.signal?.addEventListener("abort", abort, { once: true });
    const ended = status(stream);
    ended.catch(() => {});
    try {
      stream.end(frame(method.request.encode(request as never)));
      for await (const bytes of frames(stream)) yield method.response.decode(bytes, maxItems) as Response<M>;
      const { code, details } = await ended;
      if (code !== statusCode.OK) throw new StatusError(shortName(method), code, details);
    } catch (error) {
      o.signal?.throwIfAborted();
      throw this.#lost(error);
    } finally {
      o.signal?.removeEventListener("abort", abort);
      stream.close();
    }
  }

  [Symbol.dispose](): void {
    for (const session of this.#opened) session.destroy();
    this.#session = undefined;
  }

  async #connected(): Promise<ClientHttp2Session> {
    const before = this.#session;
    const known = await before?.catch(() => undefined);
    // A daemon that was started again since is connected to anew, once.
    if (before === this.#session && (!known || known.closed || known.destroyed)) this.#session = undefined;
    this.#session ??= this.#connect();
    return await this.#session;
  }

  async #connect(): Promise<ClientHttp2Session> {
    const socket = connectUnix(this.path);
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once("connect", resolve);
        socket.once("error", reject);
      });
    } catch (cause) {
      throw this.#unreachable(cause as NodeJS.ErrnoException);
    }
    const session = connect("http://localhost", {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: windowBytes },
    });
    // Calls under way see the same error; this only keeps it from ending the process.
    session.on("error", () => {});
    session.on("connect", () => session.setLocalWindowSize(windowBytes));
    this.#opened.add(session);
    session.once("close", () => this.#opened.delete(session));
    return session;
  }

  #unreachable(error: NodeJS.ErrnoException): CliError {
    if (error.code === "ENOENT" || error.code === "ECONNREFUSED")
      return new CliError(
        `kobakod is not running at ${this.path}: start it with "systemctl start kobako" or "kobako daemon", or name another socket with --address`,
        exitCode.unreachable,
      );
    if (error.code === "EACCES" || error.code === "EPERM")
      return new CliError(`no permission for ${this.path}: run this as root`, exitCode.unreachable);
    return new CliError(`connect to ${this.path}: ${error.message}`, exitCode.unreachable);
  }

  #lost(error: unknown): unknown {
    if (error instanceof CliError || !(error instanceof Error)) return error;
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (!code.startsWith("ERR_HTTP2") && code !== "ECONNRESET" && code !== "EPIPE") return error;
    return new CliError(
      `kobakod at ${this.path} ended the connection (${error.message}): see its log`,
      exitCode.unreachable,
    );
  }
}

function shortName(method: { readonly path: string }): string {
  return method.path.slice(method.path.lastIndexOf("/") + 1);
}

/** A message on the wire: not compressed, length, bytes. */
function frame(bytes: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

async function* frames(stream: ClientHttp2Stream): AsyncGenerator<Buffer> {
  let chunks: Buffer[] = [];
  let have = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    have += chunk.length;
    for (;;) {
      const head =
        have < 5
          ? undefined
          : Buffer.concat(chunks.length > 1 && (chunks[0]?.length ?? 0) < 5 ? chunks : chunks.slice(0, 1));
      const need = head ? 5 + head.readUInt32BE(1) : 5;
      if (need > maxMessageBytes)
        throw new CliError(`the daemon answers with ${need} bytes at once: too many`, exitCode.failed);
      if (have < need) break;
      const all = Buffer.concat(chunks);
      yield all.subarray(5, need);
      chunks = all.length > need ? [all.subarray(need)] : [];
      have -= need;
    }
  }
}

/** The status that ends a call: in the trailers, or in the headers when there was nothing else to say. An error: none. */
function status(stream: ClientHttp2Stream): Promise<{ code: number; details: string }> {
  return new Promise((resolve, reject) => {
    const take = (headers: IncomingHttpHeaders) => {
      const code = headers["grpc-status"];
      if (code === undefined) return;
      resolve({ code: Number(code), details: decode(String(headers["grpc-message"] ?? "")) });
    };
    stream.on("response", take);
    stream.on("trailers", take);
    stream.once("error", reject);
    stream.once("close", () => reject(Object.assign(new Error("no answer"), { code: "ECONNRESET" })));
  });
}

/** grpc-message is percent-encoded. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
