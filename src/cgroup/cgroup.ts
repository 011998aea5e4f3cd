/**
 * The cgroups of pods and containers as the daemon sees them: usage, and the end of what is left.
 * Limits are set by the runtime, which also makes the cgroups; paths are below each hierarchy's root.
 * Enters: paths. Leaves: numbers; empty ground.
 * Never: touches a cgroup above the path given, or follows a link.
 * Files of the kernel are read and folders removed synchronously: 10 to 50 us each, where a hand-over to a thread
 * costs 100, and a host with version 1 has ten hierarchies.
 */
import { existsSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { posix } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errorKind, RuntimeError } from "../errors/runtime-error.ts";
import { killNow } from "../process/kill.ts";
import { type CgroupLayout, limitSupport, readCgroupLayout } from "./layout.ts";
import { type CgroupUsage, readOomKills, readUsage } from "./usage.ts";

/** Between two looks at something that the kernel is about to finish, in ms; the last one repeats. */
const patience = [1, 2, 4, 8, 16, 32, 64];
/** Deeper trees are not ours; a container with delegation may make a few levels. */
const maxDepth = 64;

export class Cgroups {
  readonly layout: CgroupLayout;
  /** Mount points of all hierarchies, each once; those that best tell and kill processes first. */
  readonly #mounts: readonly string[];
  readonly #stopUnit: ((name: string, signal: AbortSignal) => Promise<void>) | undefined;

  /** stopUnit: of a systemd that made the slices: they are units, and end as such. */
  constructor(
    layout: CgroupLayout = readCgroupLayout(),
    stopUnit?: (name: string, signal: AbortSignal) => Promise<void>,
  ) {
    this.layout = layout;
    this.#stopUnit = stopUnit;
    const { unified, controllers } = layout;
    const first = ["freezer", "pids", "memory"].map((name) => controllers.get(name));
    const all = [...first, ...controllers.values(), unified];
    this.#mounts = [...new Set(all.filter((mount) => mount !== undefined))];
  }

  /** What the spec builder needs to know. */
  get facts(): { cgroupVersion: 1 | 2; hugetlb: boolean; swap: boolean } {
    return { cgroupVersion: this.layout.version, ...limitSupport(this.layout) };
  }

  /** Whether any hierarchy has the cgroup. */
  exists(path: string): boolean {
    return this.#folders(path).length > 0;
  }

  /** undefined when the cgroup is gone. */
  usage(path: string): CgroupUsage | undefined {
    return readUsage(this.layout, checked(path));
  }

  oomKills(path: string): bigint | undefined {
    return readOomKills(this.layout, checked(path));
  }

  /** Pids in and below the cgroup, in the daemon's PID namespace. */
  async processes(path: string): Promise<number[]> {
    const pids = new Set<number>();
    for (const folder of this.#folders(path)) for (const pid of pidsBelow(folder)) pids.add(pid);
    return [...pids];
  }

  /** Names of the cgroups right below, in any hierarchy. */
  async children(path: string): Promise<string[]> {
    const names = new Set<string>();
    for (const folder of this.#folders(path)) {
      for (const child of childFolders(folder, 0)) names.add(posix.basename(child));
    }
    return [...names];
  }

  /**
   * Kills every process in and below the cgroup and waits until none is left. One that does not exist
   * is success. On v2 the kernel does it at once; on v1 the cgroup is frozen first, so that nothing
   * forks meanwhile and no pid is taken over, and thawed after the signal, which only then acts.
   * @throws RuntimeError `deadline-exceeded` or `cancelled` when `signal` comes first: a process in
   * the D state does not die.
   */
  async killAll(path: string, signal: AbortSignal): Promise<void> {
    for (let turn = 0; ; turn++) {
      const folders = this.#folders(path);
      if (folders.length === 0) return;
      const killed = this.layout.unified !== undefined && killUnified(this.layout.unified + path);
      if (!killed || this.layout.version === 1) await this.#killFrozen(path, folders);
      if ((await this.processes(path)).length === 0) return;
      await wait(turn, signal, `processes of cgroup ${path} do not end`);
    }
  }

  /** Freezes a cgroup, or lets it go on, and does not wait for it. False: there is none, or no freezer. */
  freeze(path: string, frozen: boolean): boolean {
    const v1 = this.#freezerState(checked(path));
    if (v1 !== undefined) return tryWrite(v1, frozen ? "FROZEN" : "THAWED");
    const { unified } = this.layout;
    return unified !== undefined && tryWrite(`${unified}${path}/cgroup.freeze`, frozen ? "1" : "0");
  }

  /**
   * Removes the cgroup and those below it from every hierarchy. One that does not exist is success.
   * @throws RuntimeError `failed-precondition` when processes are left in it until `signal`.
   */
  async remove(path: string, signal: AbortSignal): Promise<void> {
    for (let turn = 0; ; turn++) {
      let busy = false;
      for (const folder of this.#folders(path)) if (!removeTree(folder, 0)) busy = true;
      if (!busy) break;
      await wait(turn, signal, `cgroup ${path} is still in use`);
    }
    // A scope ends with its processes by itself; a slice lives on in systemd without its folder.
    if (path.endsWith(".slice")) await this.#stopUnit?.(posix.basename(path), signal);
  }

  /** Removes the parents of `path` that are empty, up to and without `stop`. What is in use stays. */
  async removeEmptyParents(path: string, stop: string): Promise<void> {
    for (
      let parent = posix.dirname(path);
      parent.length > stop.length && parent !== "/";
      parent = posix.dirname(parent)
    ) {
      if (!parent.startsWith(stop === "/" ? "/" : `${stop}/`)) return;
      for (const folder of this.#folders(parent)) {
        try {
          rmdirSync(folder);
        } catch {
          return; // somebody's: the ones above it are too
        }
      }
    }
  }

  #folders(path: string): string[] {
    checked(path);
    return this.#mounts.map((mount) => mount + path).filter((folder) => existsSync(folder));
  }

  /** On version 1. */
  #freezerState(path: string): string | undefined {
    const freezer = this.layout.controllers.get("freezer");
    return freezer === undefined ? undefined : `${freezer}${path}/freezer.state`;
  }

