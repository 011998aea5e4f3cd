/** What the kernel shows of one daemon's instance, read without asking the daemon. */
import { execFileSync } from "node:child_process";
import {
  type Dirent,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
} from "node:fs";
import { basename, join } from "node:path";

/** Where to look, and what counts as the instance's own. */
export interface Scope {
  /** Persistent and volatile folders, and any other folder whose open files give an owner away. */
  readonly root: string;
  readonly state: string;
  /** "" or "-1a2b3c4d": what follows "kobako" in every host-global name. */
  readonly suffix: string;
  readonly bridge: string;
  /** Cgroup parents that tests give to pods; each path begins with "/". */
  readonly cgroupParents: readonly string[];
}

export interface ProcessInfo {
  readonly pid: number;
  readonly name: string;
  readonly state: string;
  readonly parent: number;
  /** Clock ticks since boot: with the pid, what tells a process from a later one. */
  readonly startTime: string;
  readonly cgroups: readonly string[];
}

/** One process, or undefined when it is gone. */
export function processInfo(pid: number): ProcessInfo | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const close = stat.lastIndexOf(")");
    const fields = stat.slice(close + 2).split(" ");
    return {
      pid,
      name: stat.slice(stat.indexOf("(") + 1, close),
      state: fields[0] ?? "?",
      parent: Number(fields[1]),
      startTime: fields[19] ?? "",
      cgroups: readFileSync(`/proc/${pid}/cgroup`, "utf8")
        .split("\n")
        .map((line) => line.split(":").slice(2).join(":"))
        .filter((path) => path !== ""),
    };
  } catch {
    return undefined;
  }
}

/** Gone, or a zombie where PID 1 is slow to reap. */
export function isDead(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.startsWith("Z") === true;
  } catch {
    return true;
  }
}

