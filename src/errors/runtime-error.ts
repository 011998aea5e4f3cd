/**
 * The one error type of the domain and the mechanisms: a kind, a sentence, a subject and a cause.
 * Knows no gRPC; `src/server/grpc-status.ts` holds the only table from kind to status code.
 */
export type ErrorKind =
  | "invalid-argument"
  | "not-found"
  | "already-exists"
  | "failed-precondition"
  | "resource-exhausted"
  | "permission-denied"
  | "unauthenticated"
  | "unimplemented"
  | "unavailable"
  | "cancelled"
  | "deadline-exceeded"
  | "aborted"
  | "internal";

/**
 * A failure that a caller can act on. The message is lower case, names the thing and what was
 * expected; context is added by wrapping (`cause`), never by "failed to".
 * `subject`: ids and paths for the log, never secrets.
 */
export class RuntimeError extends Error {
  override readonly name = "RuntimeError";
  readonly kind: ErrorKind;
  readonly subject: Readonly<Record<string, string>>;

  constructor(
    kind: ErrorKind,
    message: string,
    more: { subject?: Record<string, string>; cause?: unknown } = {},
  ) {
    super(message, { cause: more.cause });
    this.kind = kind;
    this.subject = more.subject ?? {};
  }
}

/** The sentence of `error` and of its causes, joined by ": ". What a client is shown. */
export function errorText(error: unknown): string {
  const parts: string[] = [];
  for (let e: unknown = error, depth = 0; e !== undefined && e !== null && depth < 8; depth++) {
    const text = e instanceof Error ? e.message : String(e);
    if (text !== "" && !parts.some((part) => part.includes(text))) parts.push(text);
    e = e instanceof Error ? e.cause : undefined;
  }
  return parts.join(": ");
}

/** What the machine has too little of, by errno. */
const noRoom: ReadonlySet<unknown> = new Set(["ENOSPC", "EDQUOT", "EMFILE", "ENFILE", "ENOMEM"]);

/**
 * The kind of `error`: its own when it is a RuntimeError, `cancelled` for an abort, `resource-exhausted`
 * when the system says so, else `internal`.
 */
export function errorKind(error: unknown): ErrorKind {
  if (error instanceof RuntimeError) return error.kind;
  if (error instanceof Error && "code" in error && noRoom.has(error.code)) return "resource-exhausted";
  if (error instanceof Error && error.name === "AbortError") return "cancelled";
  if (error instanceof Error && error.name === "TimeoutError") return "deadline-exceeded";
  return "internal";
}