  async #killFrozen(path: string, folders: readonly string[]): Promise<void> {
    const state = this.#freezerState(path);
    const frozen = state !== undefined && tryWrite(state, "FROZEN");
    try {
      if (frozen) await settled(state, "FROZEN");
      for (const folder of folders) {
        for (const pid of pidsBelow(folder)) killNow(pid);
      }
    } finally {
      if (frozen) tryWrite(state, "THAWED");
    }
  }
}

/** Writes cgroup.kill (Linux 5.14). False where there is none. */
function killUnified(folder: string): boolean {
  return existsSync(`${folder}/cgroup.kill`) && tryWrite(`${folder}/cgroup.kill`, "1");
}

/** Waits a little for the freezer: a process in the kernel freezes late, and is killed all the same. */
async function settled(state: string, wanted: string): Promise<void> {
  for (const ms of patience) {
    if (readText(state).trim() === wanted) return;
    await sleep(ms);
  }
}

/** Pids of a folder and those below it. 0 (a process of another PID namespace) can't be signalled and is left out. */
function pidsBelow(folder: string, depth = 0): number[] {
  const pids = readText(`${folder}/cgroup.procs`)
    .split("\n")
    .map(Number)
    .filter((pid) => pid > 1);
  for (const child of childFolders(folder, depth)) pids.push(...pidsBelow(child, depth + 1));
  return pids;
}

/** Removes bottom up. False when something in it is busy. */
function removeTree(folder: string, depth: number): boolean {
  // Most have nothing below them: listing a cgroup's forty files costs more than its removal.
  if (tryRemove(folder)) return true;
  for (const child of childFolders(folder, depth)) if (!removeTree(child, depth + 1)) return false;
  return tryRemove(folder);
}

/** False when processes or cgroups are in it. */
function tryRemove(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return true;
    if (code === "EBUSY" || code === "ENOTEMPTY") return false;
    throw new RuntimeError("internal", `cgroup folder ${folder} can't be removed (${code ?? ""})`, {
      cause: error,
    });
  }
}

function childFolders(folder: string, depth: number): string[] {
  if (depth >= maxDepth)
    throw new RuntimeError("resource-exhausted", `cgroup ${folder} is more than ${maxDepth} levels deep`);
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => `${folder}/${entry.name}`);
  } catch {
    return []; // gone meanwhile
  }
}

async function wait(turn: number, signal: AbortSignal, what: string): Promise<void> {
  try {
    await sleep(patience[Math.min(turn, patience.length - 1)], undefined, { signal });
  } catch {
    const kind = errorKind(signal.reason) === "deadline-exceeded" ? "deadline-exceeded" : "cancelled";
    throw new RuntimeError(kind, what, { cause: signal.reason });
  }
}

/** A path that can't mean the root or leave it. */
function checked(path: string): string {
  if (
    !path.startsWith("/") ||
    path === "/" ||
    posix.normalize(path) !== path ||
    path.endsWith("/") ||
    path.includes("\0")
  ) {
    throw new RuntimeError(
      "invalid-argument",
      `cgroup path "${path}" is not the path of a cgroup below the root`,
    );
  }
  return path;
}

function tryWrite(file: string, text: string): boolean {
  try {
    writeFileSync(file, text, { flag: "r+" });
    return true;
  } catch {
    return false;
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
