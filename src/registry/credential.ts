/**
 * Credentials of a pull. A secret leaves this file only as the header or form field that it was given for: it is
 * held in private fields, which neither a log, JSON nor an error shows.
 */
import { createHmac, randomBytes } from "node:crypto";
import { RuntimeError } from "../errors/runtime-error.ts";

/** What a caller gives, as in CRI's AuthConfig; absent and "" are the same. */
export interface RegistryAuth {
  readonly username?: string;
  readonly password?: string;
  /** base64 of `username:password`. */
  readonly auth?: string;
  /** The registry that this is for, as a host or an address; "": the one of the reference. */
  readonly serverAddress?: string;
  /** Exchanged for an access token at the token server. */
  readonly identityToken?: string;
  /** A bearer token for the registry itself. */
  readonly registryToken?: string;
}

export type CredentialKind = "anonymous" | "basic" | "identity-token" | "registry-token";

// Known to this process alone, so that a cache key tells nothing about the secret behind it.
const keySecret = randomBytes(32);

export class Credential {
  static readonly anonymous = new Credential("anonymous", "", "");

  readonly kind: CredentialKind;
  /** Equal for equal credentials, within this process. Not a secret. */
  readonly key: string;
  readonly #username: string;
  readonly #secret: string;

  private constructor(kind: CredentialKind, username: string, secret: string) {
    this.kind = kind;
    this.#username = username;
    this.#secret = secret;
    this.key =
      kind === "anonymous"
        ? "anonymous"
        : createHmac("sha256", keySecret)
            .update(JSON.stringify([kind, username, secret]))
            .digest("base64url");
  }

  /**
   * Password, then identity token, then `auth`, then registry token: the first that is there.
   * @throws RuntimeError `invalid-argument`, without quoting what was given.
   */
  static of(auth: RegistryAuth | undefined): Credential {
    if (!auth) return Credential.anonymous;
    const { username = "", password = "", identityToken = "", registryToken = "" } = auth;
    if (username !== "" && password !== "") return new Credential("basic", username, password);
    if (identityToken !== "") return new Credential("identity-token", username, identityToken);
    if (auth.auth) return Credential.#decode(auth.auth);
    if (registryToken !== "") {
      if (!isHeaderToken(registryToken))
        throw malformed("registry token has characters that no header carries");
      return new Credential("registry-token", "", registryToken);
    }
    return username === "" ? Credential.anonymous : new Credential("basic", username, "");
  }

  static #decode(auth: string): Credential {
    // Docker pads the decoded text with NUL bytes in old files and trims them again.
    const text = Buffer.from(auth, "base64").toString("utf8").replace(/\0+$/, "");
    const colon = text.indexOf(":");
    if (colon <= 0) throw malformed("auth is not base64 of username:password");
    return new Credential("basic", text.slice(0, colon), text.slice(colon + 1));
  }

  /** The Authorization header of basic authentication. Only for kind `basic`. */
  basicHeader(): string {
    return `Basic ${Buffer.from(`${this.#username}:${this.#secret}`).toString("base64")}`;
  }

  /** Only for kind `registry-token`. */
  bearerHeader(): string {
    return `Bearer ${this.#secret}`;
  }

  /** The form field of a token server. Only for kind `identity-token`. */
  refreshToken(): string {
    return this.#secret;
  }

  get username(): string {
    return this.#username;
  }

  /** `text` with this secret blacked out, in its plain and its base64 form: for words that a registry sent back. */
  redact(text: string): string {
    if (this.#secret.length === 0) return text;
    const basic = Buffer.from(`${this.#username}:${this.#secret}`).toString("base64");
    return text.replaceAll(this.#secret, "***").replaceAll(basic, "***");
  }
}

/** Whether `text` can stand in a header as one word. */
export function isHeaderToken(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text);
}

function malformed(message: string): RuntimeError {
  return new RuntimeError("invalid-argument", `registry credentials: ${message}`);
}
