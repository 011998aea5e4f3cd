/**
 * Authentication at registries: basic, and bearer tokens from a token server. Credentials go to the registry's own
 * origin, or over https to the token server that it names (CVE-2019-10214); tokens are kept per origin, repository and
 * credential.
 * Source: distribution's token and oauth2 specifications.
 */
import { RuntimeError } from "../errors/runtime-error.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import { type Credential, isHeaderToken } from "./credential.ts";
import { RegistryError, statusFailure } from "./failure.ts";
import { parseRetryAfter } from "./retry.ts";
import type { Answer, Call, Transport } from "./transport.ts";

const maxTokenAnswerBytes = 1 << 20;
const maxTokenLength = 24 << 10;
const maxKept = 256;
/** For one token, redirects included. */
const tokenMs = 60_000;
const defaultLifeMs = 60_000;
const maxLifeMs = 3600_000;

/** Whose authorization, and for what. */
export interface Grantee {
  /** Origin of the endpoint. */
  readonly origin: string;
  /** As references name it, for messages. */
  readonly registry: string;
  readonly repository: string;
  readonly credential: Credential;
}

interface Grant {
  readonly challenge: Challenge | undefined;
  /** The whole header. */
  readonly header: string;
  /** Monotonic, milliseconds. */
  readonly expiresAtMs: number;
}

export class Authorizer {
  readonly #transport: Transport;
  readonly #nowMs: () => number;
  readonly #grants = new Map<string, Grant>();
  readonly #underWay = new Map<string, Promise<Grant>>();
  readonly #closing = new AbortController();

  constructor(transport: Transport, nowMs: () => number = () => performance.now()) {
    this.#transport = transport;
    this.#nowMs = nowMs;
  }

  close(): void {
    this.#closing.abort();
  }

