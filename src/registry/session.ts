/**
 * Requests to one repository at one endpoint: authorized, and repeated where repeating may help.
 */
import { repositoryName, type Reference } from "../oci/reference.ts";
import type { Credential } from "./credential.ts";
import type { Endpoint } from "./endpoint.ts";
import { errorBodyText, RegistryError, statusFailure } from "./failure.ts";
import { backoffMs, parseRetryAfter, pause, type RegistryTiming } from "./retry.ts";
import type { Authorizer, Grantee } from "./token.ts";
import type { Answer, Transport } from "./transport.ts";

export interface SessionRequest {
  readonly method: "GET" | "HEAD";
  /** Below the repository, e.g. `manifests/latest`. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** For messages. */
  readonly what: string;
}

export class Session {
  readonly endpoint: Endpoint;
  readonly #grantee: Grantee;
  readonly #base: string;
  readonly #query: string;
  readonly #transport: Transport;
  readonly #authorizer: Authorizer;
  readonly #timing: RegistryTiming;

  constructor(o: {
    endpoint: Endpoint;
    reference: Reference;
    credential: Credential;
    transport: Transport;
    authorizer: Authorizer;
    timing: RegistryTiming;
  }) {
    const { endpoint, reference } = o;
    this.endpoint = endpoint;
    this.#grantee = {
      origin: endpoint.origin,
      registry: endpoint.isMirror ? new URL(endpoint.origin).host : reference.registry,
      repository: reference.repository,
      credential: o.credential,
    };
    this.#base = `${endpoint.origin}${endpoint.apiPath}${reference.repository}/`;
    // What pull-through mirrors of several registries go by.
    this.#query = endpoint.isMirror ? `?ns=${encodeURIComponent(reference.registry)}` : "";
    this.#transport = o.transport;
    this.#authorizer = o.authorizer;
    this.#timing = o.timing;
  }

  /** Repeats `attempt` while its failure says that this may help, with growing pauses. */
  async repeat<T>(attempt: () => Promise<T>, signal: AbortSignal): Promise<T> {
    for (let failures = 1; ; failures++) {
      try {
        return await attempt();
      } catch (error) {
        signal.throwIfAborted();
        const pauseMs = pauseAfter(error, failures, this.#timing);
        if (pauseMs === undefined) throw error;
        await pause(pauseMs, signal);
      }
    }
  }

  /**
   * One try (renewed authorization and redirects included).
   * @returns an answer with a status of 200 or 206, its body unread.
   * @throws RegistryError, fit for `repeat`; the signal's reason.
   */
  async request(request: SessionRequest, signal: AbortSignal): Promise<Answer> {
    const call = {
      method: request.method,
      url: new URL(`${this.#base}${request.path}${this.#query}`),
      headers: request.headers ?? {},
    };
    let authorization = await this.#authorizer.header(this.#grantee, signal);
    for (let tries = 1; ; tries++) {
      const answer = await this.#transport.send({ ...call, authorization }, signal);
      if (answer.status === 200 || answer.status === 206) return answer;
      // Only the registry itself asks for credentials, not a server that it redirected to.
      if (answer.status === 401 && tries <= 2 && answer.origin === this.endpoint.origin) {
        const challenge = answer.headers["www-authenticate"];
        const next = await this.#authorizer.answer(this.#grantee, challenge, authorization, signal);
        if (next !== undefined) {
          await answer.body.discard(signal);
          authorization = next;
          continue;
        }
      }
      if (answer.status === 401) this.#authorizer.forget(this.#grantee);
      throw await this.#failure(request, answer, authorization, signal);
    }
  }

  async #failure(
    request: SessionRequest,
    answer: Answer,
    authorization: string | undefined,
    signal: AbortSignal,
  ): Promise<RegistryError> {
    const { credential } = this.#grantee;
    const isOwn = answer.origin === this.endpoint.origin;
    const body = await answer.body.excerpt(signal);
    const sent = authorization?.slice(authorization.indexOf(" ") + 1);
    const said = isOwn ? credential.redact(errorBodyText(body)) : "";
    return statusFailure(answer.status, {
      registry: this.#grantee.registry,
      origin: answer.origin,
      what: request.what,
      anonymous: credential.kind === "anonymous",
      said: sent ? said.replaceAll(sent, "***") : said,
      retryAfterMs: parseRetryAfter(answer.headers["retry-after"], Date.now()),
    });
  }
}

/** The pause before the next try; undefined when there is none. `failures` counts from 1. */
export function pauseAfter(error: unknown, failures: number, timing: RegistryTiming): number | undefined {
  if (!(error instanceof RegistryError) || error.retry === "no") return undefined;
  const tries = error.retry === "connect" ? timing.connectAttempts : timing.attempts;
  if (failures >= tries) return undefined;
  const asked = Math.min(error.retryAfterMs ?? 0, timing.retryAfterCapMs);
  return Math.max(asked, backoffMs(timing, failures));
}

/** `manifest docker.io/library/busybox:latest` style names for messages. */
export function describe(kind: string, reference: Reference, digest?: string): string {
  const name = repositoryName(reference);
  if (digest !== undefined) return `${kind} ${name}@${digest}`;
  return `${kind} ${name}${reference.digest ? `@${reference.digest}` : `:${reference.tag}`}`;
}
