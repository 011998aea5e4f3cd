/** gRPC's codes, which ttrpc answers with, and the kinds of our errors. Pure. */
import { type ErrorKind, RuntimeError } from "../errors/runtime-error.ts";

const codes = {
  cancelled: 1,
  "invalid-argument": 3,
  "deadline-exceeded": 4,
  "not-found": 5,
  "already-exists": 6,
  "permission-denied": 7,
  "resource-exhausted": 8,
  "failed-precondition": 9,
  aborted: 10,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const satisfies Record<ErrorKind, number>;

const kinds = new Map<number, ErrorKind>(
  Object.entries(codes).map(([kind, code]) => [code, kind as ErrorKind]),
);

/** Longest text of a peer that goes into an error. */
const maxText = 4096;

export function statusCode(kind: ErrorKind): number {
  return codes[kind];
}

/** The error that a peer answered with; UNKNOWN (2) and codes that nobody has are `internal`. */
export function errorOfStatus(code: number, message: string, method: string): RuntimeError {
  const text = message.slice(0, maxText).trim();
  return new RuntimeError(kinds.get(code) ?? "internal", text === "" ? `${method}: status ${code}` : text, {
    subject: { method },
  });
}