export function allPids(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function inside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

/** True for the instance's own cgroups, in any hierarchy. */
export function ownCgroup(path: string, scope: Scope): boolean {
  return [`/kobako${scope.suffix}`, ...scope.cgroupParents].some((own) => inside(path, own));
}

/** Processes in the instance's cgroups, or that hold a file, a folder or a program of it open. */
export function ownProcesses(scope: Scope): ProcessInfo[] {
  const found: ProcessInfo[] = [];
  for (const pid of allPids()) {
    if (pid === process.pid) continue;
    const info = processInfo(pid);
    if (info === undefined) continue;
    if (info.cgroups.some((path) => ownCgroup(path, scope)) || holdsFiles(pid, scope)) found.push(info);
  }
  return found;
}

function holdsFiles(pid: number, scope: Scope): boolean {
  const own = (path: string) => inside(path, scope.root) || inside(path, scope.state);
  for (const link of ["cwd", "root"]) if (own(tryReadlink(`/proc/${pid}/${link}`))) return true;
  return descriptors(pid).some(own);
}

function tryReadlink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

/** What the descriptors of a process point to. */
export function descriptors(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`)
      .map((fd) => tryReadlink(`/proc/${pid}/fd/${fd}`))
      .filter((target) => target !== "");
  } catch {
    return [];
  }
}

/** Host mounts on or from the instance's folders, and its namespace pins. */
export function ownMounts(scope: Scope): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => {
      const fields = line.split(" ");
      const point = fields[4] ?? "";
      return (
        inside(point, scope.root) ||
        inside(point, scope.state) ||
        point.startsWith(`/run/netns/kobako${scope.suffix}-`)
      );
    })
    .map((line) => line.split(" ").slice(3, 5).join(" on "));
}

export function ownNamespacePins(scope: Scope): string[] {
  const prefix = `kobako${scope.suffix}-`;
  return list("/run/netns")
    .map((entry) => entry.name)
    .filter((name) => name.startsWith(prefix) && !/-[0-9a-f]{8}-/.test(name.slice(prefix.length - 1)));
}

interface Link {
  readonly ifname: string;
  readonly master?: string;
  readonly addr_info?: readonly { readonly local?: string; readonly scope?: string }[];
}

/** Ports of the instance's bridge, and the bridge's addresses; not the bridge itself, which outlives its pods. */
export function ownLinks(scope: Scope): string[] {
  const links = JSON.parse(execFileSync("ip", ["-j", "address", "show"], { encoding: "utf8" })) as Link[];
  return links
    .filter((link) => link.master === scope.bridge)
    .map((link) => `${link.ifname} at ${scope.bridge}`);
}

/** The rules of the instance's nft tables, without counters and handles. */
export function ownFirewall(scope: Scope): string[] {
  const tables = execFileSync("nft", ["list", "tables"], { encoding: "utf8" })
    .split("\n")
    .map((line) => line.replace(/^table /, "").split(" "))
    .filter(([, name]) => name === `kobako${scope.suffix}`);
  return tables.flatMap(([family = "", name = ""]) =>
    execFileSync("nft", ["-s", "list", "table", family, name], { encoding: "utf8" })
      .split("\n")
      .map((line) => `${family} ${line.trim()}`),
  );
}

function list(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

/**
 * Folders of the instance in every cgroup hierarchy: "memory/kubepods/...". The instance's own top, with the one for
 * all monitors and the one for pods without a parent, is there from the first pod on and belongs to none.
 */
export function ownCgroupFolders(scope: Scope): string[] {
  const top = "/sys/fs/cgroup";
  const hierarchies = existsSync(join(top, "cgroup.controllers"))
    ? [""]
    : list(top)
        .filter((entry) => entry.isDirectory())
        .map((entry) => entry.name);
  const own = `/kobako${scope.suffix}`;
  const lasting = ["", "/monitors", "/pods"].map((name) => own + name);
  const found: string[] = [];
  const walk = (hierarchy: string, path: string) => {
    if (!existsSync(join(top, hierarchy, path))) return;
    if (!lasting.includes(path)) found.push(`${hierarchy}${path}`);
    for (const entry of list(join(top, hierarchy, path)))
      if (entry.isDirectory()) walk(hierarchy, `${path}/${entry.name}`);
  };
  for (const hierarchy of hierarchies)
    for (const path of [own, ...scope.cgroupParents]) walk(hierarchy, path);
  return found;
}

/** Unix sockets with a path in the instance's folders, and abstract ones that name it. */
export function ownSockets(scope: Scope): string[] {
  const paths = readFileSync("/proc/net/unix", "utf8")
    .split("\n")
    .slice(1)
    .map((line) => line.split(/\s+/)[7] ?? "")
    .filter((path) => inside(path, scope.root) || inside(path, scope.state) || /^@.*kobako/.test(path));
  return [...new Set(paths)];
}

export function ownLoopDevices(scope: Scope): string[] {
  return list("/sys/block")
    .map((entry) => entry.name)
    .filter((name) => name.startsWith("loop"))
    .map((name) => {
      try {
        return `${name} ${readFileSync(`/sys/block/${name}/loop/backing_file`, "utf8").trim()}`;
      } catch {
        return "";
      }
    })
    .filter((line) => line.includes(scope.root) || line.includes(scope.state));
}

/**
 * Names below root and state. The insides of layers and of the database are theirs; everything else that
 * a pod leaves behind shows here: snapshots, IPAM files, cached network results, run folders, temp files.
 */
export function ownFiles(scope: Scope): string[] {
  const found: string[] = [];
  const walk = (folder: string, depth: number) => {
    for (const entry of list(folder)) {
      const path = join(folder, entry.name);
      if (/\.db(-wal|-shm|-journal)?$/.test(entry.name) || /\.log(\.\d+)?$/.test(entry.name)) continue;
      const inLayers = basename(folder) === "layers";
      // A layer outlives the pods that use it; what a pull has not finished bears another name.
      if (inLayers && /^sha256-[0-9a-f]{64}$/.test(entry.name)) continue;
      // So does what a runtime's program keeps for the pods of later.
      if (path === join(scope.state, "cache")) continue;
      // Folders with a plain name are rooms' own and stay; what belongs to a pod bears an id.
      if (!entry.isDirectory() || !/^[a-z-]+$/.test(entry.name)) found.push(path);
      if (entry.isDirectory() && depth > 0 && !inLayers) walk(path, depth - 1);
    }
  };
  walk(scope.root, 4);
  if (!inside(scope.state, scope.root)) walk(scope.state, 4);
  return found;
}

/** PSS of a process in KiB, its file-backed and its anonymous part; 0 when it is gone. */
export function pssKib(pid: number): { total: number; anonymous: number } {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0);
    return { total: field("Pss"), anonymous: field("Pss_Anon") };
  } catch {
    return { total: 0, anonymous: 0 };
  }
}

/** Inode number of a namespace of a process ("net", "pid", ...), 0 when it is gone. */
export function namespaceInode(pid: number, kind: string): number {
  return Number(/\[(\d+)\]/.exec(tryReadlink(`/proc/${pid}/ns/${kind}`))?.[1] ?? 0);
}

/** True when something is at `path`, links not followed. */
export function present(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Removes the empty cgroups at and below `path` in every hierarchy: runtimes leave parents that were named to them. */
export function removeCgroups(path: string): void {
  const remove = (folder: string): void => {
    try {
      for (const entry of readdirSync(folder, { withFileTypes: true }))
        if (entry.isDirectory()) remove(join(folder, entry.name));
      rmdirSync(folder);
    } catch {
      // not in this hierarchy, or still in use
    }
  };
  const top = "/sys/fs/cgroup";
  for (const hierarchy of ["", ...readdirSync(top)]) remove(join(top, hierarchy, path));
}

/** Where the kernel keeps a limit of a process's cgroup: file `v1` of the controller that it is named after, or `v2`. */
export function limitFile(pid: number, v1: string, v2: string): string {
  const controller = v1.split(".")[0] ?? "";
  const lines = readFileSync(`/proc/${pid}/cgroup`, "utf8")
    .trim()
    .split("\n")
    .map((line) => line.split(":"));
  const own = lines.find(([, controllers = ""]) => controllers.split(",").includes(controller));
  if (own !== undefined) return join("/sys/fs/cgroup", controller, own[2] ?? "", v1);
  return join("/sys/fs/cgroup", lines.find(([number]) => number === "0")?.[2] ?? "", v2);
}
