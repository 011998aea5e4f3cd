/**
 * The kinds of settings: what may stand in a file, what it becomes, how it is shown. Each is a value, so that the
 * reader, `config print` and docs/config.md all work from the same table.
 */

/** One setting. `T`: what the program gets. */
export interface Field<T> {
  readonly type: "field";
  /** For the reference: "path", "bytes", ... */
  readonly kind: string;
  readonly fallback: T;
  readonly doc: string;
  /** Taken over by SIGHUP; the others need a restart. */
  readonly hot: boolean;
  /** Never shown. */
  readonly secret: boolean;
  /** Turns what TOML gives, or the text of a flag, into a value. Throws an Error whose message names what was expected. */
  parse(raw: unknown): T;
  /** The value as it would be written in a file. */
  show(value: T): unknown;
}

/** A table whose keys the user chooses: `[runtimes.NAME]`. */
export interface TableOf<S> {
  readonly type: "tables";
  readonly doc: string;
  /** How the key is called in the reference. */
  readonly key: string;
  readonly entry: S;
  readonly hot: boolean;
  /** @throws Error when `name` cannot be a key. */
  checkKey(name: string): void;
}

export interface Section {
  readonly [key: string]: Field<unknown> | TableOf<Section> | Section;
}

interface More {
  readonly hot?: boolean;
  readonly secret?: boolean;
}

function field<T>(
  kind: string,
  fallback: T,
  doc: string,
  parse: (raw: unknown) => T,
  more: More = {},
  show: (value: T) => unknown = (value) => value,
): Field<T> {
  return {
    type: "field",
    kind,
    fallback,
    doc,
    hot: more.hot ?? false,
    secret: more.secret ?? false,
    parse,
    show,
  };
}

function expected(what: string): never {
  throw new Error(`must be ${what}`);
}

export function text(fallback: string, doc: string, more?: More): Field<string> {
  return field("text", fallback, doc, asText, more);
}

function asText(raw: unknown): string {
  if (typeof raw !== "string") expected("text in quotes");
  // A NUL ends a path early in the kernel; a line break ends a line in whatever it is written into.
  if (/[\0\r\n]/.test(raw)) expected("text on one line");
  return raw;
}

/** An absolute path. `fallback` "" means that it follows from others, as `doc` says. */
export function path(fallback: string, doc: string, more?: More): Field<string> {
  return field("path", fallback, doc, (raw) => (raw === fallback ? fallback : asPath(raw)), more);
}

function asPath(raw: unknown): string {
  const value = asText(raw);
  if (!value.startsWith("/")) expected("an absolute path");
  if (value.split("/").includes("..")) expected('a path without ".."');
  return value.length > 1 ? value.replace(/\/+$/, "") : value;
}

export function paths(fallback: readonly string[], doc: string, more?: More): Field<readonly string[]> {
  return field("list of paths", fallback, doc, (raw) => asList(raw).map(asPath), more);
}

export function texts(fallback: readonly string[], doc: string, more?: More): Field<readonly string[]> {
  return field("list of texts", fallback, doc, (raw) => asList(raw).map(asText), more);
}

function asList(raw: unknown): readonly unknown[] {
  if (!Array.isArray(raw)) expected('a list, such as ["a", "b"]');
  return raw;
}

export function flag(fallback: boolean, doc: string, more?: More): Field<boolean> {
  const parse = (raw: unknown) => {
    if (raw === true || raw === "true") return true;
    if (raw === false || raw === "false") return false;
    return expected("true or false");
  };
  return field("true or false", fallback, doc, parse, more);
}

export function oneOf<const T extends string>(
  choices: readonly T[],
  fallback: T,
  doc: string,
  more?: More,
): Field<T> {
  const parse = (raw: unknown) =>
    choices.find((choice) => choice === raw) ?? expected(`one of ${choices.join(", ")}`);
  return field(choices.map((choice) => `"${choice}"`).join(", "), fallback, doc, parse, more);
}

export function count(fallback: number, min: number, max: number, doc: string, more?: More): Field<number> {
  const parse = (raw: unknown) => {
    const value = typeof raw === "string" && /^\d+$/.test(raw) ? Number(raw) : raw;
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min || value > max)
      expected(`a whole number from ${min} to ${max}`);
    return value as number;
  };
  return field(`number, ${min} to ${max}`, fallback, doc, parse, more);
}

const byteUnits: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1 << 10,
  MiB: 1 << 20,
  GiB: 1 << 30,
  TiB: 2 ** 40,
};

/** A size: "16MiB", or a number of bytes. */
export function bytes(fallback: number, min: number, max: number, doc: string, more?: More): Field<number> {
  const parse = (raw: unknown) => {
    const match = typeof raw === "string" ? /^(\d+) ?(B|[KMGT]iB)?$/.exec(raw) : null;
    const value = match ? Number(match[1]) * (byteUnits[match[2] ?? "B"] ?? 1) : raw;
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min || value > max)
      expected(`a size from ${showBytes(min)} to ${showBytes(max)}, such as "16MiB"`);
    return value as number;
  };
  return field("size", fallback, doc, parse, more, showBytes);
}

/** In the largest unit that divides it. */
export function showBytes(value: number): string {
  const units = Object.entries(byteUnits).toReversed();
  const [name, size] = units.find(([, unit]) => value % unit === 0 && value >= unit) ?? ["B", 1];
  return `${value / size}${name}`;
}

const timeUnitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** A length of time, milliseconds: "5s", "500ms"; 0 means never, where `min` allows it. */
export function duration(
  fallback: number,
  min: number,
  max: number,
  doc: string,
  more?: More,
): Field<number> {
  const parse = (raw: unknown) => {
    const match = typeof raw === "string" ? /^(\d{1,9}) ?(ms|s|m|h)$/.exec(raw) : null;
    const zero = raw === 0 || raw === "0" ? 0 : Number.NaN;
    const value = match ? Number(match[1]) * (timeUnitsMs[match[2] ?? ""] ?? 0) : zero;
    if (!(value >= min && value <= max))
      expected(`a length of time from ${showDuration(min)} to ${showDuration(max)}, such as "5s"`);
    return value;
  };
  return field("time", fallback, doc, parse, more, showDuration);
}

/** In the largest unit that divides it. */
function showDuration(ms: number): string {
  const units = Object.entries(timeUnitsMs).toReversed();
  const [name, size] = units.find(([, unit]) => ms % unit === 0 && ms >= unit) ?? ["s", 1000];
  return `${ms / size}${name}`;
}

/** Free pairs of name and text. */
export function pairs(doc: string, more?: More): Field<Readonly<Record<string, string>>> {
  const parse = (raw: unknown) => {
    if (typeof raw !== "object" || raw === null || Array.isArray(raw))
      expected('a table, such as { name = "text" }');
    const out = Object.create(null) as Record<string, string>;
    for (const [key, value] of Object.entries(raw)) out[key] = asText(value);
    return out;
  };
  return field("table of texts", Object.create(null) as Record<string, string>, doc, parse, more);
}

export function tables<const S>(
  key: string,
  entry: S,
  doc: string,
  checkKey: (name: string) => void,
  more: Pick<More, "hot"> = {},
): TableOf<S> {
  return { type: "tables", key, entry, doc, checkKey, hot: more.hot ?? false };
}
