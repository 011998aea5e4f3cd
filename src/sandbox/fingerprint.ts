import { hash } from "node:crypto";
import { RuntimeError } from "../errors/runtime-error.ts";
import { toJson } from "../store/json.ts";

/** Hash of each field of a request; the key is volatile, so a stored hash tells nothing of a secret. */
export type Fingerprint = Readonly<Record<string, string>>;

/**
 * One keyed hash per field of `request`, fields in any order, nested keys in sorted order. The key goes before the
 * text, and of the hash 132 of 256 bits are kept: nobody can go on with a cut hash, so it needs no HMAC (which costs
 * 20 times as much here).
 */
export function fingerprint(request: object, key: Uint8Array): Fingerprint {
  const out: Record<string, string> = Object.create(null);
  const prefix = Buffer.from(key).toString("base64");
  for (const [field, value] of Object.entries(request)) {
    if (value === undefined) continue; // as if it were not there
    out[field] = hash("sha256", prefix + toJson(sorted(value)), "base64").slice(0, 22);
  }
  return out;
}

/**
 * Says whether `asked` is the request that made `existing`.
 * @throws RuntimeError `already-exists` that names the first field that differs, and the id.
 */
export function assertSameRequest(what: string, id: string, existing: Fingerprint, asked: Fingerprint): void {
  for (const field of Object.keys({ ...existing, ...asked })) {
    if (existing[field] === asked[field]) continue;
    throw new RuntimeError(
      "already-exists",
      `${what} exists as ${id} with another ${field}: remove it first, or ask for another attempt`,
      { subject: { id } },
    );
  }
}

function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(sorted);
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, v]) => [k, sorted(v)]),
  );
}
