/**
 * The daemon's settings.
 *
 * Enters: a file, drop-ins beside the default one (sorted by name, later wins), flags over both. Leaves: one frozen
 * value with every key there; errors that name file, line, key and what was expected, for an unknown key the nearest
 * known one.
 * The keys are data (schema.ts): `config print`, docs/config.md and this reader work from the same table.
 * Never: writes a file; shows a secret.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { parse as parseToml, TomlError } from "smol-toml";
import { RuntimeError } from "../errors/runtime-error.ts";
import type { Field, Section, TableOf } from "./field.ts";
import { lineOf } from "./line.ts";
import { nearest } from "./nearest.ts";
import { schema, type Values } from "./schema.ts";

export type Config = Values<typeof schema>;

export const defaultConfigFile = "/etc/kobako/config.toml";
/** As the monitor takes it: no paths, no separators. */
const snapshotOption = /^[a-z_]+(=[a-z0-9_]+)?$/;
const platformPattern = /^[a-z]+\/[\w-]+(\/\w+)?$/;
const maxFileBytes = 256 << 10;

export interface ConfigOptions {
  /** Default: /etc/kobako/config.toml, which may be missing; a file that is named must be there. */
  readonly file?: string | undefined;
  /** Folder of drop-ins. Default: `conf.d` beside the default file, none with a file of one's own. */
  readonly dropIns?: string | undefined;
  /** Settings by dotted key, over all files: `{ "server.socket": "/run/x.sock" }`, with the flag's name for errors. */
  readonly flags?: Readonly<Record<string, { readonly value: string; readonly flag: string }>> | undefined;
}

/** Where a value was set: "FILE:LINE" or the flag's name. Functions, because lines are costly to find. */
export type Origins = ReadonlyMap<string, () => string>;

export interface LoadedConfig {
  readonly config: Config;
  /** By dotted key, as the files write it; what is not here is at its default. */
  readonly origins: Origins;
  readonly files: readonly string[];
}

/** @throws RuntimeError `invalid-argument` */
export function loadConfig(o: ConfigOptions = {}): Config {
  return loadConfigWithOrigins(o).config;
}

/** As loadConfig, and tells where each value came from. */
export function loadConfigWithOrigins(o: ConfigOptions = {}): LoadedConfig {
  const reader = new Reader();
  const files = filesOf(o);
  for (const file of files) reader.readFile(file);
  for (const [key, { value, flag }] of Object.entries(o.flags ?? {})) reader.setFlag(key, value, flag);
  return { config: finish(reader.values as Config), origins: reader.origins, files };
}

/** What a reload changed: taken over, and still waiting for a restart. Dotted keys. */
export interface Reloaded {
  /** The running configuration with the hot settings of the files. */
  readonly config: Config;
  readonly applied: readonly string[];
  readonly needRestart: readonly string[];
}

/**
 * Reads the files again for a daemon that runs with `current`. Tables that did not change stay the same objects.
 * @throws RuntimeError `invalid-argument`; then `current` stays in force
 */
export function reloadConfig(o: ConfigOptions, current: Config): Reloaded {
  const next = loadConfig(o) as unknown as Tree;
  const applied: string[] = [];
  const needRestart: string[] = [];
  const merge = (section: Section, now: Tree, then: Tree, at: string): Tree => {
    const out: Tree = {};
    for (const [name, part] of Object.entries(section)) {
      const key = camel(name);
      const path = at + name;
      if (isSection(part)) out[key] = merge(part, now[key] as Tree, then[key] as Tree, `${path}.`);
      else {
        const changed = JSON.stringify(now[key]) !== JSON.stringify(then[key]);
        const hot = (part as Field<unknown> | TableOf<Section>).hot;
        if (changed) (hot ? applied : needRestart).push(path);
        out[key] = changed && hot ? then[key] : now[key];
      }
    }
    return Object.freeze(out);
  };
  const config = merge(schema, current as unknown as Tree, next, "") as unknown as Config;
  return { config, applied, needRestart };
}

