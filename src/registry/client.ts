/**
 * Registries: finds and fetches manifests and blobs over the distribution protocol.
 * Enters: references, credentials of one call, settings of hosts. Leaves: bytes, verified by size and (documents) digest.
 * Keeps: connections and tokens in memory. Never: writes a file, knows layers or images, sends a credential to a host
 * that it was not given for, falls back to plain http unasked.
 * Source: distribution-spec 1.1, "Pull".
 */
import { findDigest, sha256, verifyDigest } from "../oci/digest.ts";
import { type Descriptor, manifestAccept, maxDocumentBytes } from "../oci/manifest.ts";
import type { Reference } from "../oci/reference.ts";
import { RuntimeError } from "../errors/runtime-error.ts";
import { streamBlob } from "./blob.ts";
import { Credential, type RegistryAuth } from "./credential.ts";
import { type Endpoint, endpointsOf, isServerAddressOf, type RegistryHosts, settingsOf } from "./endpoint.ts";
import { RegistryError } from "./failure.ts";
import { defaultTiming, type RegistryTiming } from "./retry.ts";
import { describe, Session } from "./session.ts";
import { Authorizer } from "./token.ts";
import { Transport } from "./transport.ts";

export type { RegistryAuth } from "./credential.ts";
export { Credential } from "./credential.ts";
export type { RegistryHostSettings, RegistryHosts } from "./endpoint.ts";
export { RegistryError } from "./failure.ts";
export type { RegistryTiming } from "./retry.ts";

export interface RegistryDocument {
  readonly digest: string;
  /** The Content-Type header. */
  readonly contentType: string | undefined;
  readonly bytes: Uint8Array;
}

export class RegistryClient {
  readonly #hosts: () => RegistryHosts;
  readonly #timing: RegistryTiming;
  readonly #transport: Transport;
  readonly #authorizer: Authorizer;

  /**
   * @param o.hosts is asked at every pull, so that a reloaded configuration holds from the next one on. Equal
   * configurations should give the same objects: connections are kept per settings object.
   */
  constructor(o: { hosts: () => RegistryHosts; timing?: Partial<RegistryTiming>; userAgent?: string }) {
    this.#hosts = o.hosts;
    this.#timing = { ...defaultTiming, ...o.timing };
    this.#transport = new Transport({
      hosts: o.hosts,
      timing: this.#timing,
      userAgent: o.userAgent ?? "kobako",
    });
    this.#authorizer = new Authorizer(this.#transport);
  }

  /**
   * The repository of `reference`, for one pull.
   * @param auth is for the registry of the reference alone; mirrors get what the settings of their own host say.
   * @throws RuntimeError `invalid-argument` for malformed credentials or mirror addresses.
   */
  repository(reference: Reference, auth?: RegistryAuth): Repository {
    const hosts = this.#hosts();
    const given = Credential.of(
      isServerAddressOf(auth?.serverAddress, reference.registry) ? auth : undefined,
    );
    const sessions = endpointsOf(reference.registry, hosts).map(
      (endpoint) =>
        new Session({
          endpoint,
          reference,
          credential: credentialFor(endpoint, reference, given, hosts),
          transport: this.#transport,
          authorizer: this.#authorizer,
          timing: this.#timing,
        }),
    );
    return new Repository(reference, sessions, this.#timing);
  }

  /** Closes idle connections and token requests; pulls end by their own signals. */
  close(): void {
    this.#authorizer.close();
    this.#transport.close();
  }
}

function credentialFor(
  endpoint: Endpoint,
  reference: Reference,
  given: Credential,
  hosts: RegistryHosts,
): Credential {
  if (endpoint.isMirror) return Credential.of(settingsOf(hosts, new URL(endpoint.origin).host).auth);
  return given.kind === "anonymous" ? Credential.of(settingsOf(hosts, reference.registry).auth) : given;
}

/** One repository, asked through its endpoints: the one that answered last is asked first. */
export class Repository {
  readonly reference: Reference;
  readonly #sessions: Session[];
  readonly #timing: RegistryTiming;

  constructor(reference: Reference, sessions: Session[], timing: RegistryTiming) {
    this.reference = reference;
    this.#sessions = sessions;
    this.#timing = timing;
  }

