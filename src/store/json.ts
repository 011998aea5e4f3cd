/**
 * JSON with exact 64-bit integers and bytes: `{"$n":"123"}` is a bigint, `{"$b":"base64"}` bytes.
 * A caller's own object with one key that starts with "$" (labels may) is kept as `{"$o":[key,value]}`.
 */
export function toJson(value: unknown): string {
  return JSON.stringify(encode(value));
}

/** The inverse of `toJson`. `T` is the caller's promise: only this process wrote the text. */
export function fromJson<T>(text: string): T {
  return decode(JSON.parse(text)) as T;
}

/** Whether JSON can say it as it is. Most values are; finding out costs a tenth of a copy. */
function isPlain(value: unknown): boolean {
  if (typeof value === "bigint") return false;
  if (typeof value !== "object" || value === null) return true;
  if (Array.isArray(value)) return value.every(isPlain);
  if (value instanceof Uint8Array) return false;
  for (const [key, v] of Object.entries(value)) if (key.startsWith("$") || !isPlain(v)) return false;
  return true;
}

function encode(value: unknown): unknown {
  if (isPlain(value)) return value;
  if (typeof value === "bigint") return { $n: value.toString() };
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Uint8Array) return { $b: Buffer.from(value).toString("base64") };
  if (Array.isArray(value)) return value.map(encode);
  const entries = Object.entries(value).filter(([, v]) => v !== undefined);
  const only = entries.length === 1 ? entries[0] : undefined;
  if (only?.[0].startsWith("$")) return { $o: [only[0], encode(only[1])] };
  return fromEntries(entries.map(([k, v]) => [k, encode(v)]));
}

function decode(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(decode);
  const entries = Object.entries(value);
  if (entries.length === 1 && entries[0] !== undefined) {
    const [key, v] = entries[0];
    if (key === "$n") return BigInt(v as string);
    if (key === "$b") return new Uint8Array(Buffer.from(v as string, "base64"));
    if (key === "$o")
      return fromEntries([[(v as [string, unknown])[0], decode((v as [string, unknown])[1])]]);
  }
  return fromEntries(entries.map(([k, v]) => [k, decode(v)]));
}

/** Without a prototype to poison: `__proto__` is a key like any other. */
function fromEntries(entries: readonly (readonly [string, unknown])[]): object {
  const out: Record<string, unknown> = Object.create(null);
  for (const [k, v] of entries) out[k] = v;
  return out;
}
