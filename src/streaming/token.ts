/**
 * One-use tokens: what stands between a stream and everyone who can reach its port.
 * Enters: a value, once. Leaves: that value, once, to whoever shows the token within its life.
 * Unknown, used and expired tokens are one case, also in time: a token is found by a keyed digest of it, so
 * no comparison meets the secret itself.
 */
import { createHmac, randomBytes } from "node:crypto";
import { performance } from "node:perf_hooks";
import { RuntimeError } from "../errors/runtime-error.ts";

const tokenBytes = 16;
/** base64url without padding. */
export const tokenPattern = /^[A-Za-z0-9_-]{22}$/;

export interface TokenOptions {
  readonly lifetimeMs?: number;
  /** Tokens that nobody has used yet, at a time. */
  readonly capacity?: number;
  /** Monotonic. */
  readonly nowMs?: () => number;
}

export class Tokens<T> {
  readonly #key = randomBytes(32);
  readonly #lifetimeMs: number;
  readonly #capacity: number;
  readonly #nowMs: () => number;
  /** By digest, oldest first: all live equally long. */
  readonly #open = new Map<string, { value: T; expiresAtMs: number }>();

  constructor(o: TokenOptions = {}) {
    this.#lifetimeMs = o.lifetimeMs ?? 60_000;
    this.#capacity = o.capacity ?? 1000;
    this.#nowMs = o.nowMs ?? (() => performance.now());
  }

  /** Tokens that are neither used nor expired. */
  get size(): number {
    this.#expire();
    return this.#open.size;
  }

  /** @throws RuntimeError `resource-exhausted` when too many wait for their use. */
  issue(value: T): string {
    this.#expire();
    if (this.#open.size >= this.#capacity) {
      throw new RuntimeError(
        "resource-exhausted",
        `${this.#capacity} streaming requests wait for their client: try again in a minute`,
      );
    }
    const token = randomBytes(tokenBytes).toString("base64url");
    this.#open.set(this.#digest(token), { value, expiresAtMs: this.#nowMs() + this.#lifetimeMs });
    return token;
  }

  /** The value of `token`, which is worth nothing from now on; undefined when it is not, or no longer, one. */
  take(token: string): T | undefined {
    const digest = this.#digest(token);
    this.#expire();
    const entry = this.#open.get(digest);
    this.#open.delete(digest);
    return entry?.value;
  }

  clear(): void {
    this.#open.clear();
  }

  #expire(): void {
    const now = this.#nowMs();
    for (const [digest, { expiresAtMs }] of this.#open) {
      if (expiresAtMs > now) return;
      this.#open.delete(digest);
    }
  }

  #digest(token: string): string {
    return createHmac("sha256", this.#key).update(token).digest("base64");
  }
}