  /**
   * What the reference stands for now: its digest (asked by HEAD, which hubs do not count as a pull), or the whole
   * document where a registry does not tell the digest.
   * @throws RegistryError `not-found`, `unauthenticated`, `permission-denied`, `unavailable`, `resource-exhausted`.
   */
  async resolve(signal: AbortSignal): Promise<{ digest: string; document: RegistryDocument | undefined }> {
    if (this.reference.digest) return { digest: this.reference.digest, document: undefined };
    return await this.#first(async (session) => {
      const digest = await this.#head(session, this.reference.tag ?? "", signal);
      if (digest !== undefined) return { digest, document: undefined };
      const document = await this.#document(session, this.reference.tag ?? "", undefined, signal);
      return { digest: document.digest, document };
    }, signal);
  }

  /**
   * Asks the registry whether this caller may have the manifest with `digest`: for content that is here already.
   * Errors as `resolve`.
   */
  async confirm(digest: string, signal: AbortSignal): Promise<void> {
    await this.#first(async (session) => {
      if ((await this.#head(session, digest, signal)) !== digest)
        await this.#document(session, digest, digest, signal);
    }, signal);
  }

  /** The manifest or index with this digest, verified. Errors as `resolve`, and `invalid-argument` for another content. */
  async manifest(digest: string, signal: AbortSignal): Promise<RegistryDocument> {
    return await this.#first((session) => this.#document(session, digest, digest, signal), signal);
  }

  /** A small blob, whole and verified. Errors as `manifest`. */
  async document(blob: Descriptor, what: string, signal: AbortSignal): Promise<Uint8Array> {
    if (blob.sizeBytes > maxDocumentBytes) {
      throw new RuntimeError(
        "invalid-argument",
        `${what} of ${blob.sizeBytes} bytes is over the limit of ${maxDocumentBytes}`,
      );
    }
    const parts: Uint8Array[] = [];
    for await (const chunk of this.blob(blob, signal)) parts.push(chunk);
    const bytes = Buffer.concat(parts);
    verifyDigest(bytes, blob.digest, `${what} of ${describe("image", this.reference)}`);
    return bytes;
  }

  /**
   * The bytes of a blob in order, exactly as many as its descriptor says. Its digest is the reader's to check.
   * Broken connections are resumed. Can be called again.
   */
  blob(blob: Descriptor, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
    const request = {
      method: "GET",
      path: `blobs/${blob.digest}`,
      what: describe("blob", this.reference, blob.digest),
    } as const;
    const open = (offset: number, inner: AbortSignal) =>
      this.#first((session) => {
        const headers: Record<string, string> = offset > 0 ? { range: `bytes=${offset}-` } : {};
        return session.repeat(() => session.request({ ...request, headers }, inner), inner);
      }, inner);
    return streamBlob(blob, { open, demote: () => this.#demote() }, this.#timing, signal);
  }

  /** The digest by HEAD; undefined when this registry does not tell it that way. */
  async #head(session: Session, name: string, signal: AbortSignal): Promise<string | undefined> {
    const path = `manifests/${name}`;
    const what = describe("manifest", this.reference);
    try {
      const request = { method: "HEAD", path, what, headers: { accept } } as const;
      const answer = await session.repeat(() => session.request(request, signal), signal);
      await answer.body.discard(signal);
      const digest = answer.headers["docker-content-digest"];
      return typeof digest === "string" && findDigest(digest) ? digest : undefined;
    } catch (error) {
      if (error instanceof RegistryError && [400, 405, 501].includes(error.status ?? 0)) return undefined;
      throw error;
    }
  }

  async #document(
    session: Session,
    name: string,
    expected: string | undefined,
    signal: AbortSignal,
  ): Promise<RegistryDocument> {
    const what = describe("manifest", this.reference, expected);
    return await session.repeat(async () => {
      const answer = await session.request(
        { method: "GET", path: `manifests/${name}`, what, headers: { accept } },
        signal,
      );
      const bytes = await answer.body.bytes(maxDocumentBytes, "manifest", signal);
      if (expected !== undefined) verifyDigest(bytes, expected, what);
      return { digest: expected ?? sha256(bytes), contentType: answer.headers["content-type"], bytes };
    }, signal);
  }

  /** Asks the endpoints in order until one answers; what they said is kept for the error. */
  async #first<T>(ask: (session: Session) => Promise<T>, signal: AbortSignal): Promise<T> {
    const failures: RuntimeError[] = [];
    for (const session of [...this.#sessions]) {
      if (session.endpoint.onlyIfUnreachable && !isUnreachable(failures.at(-1)) && failures.length > 0)
        continue;
      try {
        const answer = await ask(session);
        this.#promote(session);
        return answer;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof RuntimeError)) throw error;
        failures.push(error);
      }
    }
    throw summary(failures, this.reference);
  }

  #promote(session: Session): void {
    const at = this.#sessions.indexOf(session);
    if (at > 0) this.#sessions.unshift(...this.#sessions.splice(at, 1));
  }

  #demote(): void {
    const first = this.#sessions.shift();
    if (first) this.#sessions.push(first);
  }
}

function isUnreachable(failure: RuntimeError | undefined): boolean {
  return failure instanceof RegistryError && failure.retry === "connect";
}

const accept = manifestAccept.join(", ");

/** The registry's own answer decides the kind; the mirrors' are told beside it. */
function summary(failures: readonly RuntimeError[], reference: Reference): RuntimeError {
  const last = failures.at(-1);
  if (!last) return new RuntimeError("internal", `registry ${reference.registry} has no endpoint`);
  if (failures.length === 1) return last;
  const text = failures.map(({ message }) => message).join("; ");
  return new RegistryError(last.kind, text, {
    retry: failures.some((failure) => failure instanceof RegistryError && failure.retry === "later")
      ? "later"
      : "no",
    cause: last.cause,
  });
}
