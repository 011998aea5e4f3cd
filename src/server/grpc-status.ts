/**
 * From errors to gRPC statuses: the only table. A kind of error without a row does not type-check.
 * The numbers are the protocol's (grpc/grpc doc/statuscodes.md), so that a client need not load a gRPC library.
 */
import { errorKind, errorText, type ErrorKind } from "../errors/runtime-error.ts";

export const statusCode = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;
export type StatusName = keyof typeof statusCode;

const statusOfKind = {
  "invalid-argument": "INVALID_ARGUMENT",
  "not-found": "NOT_FOUND",
  "already-exists": "ALREADY_EXISTS",
  "failed-precondition": "FAILED_PRECONDITION",
  "resource-exhausted": "RESOURCE_EXHAUSTED",
  "permission-denied": "PERMISSION_DENIED",
  unauthenticated: "UNAUTHENTICATED",
  unimplemented: "UNIMPLEMENTED",
  unavailable: "UNAVAILABLE",
  cancelled: "CANCELLED",
  "deadline-exceeded": "DEADLINE_EXCEEDED",
  aborted: "ABORTED",
  internal: "INTERNAL",
} as const satisfies Record<ErrorKind, StatusName>;

/**
 * The longest message a client is sent, in UTF-16 units. It travels in a header, percent-encoded to three times its
 * size or more, and clients refuse header lists beyond 8 to 16 KiB: then they would see no status at all.
 */
const maxDetails = 2048;

export interface GrpcStatus {
  readonly name: StatusName;
  readonly code: number;
  readonly details: string;
}

/**
 * What a client is told about `error`: never a stack. When `signal` was aborted and the error is only the abort
 * coming back, the reason of the abort tells more (deadline or client gone).
 */
export function grpcStatus(error: unknown, signal?: AbortSignal): GrpcStatus {
  const aborted = signal?.aborted && error instanceof Error && error.name === "AbortError";
  const cause = aborted ? signal.reason : error;
  const name = statusOfKind[errorKind(cause)];
  // Well formed: grpc-js percent-encodes the text and throws on half a surrogate pair.
  return { name, code: statusCode[name], details: cut(errorText(cause)).toWellFormed() };
}

function cut(text: string): string {
  return text.length <= maxDetails ? text : `${text.slice(0, maxDetails - 3)}...`;
}
