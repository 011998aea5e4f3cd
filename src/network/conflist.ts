/**
 * CNI network configurations: what a file must say to be used. Pure but for `loadNetworkList`.
 * Source: CNI specification 1.1, section 1 (network configuration format).
 */
import { lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { RuntimeError, errorText } from "../errors/runtime-error.ts";
import { Fields, type JsonObject } from "../oci/document.ts";

/** A configuration larger than this is not read. */
const maxFileBytes = 1 << 20;
const maxPlugins = 32;

/** Versions whose results and verbs we know, oldest first. */
export const cniVersions = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] as const;
export type CniVersion = (typeof cniVersions)[number];

export interface PluginConfig {
  /** A plain name: never a path. */
  readonly type: string;
  /** What it wants to be told (`capabilities` with the value true). */
  readonly capabilities: readonly string[];
  /** All of the plugin's object, as it stands in the file. */
  readonly conf: JsonObject;
}

export interface NetworkList {
  readonly name: string;
  readonly cniVersion: CniVersion;
  readonly disableCheck: boolean;
  readonly plugins: readonly PluginConfig[];
  /** Where it came from, for errors. */
  readonly file: string;
}

/** The object in `text`. @throws RuntimeError `invalid-argument` naming `what`. */
export function parseObject(text: string, what: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new RuntimeError("invalid-argument", `${what} is not valid JSON`, { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new RuntimeError("invalid-argument", `${what} is not a JSON object`);
  }
  return value as JsonObject;
}

/**
 * A name that is joined to a folder to find a program (CVE-2021-20206): no slash, no leading dot.
 * Network names and container ids follow the same rule; they become names of files.
 */
export function isPlainName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name) && name.length <= 255;
}

export function versionAtLeast(version: CniVersion, least: CniVersion): boolean {
  return cniVersions.indexOf(version) >= cniVersions.indexOf(least);
}

function pickVersion(top: Fields, file: string): CniVersion {
  const offered = [top.text("cniVersion"), ...top.texts("cniVersions", 16)].filter((v) => v !== "");
  const known = cniVersions.filter((version) => offered.includes(version));
  const best = known.at(-1);
  if (best === undefined) {
    const said = offered.length > 0 ? offered.join(", ") : "none";
    throw new RuntimeError(
      "invalid-argument",
      `${file}: cniVersion must be one of ${cniVersions.join(", ")}, not ${said}`,
    );
  }
  return best;
}

function flag(object: JsonObject, key: string): boolean {
  const value = Object.hasOwn(object, key) ? object[key] : false;
  return value === true || value === "true"; // libcni takes both
}

function parsePlugin(conf: JsonObject, where: string): PluginConfig {
  const fields = new Fields(conf, where);
  const type = fields.text("type");
  if (!isPlainName(type)) {
    throw new RuntimeError(
      "invalid-argument",
      `${where}: type must be a plain plugin name, not ${JSON.stringify(type)}`,
    );
  }
  const ipam = fields.object("ipam");
  const ipamType = ipam?.text("type") ?? "";
  if (ipamType !== "" && !isPlainName(ipamType)) {
    throw new RuntimeError(
      "invalid-argument",
      `${where}: ipam.type must be a plain plugin name, not ${JSON.stringify(ipamType)}`,
    );
  }
  const capabilities = Object.hasOwn(conf, "capabilities") ? conf.capabilities : undefined;
  const wanted =
    typeof capabilities === "object" && capabilities !== null
      ? Object.entries(capabilities).flatMap(([name, on]) => (on === true ? [name] : []))
      : [];
  return { type, capabilities: wanted, conf };
}

/**
 * The list in `text`; a single plugin's configuration (.conf) becomes a list of one.
 * @throws RuntimeError `invalid-argument` naming the file and the field.
 */
export function parseNetworkList(text: string, file: string): NetworkList {
  const object = parseObject(text, file);
  const top = new Fields(object, file);
  const name = top.text("name");
  if (!isPlainName(name)) {
    throw new RuntimeError(
      "invalid-argument",
      `${file}: name must be a plain network name, not ${JSON.stringify(name)}`,
    );
  }
  const isList = Object.hasOwn(object, "plugins");
  const confs = isList ? top.objects("plugins", maxPlugins) : undefined;
  const raw = isList ? (object.plugins as JsonObject[]) : [object];
  if (isList && !confs?.length)
    throw new RuntimeError("invalid-argument", `${file}: plugins must not be empty`);
  return {
    name,
    cniVersion: pickVersion(top, file),
    disableCheck: flag(object, "disableCheck"),
    plugins: raw.map((conf, i) => parsePlugin(conf, isList ? `${file}: plugins[${i}]` : file)),
    file,
  };
}

export interface LoadedList {
  readonly list: NetworkList | undefined;
  /** Why files before it, or all of them, are not used. */
  readonly problems: readonly string[];
}

/** Configuration files of a folder, by name. A folder that is missing has none. */
function configFiles(dir: string): string[] {
  let names: string[];
  try {
    names = readdirSync(dir);
  } catch {
    return [];
  }
  return names
    .filter((name) => /\.(conflist|conf|json)$/.test(name) && !name.startsWith("."))
    .sort()
    .map((name) => join(dir, name));
}

/**
 * Something that changes whenever the folders' configurations do: cheap enough to be asked with
 * every status call, so that nothing has to be watched.
 */
export function signature(dirs: readonly string[]): string {
  const parts = dirs.flatMap(configFiles).map((file) => {
    const stat = statSync(file, { bigint: true, throwIfNoEntry: false });
    return stat ? `${file} ${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}` : file;
  });
  return parts.join("\n");
}

/** The first valid configuration of the first folder that has one. */
export function loadNetworkList(dirs: readonly string[]): LoadedList {
  const problems: string[] = [];
  for (const file of dirs.flatMap(configFiles)) {
    try {
      const stat = statSync(file);
      if (!stat.isFile()) {
        problems.push(`${file}: not a file`);
        continue;
      }
      if (stat.size > maxFileBytes) {
        problems.push(`${file}: larger than ${maxFileBytes} bytes`);
        continue;
      }
      return { list: parseNetworkList(readFileSync(file, "utf8"), file), problems };
    } catch (error) {
      problems.push(errorText(error));
    }
  }
  return { list: undefined, problems };
}

/** The plugin's program: first folder that has an executable file of that name. */
export function findPlugin(type: string, binDirs: readonly string[]): string | undefined {
  if (!isPlainName(type)) return undefined;
  return binDirs
    .map((dir) => join(dir, type))
    .find((path) => {
      const stat = lstatSync(path, { throwIfNoEntry: false });
      const target = stat?.isSymbolicLink() ? statSync(path, { throwIfNoEntry: false }) : stat;
      return target?.isFile() === true && (target.mode & 0o111) !== 0;
    });
}

/** The programs that a list needs and that are not there. */
export function missingPlugins(list: NetworkList, binDirs: readonly string[]): string[] {
  const types = list.plugins.flatMap((plugin) => {
    const ipam = new Fields(plugin.conf, list.file).object("ipam")?.text("type") ?? "";
    return ipam === "" ? [plugin.type] : [plugin.type, ipam];
  });
  return [...new Set(types)].filter((type) => findPlugin(type, binDirs) === undefined);
}
