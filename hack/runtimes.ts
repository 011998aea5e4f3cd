/** The external runtimes that a machine has: for hack/up, critest and bench. Nothing is built here unless asked. */
import { accessSync, constants, existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { TomlTable } from "smol-toml";
import { runscShim, toolPaths } from "../test/support/shims.ts";
import { must } from "./run.ts";

const root = join(import.meta.dirname, "..");
const folders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/** By the names that handlers get and that their programs have; "by": which program of hack/ can get it. */
const known: Readonly<Record<string, { readonly by?: "tools" | "trixie" }>> = {
  runc: { by: "tools" },
  crun: { by: "trixie" },
  runsc: { by: "tools" },
  youki: {},
};

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** In the cache of hack/tools: NAME-VERSION, the newest by name; in that of hack/trixie by its name. */
function cached(name: string): string | undefined {
  const cache = process.env.KOBAKO_CACHE ?? "/var/cache/kobako";
  if (known[name]?.by === "trixie") return join(cache, "trixie", name, name);
  const folder = join(cache, "tools");
  if (!existsSync(folder)) return undefined;
  const file = readdirSync(folder)
    .filter((one) => one.startsWith(`${name}-v`))
    .toSorted()
    .at(-1);
  return file === undefined ? undefined : join(folder, file);
}

/** Where the runtime is: in the caches, whose versions are ours, or in PATH. */
export function findRuntime(name: string): string | undefined {
  if (known[name] === undefined) return undefined;
  return [cached(name), ...folders.map((folder) => join(folder, name))].find(
    (path) => path !== undefined && isProgram(path),
  );
}

/** As `findRuntime`, and built or fetched when it can be. @throws Error naming how to have it. */
export async function getRuntime(name: string): Promise<string> {
  const one = known[name];
  if (one === undefined)
    throw new Error(`handler ${JSON.stringify(name)} is not one of ${Object.keys(known).join(", ")}`);
  if (one.by !== undefined)
    return (await must([join(root, "hack", one.by), name])).trim().split("\n").at(-1) ?? "";
  const found = findRuntime(name);
  if (found === undefined) throw new Error(`${name} is not installed`);
  return found;
}

/** The handlers over a containerd shim: built where they are not there. `folder`: for what they are configured by. */
export function shimSettings(
  name: string,
  folder: string,
):
  | {
      path: string;
      options: Readonly<Record<string, string>>;
      configPath: string | undefined;
      settings: TomlTable;
    }
  | undefined {
  const of = (path: string, options: Record<string, string>) => ({
    path,
    options,
    configPath: options.config_path,
    settings: { type: "shim-v2", path, options },
  });
  if (name === "runsc-shim") {
    const { shim, config } = runscShim(join(folder, "runsc"));
    return of(shim, { config_path: config });
  }
  if (name === "runc-shim") {
    const [shim = "", runc = ""] = toolPaths("containerd-shim-runc-v2", "runc");
    return of(shim, { binary_name: runc, root: join(folder, "runc") });
  }
  return undefined;
}

/** `[runtimes.NAME]` of one. */
export function runtimeSettings(path: string): TomlTable {
  return { type: "oci", path };
}

/** `[runtimes]` with all that are found. */
export function foundRuntimes(): TomlTable {
  const found = Object.keys(known).flatMap((name) => {
    const path = findRuntime(name);
    return path === undefined ? [] : [[name, runtimeSettings(path)] as const];
  });
  return Object.fromEntries(found);
}
