/** A unary call as bytes: the frame that asks, and what its answer says. Pure. */
import { RuntimeError } from "../errors/runtime-error.ts";
import { encodeFrame, frameType } from "./frame.ts";
import { type Codec, Request, Response } from "./message.ts";
import { errorOfStatus } from "./status.ts";

export interface CallOptions {
  /** Sent along, and kept to on our side too. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Whoever can call a ttrpc server. */
export interface Caller {
  call<Req, ReqInit, Res, ResInit>(
    service: string,
    method: string,
    request: Codec<Req, ReqInit>,
    response: Codec<Res, ResInit>,
    message: ReqInit,
    options: CallOptions,
  ): Promise<Res>;
}

/** @throws RuntimeError `resource-exhausted` for more than a frame may hold. */
export function encodeCall(
  stream: number,
  service: string,
  method: string,
  payload: Uint8Array,
  { timeoutMs, metadata = {} }: CallOptions,
): Buffer {
  const request = Request.encode({
    service,
    method,
    payload,
    timeoutNano: BigInt(Math.max(1, Math.round(timeoutMs))) * 1_000_000n,
    metadata: Object.entries(metadata).map(([key, value]) => ({ key, value })),
  });
  return encodeFrame(stream, frameType.request, 0, request);
}

/** Reads the data of the frame that answers. @throws RuntimeError of the peer's status; `internal` for what is no answer. */
export function decodeResult<Res, ResInit>(
  method: string,
  response: Codec<Res, ResInit>,
  data: Uint8Array,
): Res {
  const { status, payload } = decode(method, Response, data);
  if (status !== undefined && status.code !== 0) throw errorOfStatus(status.code, status.message, method);
  return decode(method, response, payload);
}

function decode<T, Init>(method: string, codec: Codec<T, Init>, data: Uint8Array): T {
  try {
    return codec.decode(data);
  } catch (cause) {
    throw new RuntimeError("internal", `${method}: the answer is malformed`, { cause });
  }
}
