/**
 * Reading JSON that a registry sent: types are checked field by field, absent and null are the same (Go's writers
 * leave either), and what comes out has no prototype to poison.
 */
import { RuntimeError } from "../errors/runtime-error.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

/** One object of a document and where it stands in it, so that an error can name the field. */
export class Fields {
  readonly #object: JsonObject;
  readonly #where: string;

  constructor(object: JsonObject, where: string) {
    this.#object = object;
    this.#where = where;
  }

  get where(): string {
    return this.#where;
  }

  has(key: string): boolean {
    return this.#get(key) !== undefined;
  }

  string(key: string): string | undefined {
    const value = this.#get(key);
    if (value === undefined || typeof value === "string") return value;
    throw this.#wrong(key, "a string");
  }

  /** A string, "" when absent. Bytes that no process argument can carry are refused. */
  text(key: string): string {
    const value = this.string(key) ?? "";
    if (value.includes("\0")) throw this.#wrong(key, "text without a NUL byte");
    return value;
  }

  /** A whole number from 0 up that JavaScript holds exactly. */
  size(key: string): number | undefined {
    const value = this.#get(key);
    if (value === undefined) return undefined;
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
    throw this.#wrong(key, "a whole number of bytes");
  }

  number(key: string): number | undefined {
    const value = this.#get(key);
    if (value === undefined || typeof value === "number") return value;
    throw this.#wrong(key, "a number");
  }

  object(key: string): Fields | undefined {
    const value = this.#get(key);
    if (value === undefined) return undefined;
    if (!isObject(value)) throw this.#wrong(key, "an object");
    return new Fields(value, `${this.#where}.${key}`);
  }

  /** Absent: undefined. */
  objects(key: string, limit: number): Fields[] | undefined {
    return this.#array(key, limit)?.map((value, i) => {
      if (!isObject(value)) throw this.#wrong(`${key}[${i}]`, "an object");
      return new Fields(value, `${this.#where}.${key}[${i}]`);
    });
  }

  /** Absent: empty. */
  texts(key: string, limit: number): string[] {
    return (this.#array(key, limit) ?? []).map((value, i) => {
      if (typeof value !== "string" || value.includes("\0")) {
        throw this.#wrong(`${key}[${i}]`, "text without a NUL byte");
      }
      return value;
    });
  }

  /** A map of strings; absent: empty. */
  textMap(key: string): Record<string, string> {
    const out: Record<string, string> = Object.create(null);
    for (const [name, value] of Object.entries(this.#members(key))) {
      if (typeof value !== "string") throw this.#wrong(`${key}.${name}`, "a string");
      out[name] = value;
    }
    return out;
  }

  /** The keys of an object used as a set, as in `"Volumes": {"/data": {}}`. */
  keys(key: string): string[] {
    const names = Object.keys(this.#members(key));
    for (const name of names) if (name.includes("\0")) throw this.#wrong(key, "names without a NUL byte");
    return names;
  }

  /**
   * Refuses keys that other readers would take for one of `known`: Go matches names without regard to case, so
   * such a document has two readings (CVE-2021-41190).
   */
  refuseLookalikes(known: readonly string[]): void {
    const exact = new Map(known.map((name) => [name.toLowerCase(), name]));
    for (const key of Object.keys(this.#object)) {
      const meant = exact.get(key.toLowerCase());
      if (meant !== undefined && meant !== key) {
        throw new RuntimeError(
          "invalid-argument",
          `${this.#where} spells "${meant}" as ${JSON.stringify(key)}`,
        );
      }
    }
  }

  #members(key: string): JsonObject {
    const inner = this.object(key);
    return inner ? inner.#object : {};
  }

  #array(key: string, limit: number): unknown[] | undefined {
    const value = this.#get(key);
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) throw this.#wrong(key, "an array");
    if (value.length > limit) throw this.#wrong(key, `at most ${limit} entries, not ${value.length}`);
    return value;
  }

  #get(key: string): unknown {
    return Object.hasOwn(this.#object, key) ? (this.#object[key] ?? undefined) : undefined;
  }

  #wrong(key: string, expected: string): RuntimeError {
    return new RuntimeError("invalid-argument", `${this.#where}: ${key} must be ${expected}`);
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * @param what names the document in errors, e.g. "manifest".
 * @throws RuntimeError `invalid-argument` when `bytes` are not UTF-8 JSON with an object at the top.
 */
export function parseDocument(bytes: Uint8Array, what: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    // The parser's own message quotes the document: hostile text, so it is left out.
    throw new RuntimeError("invalid-argument", `${what} is not valid JSON`, {
      cause: cause instanceof RangeError ? cause : undefined,
    });
  }
  if (!isObject(value)) throw new RuntimeError("invalid-argument", `${what} is not a JSON object`);
  return new Fields(value, what);
}
