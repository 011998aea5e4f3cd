/**
 * Content digests, `algorithm:hex`. A digest is checked before it names anything: a request, a file or a record.
 * Source: image-spec descriptor.md, "Digests".
 */
import { createHash, type Hash } from "node:crypto";
import { RuntimeError } from "../errors/runtime-error.ts";

/** Length of the hex part by algorithm. The allow-list: every other algorithm is refused. */
const hexLength = { sha256: 64, sha512: 128 } as const;

export type DigestAlgorithm = keyof typeof hexLength;

export interface Digest {
  readonly algorithm: DigestAlgorithm;
  /** Lower case. */
  readonly hex: string;
}

/**
 * The parts of `text`, or undefined when it is not a digest of a known algorithm in its one written form
 * (lower case, exact length).
 */
export function findDigest(text: string): Digest | undefined {
  const colon = text.indexOf(":");
  const algorithm = text.slice(0, Math.max(colon, 0));
  if (!isAlgorithm(algorithm)) return undefined;
  const hex = text.slice(colon + 1);
  if (hex.length !== hexLength[algorithm] || !/^[0-9a-f]+$/.test(hex)) return undefined;
  return { algorithm, hex };
}

function isAlgorithm(text: string): text is DigestAlgorithm {
  return Object.hasOwn(hexLength, text);
}

/**
 * The parts of `text`.
 * @param what names the digest in the error, e.g. "layer 3".
 * @throws RuntimeError `invalid-argument`.
 */
export function parseDigest(text: string, what = "digest"): Digest {
  const digest = findDigest(text);
  if (digest) return digest;
  const shown = JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}...` : text);
  throw new RuntimeError("invalid-argument", `${what} ${shown} is not sha256 or sha512 in lower-case hex`);
}

/** The sha256 digest of `bytes`. */
export function sha256(bytes: Uint8Array | string): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/**
 * Hashes a document or a stream and compares it to the digest that was promised.
 * `update` in order, then `check` once.
 */
export class DigestVerifier {
  readonly #expected: string;
  readonly #hash: Hash;
  readonly #algorithm: DigestAlgorithm;

  /** @throws RuntimeError `invalid-argument` when `expected` is not a digest. */
  constructor(expected: string) {
    this.#expected = expected;
    this.#algorithm = parseDigest(expected).algorithm;
    this.#hash = createHash(this.#algorithm);
  }

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  /** @throws RuntimeError `invalid-argument` naming both digests. */
  check(what: string): void {
    const got = `${this.#algorithm}:${this.#hash.digest("hex")}`;
    if (got === this.#expected) return;
    throw new RuntimeError("invalid-argument", `${what} has digest ${got}, expected ${this.#expected}`);
  }
}

/** Checks a whole document. @throws RuntimeError `invalid-argument` naming both digests. */
export function verifyDigest(bytes: Uint8Array, expected: string, what: string): void {
  const verifier = new DigestVerifier(expected);
  verifier.update(bytes);
  verifier.check(what);
}