/** The configuration as a file would have it: snake_case keys, sizes with units, secrets left out. For people. */
export function describeConfig(config: Config): Record<string, unknown> {
  const show = (section: Section, values: Tree): Tree => {
    const out: Tree = {};
    for (const [name, part] of Object.entries(section)) {
      const value = values[camel(name)];
      if (isSection(part)) out[name] = show(part, value as Tree);
      else if (part.type === "tables")
        out[name] = Object.fromEntries(
          Object.entries(value as Tree).map(([key, entry]) => [
            key,
            show((part as TableOf<Section>).entry, entry as Tree),
          ]),
        );
      else {
        const one = part as Field<unknown>;
        out[name] = one.secret && value !== "" ? "[secret]" : one.show(value);
      }
    }
    return out;
  };
  return show(schema, config as unknown as Tree);
}

/** Plain objects by name, keys as in Config. */
type Tree = Record<string, unknown>;

function filesOf(o: ConfigOptions): string[] {
  const file = o.file ?? defaultConfigFile;
  const folder = o.dropIns ?? (o.file === undefined ? join(dirname(defaultConfigFile), "conf.d") : undefined);
  const main = o.file !== undefined || exists(file) ? [file] : [];
  if (folder === undefined || (o.dropIns === undefined && !exists(folder))) return main;
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => name.endsWith(".toml") && !name.startsWith("."));
  } catch (cause) {
    throw new RuntimeError("invalid-argument", `read the configuration folder ${folder}`, { cause });
  }
  return [...main, ...names.sort().map((name) => join(folder, name))];
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** Gathers values from files and flags, each checked against the schema as it comes. */
class Reader {
  readonly values: Tree = defaults(schema);
  readonly origins = new Map<string, () => string>();

  readFile(file: string): void {
    const text = readText(file);
    let tree: Tree;
    try {
      tree = parseToml(text);
    } catch (cause) {
      if (!(cause instanceof TomlError)) throw cause;
      const [first = ""] = cause.message.split("\n");
      throw bad(`${file}:${cause.line}`, `not valid TOML: ${first.replace("Invalid TOML document: ", "")}`);
    }
    this.#section(schema, tree, this.values, [], (path) => `${file}:${lineOf(text, path)}`);
  }

  setFlag(key: string, value: string, flag: string): void {
    const path = key.split(".");
    const raw: Tree = {};
    let at = raw;
    for (const name of path.slice(0, -1)) at = at[name] = {};
    at[path.at(-1) ?? ""] = value;
    this.#section(schema, raw, this.values, [], () => flag);
  }

  #section(
    section: Section,
    raw: Tree,
    into: Tree,
    path: readonly string[],
    where: (path: readonly string[]) => string,
  ): void {
    for (const [name, value] of Object.entries(raw)) {
      const here = [...path, name];
      const part = Object.hasOwn(section, name) ? section[name] : undefined;
      if (part === undefined) throw bad(where(here), unknownKey(section, here));
      if (part.type === "field") {
        const field = part as Field<unknown>;
        try {
          into[camel(name)] = field.parse(value);
        } catch (error) {
          const shown = field.secret ? "" : `, not ${JSON.stringify(value)}`;
          throw bad(where(here), `${dotted(here)} ${(error as Error).message}${shown}`);
        }
        this.origins.set(dotted(here), () => where(here));
        continue;
      }
      if (typeof value !== "object" || value === null || Array.isArray(value))
        throw bad(where(here), `${dotted(here)} must be a table, such as [${dotted(here)}]`);
      if (part.type === "tables")
        this.#tables(part as TableOf<Section>, value as Tree, into[camel(name)] as Tree, here, where);
      else this.#section(part as Section, value as Tree, into[camel(name)] as Tree, here, where);
    }
  }

  #tables(
    table: TableOf<Section>,
    raw: Tree,
    into: Tree,
    path: readonly string[],
    where: (path: readonly string[]) => string,
  ): void {
    for (const [key, value] of Object.entries(raw)) {
      const here = [...path, key];
      try {
        table.checkKey(key);
      } catch (error) {
        throw bad(where(here), `${dotted(path)}: ${JSON.stringify(key)} ${(error as Error).message}`);
      }
      if (typeof value !== "object" || value === null || Array.isArray(value))
        throw bad(where(here), `${dotted(here)} must be a table, such as [${dotted(here)}]`);
      into[key] ??= defaults(table.entry);
      this.#section(table.entry, value as Tree, into[key] as Tree, here, where);
    }
  }
}

function readText(file: string): string {
  try {
    const stat = statSync(file);
    if (!stat.isFile()) throw new Error("it is not a regular file");
    if (stat.size > maxFileBytes) throw new Error(`it is larger than ${maxFileBytes >> 10} KiB`);
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new RuntimeError("invalid-argument", `read the configuration ${file}`, { cause });
  }
}

