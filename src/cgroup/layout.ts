/** Which cgroup hierarchies the host has, and where. Looked at once. */
import { existsSync, readFileSync } from "node:fs";

export interface CgroupLayout {
  /** 2: one unified tree has the controllers. 1: each has a tree of its own; a v2 tree may stand beside them (hybrid). */
  readonly version: 1 | 2;
  /** Mount point of the v2 tree. */
  readonly unified: string | undefined;
  /** v1: mount point of each controller ("memory", "name=systemd"). */
  readonly controllers: ReadonlyMap<string, string>;
}

/** Controllers that a limit can be set with, in v1's names. */
const v1Controllers: ReadonlySet<string> = new Set([
  "blkio",
  "cpu",
  "cpuacct",
  "cpuset",
  "devices",
  "freezer",
  "hugetlb",
  "memory",
  "misc",
  "net_cls",
  "net_prio",
  "perf_event",
  "pids",
  "rdma",
]);

/**
 * Reads the layout out of the text of /proc/self/mountinfo.
 * Of several mounts of one hierarchy the first counts: later ones are bind mounts into containers.
 */
export function parseCgroupMounts(mountInfo: string): CgroupLayout {
  const controllers = new Map<string, string>();
  let unified: string | undefined;
  for (const line of mountInfo.split("\n")) {
    const fields = line.split(" ");
    const dash = fields.indexOf("-");
    const mountPoint = unescapePath(fields[4] ?? "");
    const type = fields[dash + 1];
    if (dash < 6) continue;
    if (type === "cgroup2") unified ??= mountPoint;
    if (type !== "cgroup") continue;
    for (const option of (fields[dash + 3] ?? "").split(",")) {
      const counts = v1Controllers.has(option) || option.startsWith("name=");
      if (counts && !controllers.has(option)) controllers.set(option, mountPoint);
    }
  }
  const version = [...controllers.keys()].some((name) => v1Controllers.has(name)) ? 1 : 2;
  return { version, unified, controllers };
}

/** The layout of this host. */
export function readCgroupLayout(): CgroupLayout {
  return parseCgroupMounts(readFileSync("/proc/self/mountinfo", "utf8"));
}

/** Whether hugetlb and swap can be limited where containers go. */
export function limitSupport(layout: CgroupLayout): { hugetlb: boolean; swap: boolean } {
  if (layout.version === 1) {
    const memory = layout.controllers.get("memory");
    return {
      hugetlb: layout.controllers.has("hugetlb"),
      swap: memory !== undefined && existsSync(`${memory}/memory.memsw.limit_in_bytes`),
    };
  }
  const root = layout.unified ?? "/sys/fs/cgroup";
  let names: string[] = [];
  try {
    names = readFileSync(`${root}/cgroup.controllers`, "utf8").trim().split(" ");
  } catch {
    // No cgroup filesystem at all: nothing can be limited.
  }
  // memory.swap.max is missing in the root; with swap accounting compiled in, any kernel of today has it below.
  return { hugetlb: names.includes("hugetlb"), swap: names.includes("memory") && existsSync("/proc/swaps") };
}

function unescapePath(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
