/**
 * Holds the direction of imports: edge -> domain -> mechanism -> leaf, and of C includes likewise.
 * The tables below are the rule; docs/architecture.md explains it. Exit code 1 and one line per breach.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { fileURLToPath } from "node:url";

type Layer = "edge" | "domain" | "mechanism" | "leaf" | "api" | "free";

/** Each room of src/ stands in one layer. A room that is not listed is a breach by itself. */
export const roomLayer: Readonly<Record<string, Layer>> = {
  "src/main.ts": "edge",
  "src/daemon.ts": "edge",
  "src/reset.ts": "edge",
  "src/node.ts": "edge",
  "src/server": "edge",
  "src/streaming": "edge",
  "src/cli": "edge",

  "src/sandbox": "domain",
  "src/container": "domain",
  "src/image": "domain",
  "src/stats": "domain",
  "src/events": "domain",

  "src/store": "mechanism",
  "src/content": "mechanism",
  "src/snapshot": "mechanism",
  "src/registry": "mechanism",
  "src/network": "mechanism",
  "src/runtime": "mechanism",
  "src/cgroup": "mechanism",
  "src/nri": "mechanism",
  "src/cdi": "mechanism",
  "src/checkpoint": "mechanism",

  "src/errors": "leaf",
  "src/oci": "leaf",
  "src/ttrpc": "leaf",
  "src/process": "leaf",
  "src/log": "leaf",
  "src/config": "leaf",

  "cri-api": "api",
  test: "free",
  hack: "free",
};

/** What a room of a layer may import besides itself. */
const mayImport: Readonly<Record<Layer, readonly Layer[]>> = {
  edge: ["edge", "domain", "mechanism", "leaf", "api"],
  domain: ["domain", "mechanism", "leaf"],
  mechanism: ["leaf"],
  leaf: [], // src/errors apart
  api: [],
  free: ["edge", "domain", "mechanism", "leaf", "api", "free"],
};

/** Packages that only some rooms may know, so that each can be replaced in one place; test and hack may know all. */
export const packageRooms: Readonly<Record<string, readonly string[]>> = {
  "@grpc/grpc-js": ["src/server", "src/cli"],
  "@kubernetes/client-node": ["src/cli", "src/streaming"],
  commander: ["src/cli"],
  pino: ["src/log"],
  protobufjs: ["cri-api"],
  "smol-toml": ["src/config", "src/cli"],
  vitest: [],
};

/** Each C room and the rooms whose headers it may include. */
export const includes: Readonly<Record<string, readonly string[]>> = {
  "native/chk": [],
  "native/base": [],
  "native/launcher": ["native/base"],
  "native/pause": [],
  "native/copy": ["native/base"],
  "native/unpack": ["native/base"],
  "native/spawner": ["native/base"],
  "native/spec": ["native/base"],
  "native/cgroup": ["native/base", "native/spec"],
  "native/container": ["native/base", "native/spec", "native/cgroup"],
  "native/runtime": ["native/base", "native/spec", "native/cgroup", "native/container"],
  "native/monitor": ["native/base", "native/spec", "native/cgroup", "native/container"],
  cni: ["native/base"],
};

/** The room of a file, both relative to the checkout. */
export function roomOf(path: string): string | undefined {
  if (path in roomLayer) return path;
  const parts = path.split("/");
  const room = parts[0] === "src" ? parts.slice(0, 2).join("/") : (parts[0] ?? "");
  return room in roomLayer ? room : undefined;
}

/** The breaches of one TypeScript file. `path` is relative to the checkout. */
export function checkImports(path: string, text: string): string[] {
  const room = roomOf(path);
  if (room === undefined) return [`${path}: its folder has no place in hack/import-direction.ts`];
  const layer = roomLayer[room] ?? "free";
  if (layer === "free") return [];
  const isTest = path.endsWith(".test.ts");
  const breaches: string[] = [];
  for (const specifier of importsOf(text)) {
    if (specifier.startsWith("node:")) continue;
    if (!specifier.startsWith(".")) {
      const name = specifier
        .split("/")
        .slice(0, specifier.startsWith("@") ? 2 : 1)
        .join("/");
      const rooms = packageRooms[name];
      if (rooms && !isTest && !rooms.includes(room))
        breaches.push(`${path}: imports ${name}, which belongs to ${rooms.join(", ")}`);
      continue;
    }
    const target = normalize(join(dirname(path), specifier));
    const targetRoom = roomOf(target);
    if (targetRoom === undefined) {
      if (!target.endsWith(".json")) breaches.push(`${path}: imports ${target}, outside of all rooms`);
      continue;
    }
    if (targetRoom === room || targetRoom === "src/errors") continue;
    // The run-time half of generated codecs serves every room that has some.
    if (target === "cri-api/wire.ts" && room === "src/ttrpc") continue;
    // A test beside the code may use the fixtures of test/ and ask a program of hack/.
    if (isTest && (targetRoom === "test" || targetRoom === "hack")) continue;
    const targetLayer = roomLayer[targetRoom] ?? "free";
    if (!mayImport[layer].includes(targetLayer))
      breaches.push(`${path}: ${layer} ${room} imports ${targetLayer} ${target}`);
  }
  return breaches;
}

/** The module names of all static and dynamic imports and re-exports, type-only ones too. */
function importsOf(text: string): string[] {
  const found: string[] = [];
  for (const match of text.matchAll(
    /^\s*(?:import|export)\b[^"';]*?\bfrom\s*["']([^"']+)["']|^\s*import\s*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/gm,
  ))
    found.push(match[1] ?? match[2] ?? match[3] ?? "");
  return found;
}

/** The breaches of one C file. */
export function checkIncludes(path: string, text: string): string[] {
  const room = path
    .split("/")
    .slice(0, path.startsWith("native/") ? 2 : 1)
    .join("/");
  const allowed = includes[room];
  if (allowed === undefined) return [`${path}: its folder has no place in hack/import-direction.ts`];
  const breaches: string[] = [];
  for (const match of text.matchAll(/^\s*#\s*include\s*"([^"]+)"/gm)) {
    const name = match[1] ?? "";
    // Names with a folder are below native/ (the compiler's -I), bare ones beside the file.
    const direct = name.includes("/") && !name.startsWith(".") ? `native/${name}` : join(dirname(path), name);
    const target = normalize(direct)
      .split("/")
      .slice(0, direct.startsWith("native/") ? 2 : 1)
      .join("/");
    if (target !== room && !allowed.includes(target))
      breaches.push(`${path}: includes ${name}, ${room} may not`);
  }
  return breaches;
}

function files(root: string, folder: string, ...endings: string[]): string[] {
  try {
    return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .map((name) => join(folder, name))
      .filter((name) => endings.some((ending) => name.endsWith(ending)) && !name.includes("/gen/"));
  } catch {
    return [];
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = relative(process.cwd(), join(import.meta.dirname, "..")) || ".";
  const breaches = [
    ...["src", "cri-api", "test", "hack"].flatMap((folder) =>
      files(root, folder, ".ts").flatMap((path) =>
        checkImports(path, readFileSync(join(root, path), "utf8")),
      ),
    ),
    ...["native", "cni"].flatMap((folder) =>
      files(root, folder, ".c", ".h").flatMap((path) =>
        checkIncludes(path, readFileSync(join(root, path), "utf8")),
      ),
    ),
  ];
  for (const breach of breaches) console.error(breach);
  process.exitCode = breaches.length > 0 ? 1 : 0;
}
