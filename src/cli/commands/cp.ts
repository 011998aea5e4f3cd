/**
 * kobako cp: files and folders out of containers, into them, or from one to the other. The container's program
 * takes no part in it: a native program copies between two trees, each of which it has by descriptor, and follows
 * no link out of either.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, openSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { runtimeService } from "../../../cri-api/index.ts";
import type { Context } from "../cli.ts";
import { CliError, exitCode } from "../cli-error.ts";
import { Daemon } from "../client.ts";
import { findContainer } from "../find.ts";

/** O_PATH, which Node does not name: the folder can be looked below, not read. Source: open(2). */
const openPath = 0o10000000;

export interface Place {
  /** Undefined: this host. */
  readonly container: string | undefined;
  /** Absolute on this host; as it is below a container's root. A last "/" or "/." is kept: both say something. */
  readonly path: string;
}

/** "CONTAINER:PATH", or a path of this host: one with a colon begins with "/" or "./". @throws CliError */
export function parsePlace(argument: string, folder: string): Place {
  const match = /^([^:/.][^:]*):(.+)$/s.exec(argument);
  if (match) return { container: match[1], path: match[2] ?? "" };
  if (/^[^:/.][^:]*:$/.test(argument))
    throw new CliError(`${argument} names no path: write ${argument}/path`, exitCode.usage);
  if (argument === "") throw new CliError("a path is empty", exitCode.usage);
  const end = /(?:^|\/)(\.?)$/.exec(argument);
  const path = resolve(folder, argument);
  return { container: undefined, path: end ? `${path}/${end[1]}` : path };
}

export async function cp(context: Context, from: string, to: string): Promise<number> {
  const places = [from, to].map((argument) => parsePlace(argument, process.cwd()));
  if (places.every(({ container }) => container === undefined))
    throw new CliError(
      "one side must be in a container: kobako cp CONTAINER:PATH PATH, or the other way round",
      exitCode.usage,
    );
  using daemon = new Daemon(context.address);
  const roots: Root[] = [];
  try {
    for (const { container } of places)
      roots.push(
        container === undefined ? { folder: openFolder("/"), owner: 0 } : await openRoot(daemon, container),
      );
    return await copy(
      places.map(({ path }) => path),
      roots,
    );
  } finally {
    for (const { folder } of roots) closeSync(folder);
  }
}

function openFolder(path: string): number {
  return openSync(path, constants.O_DIRECTORY | openPath);
}

interface Root {
  /** By descriptor. */
  readonly folder: number;
  /** Whose new files are: root of the container's user namespace, by its number here. */
  readonly owner: number;
}

/** The root of a container as it sees it, with its volumes. @throws CliError */
async function openRoot(daemon: Daemon, ref: string): Promise<Root> {
  const { id } = await findContainer(daemon, ref);
  const pid = await pidOf(daemon, id, ref);
  let root: Root;
  try {
    const owner = rootOf(readFileSync(`/proc/${pid}/uid_map`, "utf8"));
    root = { folder: openFolder(`/proc/${pid}/root`), owner };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "EACCES" || code === "EPERM")
      throw new CliError(`no permission to look into container ${ref}: run this as root`);
    throw new CliError(`container ${ref}: ${message}`);
  }
  // It may have ended before: then the number could have been somebody else's.
  try {
    if ((await pidOf(daemon, id, ref)) === pid) return root;
    throw new CliError(`container ${ref} was restarted just now: try again`);
  } catch (error) {
    closeSync(root.folder);
    throw error;
  }
}

/** Who is 0 in a user namespace. Source: user_namespaces(7). */
function rootOf(uidMap: string): number {
  const lines = uidMap
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number));
  return lines.find(([inside]) => inside === 0)?.[1] ?? 0;
}

async function pidOf(daemon: Daemon, containerId: string, ref: string): Promise<number> {
  const { info } = await daemon.call(runtimeService.containerStatus, { containerId, verbose: true });
  const { pid, state } = JSON.parse(info.info ?? "{}") as { pid?: unknown; state?: unknown };
  if (state !== "running" || typeof pid !== "number" || pid <= 0)
    throw new CliError(`container ${ref} does not run: see kobako ps -a`);
  return pid;
}

async function copy(paths: readonly string[], roots: readonly Root[]): Promise<number> {
  // build/lib/kobako/kobako.mjs stands beside build/bin, in packages likewise.
  const program = join(dirname(dirname(dirname(import.meta.filename))), "bin/kobako-copy");
  const owner = roots.at(-1)?.owner ?? 0;
  const child = spawn(program, owner === 0 ? paths : [...paths, String(owner)], {
    stdio: ["ignore", "inherit", "inherit", ...roots.map(({ folder }) => folder)],
    env: {},
  });
  const [code] = (await once(child, "close")) as [number | null];
  return code === 0 ? exitCode.ok : exitCode.failed;
}