function defaults(section: Section): Tree {
  // No prototype: the names in it come from files.
  const out = Object.create(null) as Tree;
  for (const [name, part] of Object.entries(section))
    out[camel(name)] =
      part.type === "field"
        ? (part as Field<unknown>).fallback
        : part.type === "tables"
          ? Object.create(null)
          : defaults(part as Section);
  return out;
}

/** Fills in what follows from other settings, checks what concerns several, and freezes. */
function finish(values: Config): Config {
  const config = values as unknown as { server: { socket: string }; runtimes: Tree };
  config.server.socket ||= join(values.state, "kobako.sock");
  config.runtimes.builtin ??= defaults(schema.runtimes.entry);
  if (!Object.hasOwn(values.runtimes, values.defaultRuntime))
    throw bad(
      "configuration",
      `default_runtime ${JSON.stringify(values.defaultRuntime)} is not one of ${Object.keys(values.runtimes).join(", ")}`,
    );
  for (const [name, runtime] of Object.entries(values.runtimes)) {
    const [has, needs] = [runtime.path !== "", runtime.type !== "builtin"];
    if (needs && !has)
      throw bad("configuration", `runtimes.${name}.path must be set for type "${runtime.type}"`);
    if (has && !needs) throw bad("configuration", `runtimes.${name}.path is not for type "builtin"`);
    if (!needs && Object.keys(runtime.options).length > 0)
      throw bad("configuration", `runtimes.${name}.options is not for type "builtin"`);
    const wrong = runtime.snapshotOptions.find((option) => !snapshotOption.test(option));
    if (wrong !== undefined)
      throw bad(
        "configuration",
        `runtimes.${name}.snapshot_options: ${JSON.stringify(wrong)} must be a word or word=word, such as "index=off"`,
      );
    if (runtime.rootfs === "block" && runtime.type !== "shim-v2")
      throw bad("configuration", `runtimes.${name}.rootfs: "block" is for type "shim-v2"`);
    if (runtime.rootfs === "block" && runtime.snapshotOptions.length > 0)
      throw bad("configuration", `runtimes.${name}.snapshot_options is not for rootfs "block"`);
    if (runtime.platform !== "" && !platformPattern.test(runtime.platform))
      throw bad("configuration", `runtimes.${name}.platform must be such as "linux/arm64" or "linux/arm/v7"`);
  }
  for (const [host, registry] of Object.entries(values.registries)) {
    if ((registry.cert === "") !== (registry.key === ""))
      throw bad("configuration", `registries.${JSON.stringify(host)}: cert and key go together`);
  }
  if (values.root === values.state || values.root.startsWith(`${values.state}/`))
    throw bad(
      "configuration",
      `root ${values.root} must not be in state ${values.state}, which a reboot empties`,
    );
  return deepFreeze(values);
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}

function unknownKey(section: Section, path: readonly string[]): string {
  const name = path.at(-1) ?? "";
  const near = nearest(name, Object.keys(section));
  if (near !== undefined) return `unknown key ${dotted(path)}: did you mean ${near}?`;
  const elsewhere = keysNamed(name, schema, []);
  const hint = elsewhere
    ? `it belongs into [${elsewhere}]`
    : `known here: ${Object.keys(section).join(", ")}`;
  return `unknown key ${dotted(path)}: ${hint}`;
}

/** The section that has a key of this name, where there is one. */
function keysNamed(name: string, section: Section, path: readonly string[]): string | undefined {
  for (const [key, part] of Object.entries(section)) {
    if (part.type === "field") {
      if (key === name && path.length > 0) return path.join(".");
      continue;
    }
    const inner = part.type === "tables" ? (part as TableOf<Section>).entry : (part as Section);
    const found = keysNamed(name, inner, [...path, key]);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isSection(part: Field<unknown> | TableOf<Section> | Section): part is Section {
  return part.type !== "field" && part.type !== "tables";
}

function bad(where: string, message: string): RuntimeError {
  return new RuntimeError("invalid-argument", `${where}: ${message}`);
}

/** A key as TOML writes it: parts that are not bare words in quotes. */
function dotted(path: readonly string[]): string {
  return path.map((name) => (/^[\w-]+$/.test(name) ? name : JSON.stringify(name))).join(".");
}

function camel(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
