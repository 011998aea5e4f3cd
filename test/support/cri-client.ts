/** A typed client for any CRI socket, kobako's or a peer's. Tests and hack/bench use it. */
import {
  Client,
  type ClientReadableStream,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { imageService, type Method, runtimeService } from "../../cri-api/index.ts";
import { within } from "./slowness.ts";

export interface CallOptions {
  /** Default 30 s, more on a slow machine. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

type AnyMethod = Method<never, never, unknown, never>;
type Request<M> = M extends { request: { encode(message: infer Init): unknown } } ? Init : never;
type Response<M> = M extends { response: { decode(bytes: Uint8Array): infer Res } } ? Res : never;
type Call<M> = M extends { serverStreaming: true }
  ? (request: Request<M>, o?: CallOptions) => AsyncIterable<Response<M>>
  : (request: Request<M>, o?: CallOptions) => Promise<Response<M>>;
type Calls<S> = { readonly [K in keyof S]: Call<S[K]> };

export type CriCalls = Calls<typeof runtimeService> & Calls<typeof imageService>;
export type CriClient = CriCalls & { close(): void };

/** What the server said, with the call's name in front. `code` is a gRPC status. */
export class CriError extends Error {
  override readonly name = "CriError";
  readonly code: status;
  readonly details: string;

  constructor(method: string, error: ServiceError) {
    super(`${method}: ${status[error.code]}: ${error.details}`);
    this.code = error.code;
    this.details = error.details;
  }
}

const maxMessageBytes = 16 << 20;

/** Connects lazily to `endpoint`, a path or "unix:///path". */
export function criClient(endpoint: string): CriClient {
  const path = endpoint.replace(/^unix:(\/\/)?/, "");
  const client = new Client(`unix:${path}`, credentials.createInsecure(), {
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": maxMessageBytes,
    // A daemon that is killed and started again is found at once.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 200,
    "grpc.enable_channelz": 0,
  });
  const calls: Record<string, unknown> = { close: () => client.close() };
  for (const [name, method] of [...Object.entries(runtimeService), ...Object.entries(imageService)])
    calls[name] = makeCall(client, name, method as unknown as AnyMethod);
  return calls as unknown as CriClient;
}

function makeCall(client: Client, name: string, method: AnyMethod) {
  const encode = (message: unknown): Buffer => Buffer.from(method.request.encode(message as never));
  const decode = (bytes: Buffer): unknown => method.response.decode(bytes);
  const deadline = (o: CallOptions) => ({ deadline: Date.now() + (o.timeoutMs ?? within(30_000)) });
  if (method.serverStreaming) {
    return async function* stream(request: unknown, o: CallOptions = {}) {
      const call: ClientReadableStream<unknown> = client.makeServerStreamRequest(
        method.path,
        encode,
        decode,
        request,
        new Metadata(),
        o.timeoutMs === undefined ? {} : deadline(o),
      );
      const cancel = () => call.cancel();
      o.signal?.addEventListener("abort", cancel, { once: true });
      try {
        yield* call;
      } catch (error) {
        const failure = error as ServiceError;
        if (!(o.signal?.aborted && failure.code === status.CANCELLED)) throw new CriError(name, failure);
      } finally {
        o.signal?.removeEventListener("abort", cancel);
        call.cancel();
      }
    };
  }
  return (request: unknown, o: CallOptions = {}) =>
    new Promise<unknown>((resolve, reject) => {
      const call = client.makeUnaryRequest(
        method.path,
        encode,
        decode,
        request,
        new Metadata(),
        deadline(o),
        (error, response) => {
          o.signal?.removeEventListener("abort", cancel);
          if (error) reject(new CriError(name, error));
          else resolve(response);
        },
      );
      const cancel = () => call.cancel();
      o.signal?.addEventListener("abort", cancel, { once: true });
    });
}
