/**
 * A ttrpc server: unary methods on a unix socket.
 * Enters: handlers by service and method, which get and give encoded messages. Leaves: answers, or statuses.
 * Hostile clients: frames, connections and calls are capped; what is no ttrpc cuts its connection, that one only.
 */
import { createServer, type Server, type Socket } from "node:net";
import { RuntimeError } from "../errors/runtime-error.ts";
import { type Codec, Request, Response } from "./message.ts";
import { encodeFrame, FrameParser, flag, frameType, type Frame } from "./frame.ts";
import { statusCode } from "./status.ts";

const maxConnections = 64;
const maxCallsPerConnection = 256;

export interface CallContext {
  readonly metadata: Readonly<Record<string, string>>;
  /** Aborted when the caller's time is over or its connection ended. */
  readonly signal: AbortSignal;
}

type Handler = (payload: Uint8Array, context: CallContext) => Promise<Uint8Array>;

/** One method: a typed handler as the server keeps it. */
export function method<Req, ReqInit, Res, ResInit>(
  request: Codec<Req, ReqInit>,
  response: Codec<Res, ResInit>,
  handle: (message: Req, context: CallContext) => ResInit | Promise<ResInit>,
): Handler {
  return async (payload, context) => {
    let message: Req;
    try {
      message = request.decode(payload);
    } catch (cause) {
      throw new RuntimeError("invalid-argument", "the request is malformed", { cause });
    }
    return response.encode(await handle(message, context));
  };
}

export type Services = Readonly<Record<string, Readonly<Record<string, Handler>>>>;

export class TtrpcServer implements AsyncDisposable {
  readonly #services: Services;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(services: Services) {
    this.#services = services;
    this.#server = createServer((socket) => this.#serve(socket));
    this.#server.maxConnections = maxConnections;
  }

  /** Listens at `path`, which must be free. */
  static async listen(path: string, services: Services): Promise<TtrpcServer> {
    const made = new TtrpcServer(services);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    made.#server.once("error", reject);
    made.#server.listen(path, resolve);
    await promise;
    return made;
  }

  /** Stops listening and cuts every connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    for (const socket of this.#sockets) socket.destroy();
    await promise;
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    const parser = new FrameParser();
    const calls = new Map<number, AbortController>();
    let lastStream = 0;
    const answer = (
      stream: number,
      response: { status?: { code: number; message: string } } | Uint8Array,
    ) => {
      if (socket.destroyed) return;
      const bytes =
        response instanceof Uint8Array ? Response.encode({ payload: response }) : Response.encode(response);
      socket.write(encodeFrame(stream, frameType.response, 0, bytes));
    };
    const refuse = (stream: number, error: unknown) => {
      const known = error instanceof RuntimeError ? error : new RuntimeError("internal", String(error));
      answer(stream, { status: { code: statusCode(known.kind), message: known.message } });
    };
    const take = ({ stream, type, flags, data }: Frame): void => {
      if (type !== frameType.request || stream % 2 === 0 || stream <= lastStream)
        throw new RuntimeError("internal", `frame of type ${type} on stream ${stream} begins no call`);
      lastStream = stream;
      if ((flags & flag.remoteOpen) !== 0) {
        refuse(stream, new RuntimeError("unimplemented", "streams are not offered"));
        return;
      }
      const request = Request.decode(data);
      const handle = this.#services[request.service]?.[request.method];
      if (handle === undefined || calls.size >= maxCallsPerConnection) {
        refuse(
          stream,
          handle === undefined
            ? new RuntimeError("unimplemented", `no method ${request.service}/${request.method}`)
            : new RuntimeError("resource-exhausted", "too many calls are under way"),
        );
        return;
      }
      const over = new AbortController();
      calls.set(stream, over);
      const timer =
        request.timeoutNano > 0n
          ? setTimeout(
              () => over.abort(new RuntimeError("deadline-exceeded", `${request.method}: its time is over`)),
              Math.min(Number(request.timeoutNano / 1_000_000n), 0x7fff_ffff),
            )
          : undefined;
      const metadata = Object.fromEntries(request.metadata.map(({ key, value }) => [key, value]));
      handle(request.payload, { metadata, signal: over.signal })
        .then(
          (payload) => answer(stream, payload),
          (error: unknown) => refuse(stream, error),
        )
        .finally(() => {
          clearTimeout(timer);
          calls.delete(stream);
        });
    };
    socket.on("data", (bytes: Buffer) => {
      try {
        parser.feed(bytes, take);
      } catch {
        socket.destroy(); // not ttrpc, or not a request: nothing more can be understood
      }
    });
    socket.on("error", () => {}); // `close` follows
    socket.on("close", () => {
      this.#sockets.delete(socket);
      for (const call of calls.values()) call.abort(new RuntimeError("cancelled", "the caller is gone"));
    });
  }
}
