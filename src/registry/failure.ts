/** What went wrong at a registry, in words that help and hold no secret, and whether asking again may help. */
import { RuntimeError, type ErrorKind } from "../errors/runtime-error.ts";

/** `no`: the answer will not change. `connect`: nothing answered. `later`: it may be better in a while. */
export type Retry = "no" | "connect" | "later";

export class RegistryError extends RuntimeError {
  readonly retry: Retry;
  /** What a Retry-After header asked for. */
  readonly retryAfterMs: number | undefined;
  /** Of the answer, when there was one. */
  readonly status: number | undefined;

  constructor(
    kind: ErrorKind,
    message: string,
    more: { retry?: Retry; retryAfterMs?: number | undefined; status?: number; cause?: unknown } = {},
  ) {
    super(kind, message, { cause: more.cause });
    this.retry = more.retry ?? "no";
    this.retryAfterMs = more.retryAfterMs;
    this.status = more.status;
  }
}

/** A connection that could not be made. `origin` is scheme, host and port. */
export function connectionFailure(origin: string, error: unknown): RegistryError {
  if (error instanceof RegistryError) return error;
  const code = codeOf(error);
  const advice = tlsAdvice(code, origin);
  if (advice !== undefined) {
    return new RegistryError("unavailable", `registry ${origin}: ${textOf(error)}${advice}`, {
      retry: code === "EPROTO" ? "connect" : "no",
    });
  }
  return new RegistryError("unavailable", `registry ${origin} is not reachable: ${textOf(error)}`, {
    retry: connectCodes.has(code) ? "connect" : "later",
  });
}

const connectCodes = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EAI_FAIL",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EADDRNOTAVAIL",
  "ETIMEDOUT",
]);

function tlsAdvice(code: string, origin: string): string | undefined {
  const host = new URL(origin).host;
  switch (code) {
    case "CERT_NOT_YET_VALID":
      return "; is this machine's clock right?";
    case "CERT_HAS_EXPIRED":
      return "; renew the registry's certificate, or check this machine's clock";
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return "";
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
      return `; name its authority as ca in [registries."${host}"]`;
    case "EPROTO":
      return `; if it speaks plain http, set insecure in [registries."${host}"]`;
    default:
      return code.startsWith("ERR_TLS") || code.startsWith("ERR_SSL") || code.startsWith("CERT_")
        ? ""
        : undefined;
  }
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === "string" ? code : "";
}

/** The words of a network error. Node joins the attempts at several addresses in an AggregateError without words. */
function textOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) {
    return [...new Set(error.errors.map((e) => (e instanceof Error ? e.message : String(e))))].join(", ");
  }
  if (!(error instanceof Error)) return String(error);
  const code = codeOf(error);
  if (code === "EPROTO") return "TLS handshake broke off (EPROTO)"; // the original quotes OpenSSL source lines
  // Behind "; " comes advice on Node's own options, which nobody sets here.
  return error.message.split("; ", 1)[0] || code || error.name;
}

export interface StatusContext {
  /** As the reference names it. */
  readonly registry: string;
  /** Of the endpoint asked: scheme, host and port. */
  readonly origin: string;
  /** What was asked for, e.g. `manifest docker.io/library/busybox:latest`. */
  readonly what: string;
  readonly anonymous: boolean;
  /** What the registry said about it, redacted; "" when nothing. */
  readonly said: string;
  readonly retryAfterMs: number | undefined;
}

/** An answer that is not a success. */
export function statusFailure(status: number, c: StatusContext): RegistryError {
  const said = c.said === "" ? "" : ` (${c.said})`;
  const remedy = c.anonymous
    ? `give credentials in imagePullSecrets or [registries."${c.registry}"]`
    : `check the credentials given in imagePullSecrets or [registries."${c.registry}"]`;
  switch (status) {
    case 401:
      return new RegistryError(
        "unauthenticated",
        `registry ${c.origin} wants authentication for ${c.what}${said}; ${remedy}`,
      );
    case 403:
      return new RegistryError(
        "permission-denied",
        `registry ${c.origin} denies access to ${c.what}${said}; ${remedy}`,
      );
    case 404:
      return new RegistryError("not-found", `${c.what} is not in registry ${c.origin}${said}`);
    case 429:
      return new RegistryError(
        "resource-exhausted",
        `registry ${c.origin} limits the rate of requests${said}`,
        {
          retry: "later",
          retryAfterMs: c.retryAfterMs,
        },
      );
    default:
      return new RegistryError(
        "unavailable",
        `registry ${c.origin} answered HTTP ${status} for ${c.what}${said}`,
        {
          status,
          retry: (status >= 500 && status !== 501) || status === 408 || status === 425 ? "later" : "no",
          retryAfterMs: c.retryAfterMs,
        },
      );
  }
}

/**
 * The code and message of a registry's JSON error body, made fit for one line of a log. Hostile text: only printable
 * characters, at most 200 of them.
 * Source: distribution-spec, "Error Codes".
 */
export function errorBodyText(body: Uint8Array): string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder().decode(body));
  } catch {
    return "";
  }
  const errors = (parsed as { errors?: unknown } | null)?.errors;
  const first: unknown = Array.isArray(errors) ? errors[0] : undefined;
  const { code, message } = (first ?? {}) as { code?: unknown; message?: unknown };
  const words = [code, message].filter((word): word is string => typeof word === "string" && word !== "");
  return printable(words.join(": ")).slice(0, 200);
}

function printable(text: string): string {
  // Queries of signed addresses are secrets too.
  return text.replace(/\?\S*=\S*/g, "?...").replace(/[^\x20-\x7e]+/g, " ");
}