  /** The Authorization header that the last challenge led to, renewed when its time is over; undefined: none known. */
  async header(grantee: Grantee, signal: AbortSignal): Promise<string | undefined> {
    if (grantee.credential.kind === "registry-token") return grantee.credential.bearerHeader();
    const grant = this.#grants.get(keyOf(grantee));
    if (!grant) return undefined;
    if (this.#nowMs() < grant.expiresAtMs) return grant.header;
    return (await this.#renew(grantee, grant.challenge, signal)).header;
  }

  /**
   * Answers a 401.
   * @param refused the header that was sent, undefined when none was.
   * @returns the header to try next; undefined when there is nothing better to offer.
   * @throws RegistryError of the token server.
   */
  async answer(
    grantee: Grantee,
    wwwAuthenticate: string | undefined,
    refused: string | undefined,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const { credential } = grantee;
    if (credential.kind === "registry-token") return undefined;
    const known = this.#grants.get(keyOf(grantee));
    if (known && known.header !== refused && this.#nowMs() < known.expiresAtMs) return known.header;
    this.#grants.delete(keyOf(grantee));

    const challenges = parseChallenges(wwwAuthenticate);
    const bearer = challenges.find(
      ({ scheme, parameters }) => scheme === "bearer" && parameters.has("realm"),
    );
    if (bearer) return (await this.#renew(grantee, bearer, signal)).header;
    if (credential.kind === "basic" && challenges.some(({ scheme }) => scheme === "basic")) {
      const header = credential.basicHeader();
      if (header === refused) return undefined;
      this.#keep(grantee, { challenge: undefined, header, expiresAtMs: Number.POSITIVE_INFINITY });
      return header;
    }
    return undefined;
  }

  /** Forgets what was refused, so that it is not sent again. */
  forget(grantee: Grantee): void {
    this.#grants.delete(keyOf(grantee));
  }

  /** Asks the token server; calls for the same grant share one request, which none of them alone can cancel. */
  async #renew(grantee: Grantee, challenge: Challenge | undefined, signal: AbortSignal): Promise<Grant> {
    const key = keyOf(grantee);
    let asking = this.#underWay.get(key);
    if (!asking) {
      const ends = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(tokenMs)]);
      asking = this.#fetch(grantee, challenge, ends).finally(() => this.#underWay.delete(key));
      asking.catch(() => undefined); // every caller may have left
      this.#underWay.set(key, asking);
    }
    const grant = await untilAborted(asking, signal);
    this.#keep(grantee, grant);
    return grant;
  }

  async #fetch(grantee: Grantee, challenge: Challenge | undefined, signal: AbortSignal): Promise<Grant> {
    if (!challenge) throw new RuntimeError("internal", "a grant without a challenge does not expire");
    const realm = realmOf(grantee, challenge);
    let bytes: Uint8Array;
    try {
      const answer = await this.#transport.send(tokenCall(grantee, challenge, realm), signal);
      if (answer.status !== 200) throw await refusal(grantee, realm, answer, signal);
      bytes = await answer.body.bytes(maxTokenAnswerBytes, "token", signal);
    } catch (cause) {
      if (!signal.aborted) throw cause;
      const message = `token server ${realm.origin} gave no token within ${tokenMs} ms`;
      throw new RegistryError("unavailable", message, { retry: "later", cause });
    }
    const { token, lifeMs } = parseToken(bytes, realm.origin);
    // Renewed a little early: the answer took time to come, and the next request takes time to arrive.
    const margin = Math.min(10_000, lifeMs / 4);
    return { challenge, header: `Bearer ${token}`, expiresAtMs: this.#nowMs() + lifeMs - margin };
  }

  #keep(grantee: Grantee, grant: Grant): void {
    const key = keyOf(grantee);
    this.#grants.delete(key);
    this.#grants.set(key, grant);
    for (const oldest of this.#grants.keys()) {
      if (this.#grants.size <= maxKept) break;
      this.#grants.delete(oldest);
    }
  }
}

function keyOf({ origin, repository, credential }: Grantee): string {
  return `${origin} ${repository} ${credential.key}`;
}

/** The token server's address. @throws RegistryError when credentials must not go there. */
function realmOf(grantee: Grantee, challenge: Challenge): URL {
  const { origin, credential } = grantee;
  const refuse = (why: string) =>
    new RegistryError(
      "unauthenticated",
      `registry ${origin} names a token server that ${why}; no credentials were sent`,
    );
  let url: URL;
  try {
    url = new URL(challenge.parameters.get("realm") ?? "");
  } catch {
    throw refuse("is no address");
  }
  if (url.username !== "" || url.password !== "") throw refuse("has credentials in its address");
  if (url.protocol === "https:" || url.origin === origin) return url;
  if (url.protocol !== "http:" || origin.startsWith("https:") || credential.kind !== "anonymous") {
    throw refuse(`is not https: ${url.protocol}//${url.host}`);
  }
  return url; // an anonymous token, from plain http to plain http
}

function tokenCall(grantee: Grantee, challenge: Challenge, realm: URL): Call {
  const { credential, repository } = grantee;
  const service = challenge.parameters.get("service");
  const scopes = (challenge.parameters.get("scope") ?? "").split(" ").filter((scope) => scope !== "");
  if (scopes.length === 0) scopes.push(`repository:${repository}:pull`);
  if (credential.kind === "identity-token") {
    const form = new URLSearchParams({
      grant_type: "refresh_token",
      client_id: "kobako",
      refresh_token: credential.refreshToken(),
      scope: scopes.join(" "),
    });
    if (service !== undefined) form.set("service", service);
    return {
      method: "POST",
      url: realm,
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: form.toString(),
    };
  }
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set("service", service);
  for (const scope of scopes) url.searchParams.append("scope", scope);
  const authorization = credential.kind === "basic" ? credential.basicHeader() : undefined;
  return { method: "GET", url, authorization };
}

async function refusal(
  grantee: Grantee,
  realm: URL,
  answer: Answer,
  signal: AbortSignal,
): Promise<RegistryError> {
  await answer.body.discard(signal);
  const context = {
    registry: grantee.registry,
    origin: grantee.origin,
    what: `${grantee.repository}: token server ${realm.host} answered HTTP ${answer.status}`,
    anonymous: grantee.credential.kind === "anonymous",
    said: "",
    retryAfterMs: parseRetryAfter(answer.headers["retry-after"], Date.now()),
  };
  // 400 and 404 are how some servers say that they do not know the account or the repository.
  const status = answer.status >= 500 || answer.status === 429 ? answer.status : 401;
  return statusFailure(status, context);
}

function parseToken(bytes: Uint8Array, origin: string): { token: string; lifeMs: number } {
  const bad = () => new RegistryError("unavailable", `token server ${origin} sent no usable token`);
  let answer: unknown;
  try {
    answer = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw bad();
  }
  const { token, access_token, expires_in } = (answer ?? {}) as Record<string, unknown>;
  const text = typeof token === "string" && token !== "" ? token : access_token;
  if (typeof text !== "string" || text.length > maxTokenLength || !isHeaderToken(text)) throw bad();
  const seconds = typeof expires_in === "number" && Number.isFinite(expires_in) ? expires_in : 0;
  const lifeMs = seconds > 0 ? Math.min(seconds * 1000, maxLifeMs) : defaultLifeMs;
  return { token: text, lifeMs };
}

async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
