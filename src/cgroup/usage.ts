/** What a cgroup has used, out of the kernel's files. Synchronous reads: a few microseconds each, never from a disk. */
import { readFileSync } from "node:fs";
import type { CgroupLayout } from "./layout.ts";

/** Counters and gauges of one cgroup with its descendants. undefined: the host does not tell. */
export interface CgroupUsage {
  readonly cpuUsageNs: bigint;
  readonly memoryUsageBytes: bigint;
  /** Of the usage: what the kernel would drop first. */
  readonly inactiveFileBytes: bigint;
  readonly rssBytes: bigint;
  readonly pageFaults: bigint;
  readonly majorPageFaults: bigint;
  /** undefined: no limit. */
  readonly memoryLimitBytes: bigint | undefined;
  readonly swapUsageBytes: bigint | undefined;
  readonly swapLimitBytes: bigint | undefined;
  readonly processes: bigint | undefined;
}

/** Limits from here on are the kernel's way to say "none" (a page count of 2^63). */
const noLimit = 1n << 62n;

/** Reads the usage of the cgroup at `path` (below each hierarchy's root); undefined when it is gone. */
export function readUsage(layout: CgroupLayout, path: string): CgroupUsage | undefined {
  return layout.version === 2 ? readUsageV2(layout, path) : readUsageV1(layout, path);
}

function readUsageV1(layout: CgroupLayout, path: string): CgroupUsage | undefined {
  const memory = folder(layout.controllers.get("memory"), path);
  const cpu = folder(layout.controllers.get("cpuacct"), path);
  const pids = folder(layout.controllers.get("pids"), path);
  const usage = readNumber(memory, "memory.usage_in_bytes");
  const cpuUsageNs = readNumber(cpu, "cpuacct.usage");
  if (usage === undefined && cpuUsageNs === undefined) return undefined;
  const stat = readText(memory, "memory.stat");
  const limit = field(stat, "hierarchical_memory_limit") ?? noLimit;
  const withSwap = field(stat, "hierarchical_memsw_limit");
  const swap = field(stat, "total_swap");
  return {
    cpuUsageNs: cpuUsageNs ?? 0n,
    memoryUsageBytes: usage ?? 0n,
    inactiveFileBytes: field(stat, "total_inactive_file") ?? 0n,
    rssBytes: field(stat, "total_rss") ?? 0n,
    pageFaults: field(stat, "total_pgfault") ?? 0n,
    majorPageFaults: field(stat, "total_pgmajfault") ?? 0n,
    memoryLimitBytes: limit < noLimit ? limit : undefined,
    swapUsageBytes: swap,
    // v1 limits memory and swap together.
    swapLimitBytes:
      withSwap !== undefined && withSwap < noLimit && limit < noLimit ? withSwap - limit : undefined,
    processes: readNumber(pids, "pids.current"),
  };
}

function readUsageV2(layout: CgroupLayout, path: string): CgroupUsage | undefined {
  const here = folder(layout.unified, path);
  const cpu = readText(here, "cpu.stat");
  const usage = readNumber(here, "memory.current");
  if (cpu === "" && usage === undefined) return undefined;
  const stat = readText(here, "memory.stat");
  return {
    cpuUsageNs: (field(cpu, "usage_usec") ?? 0n) * 1000n,
    memoryUsageBytes: usage ?? 0n,
    inactiveFileBytes: field(stat, "inactive_file") ?? 0n,
    rssBytes: field(stat, "anon") ?? 0n,
    pageFaults: field(stat, "pgfault") ?? 0n,
    majorPageFaults: field(stat, "pgmajfault") ?? 0n,
    memoryLimitBytes: readNumber(here, "memory.max"),
    swapUsageBytes: readNumber(here, "memory.swap.current"),
    swapLimitBytes: readNumber(here, "memory.swap.max"),
    processes: readNumber(here, "pids.current"),
  };
}

/** How often the kernel killed in the cgroup for want of memory; undefined when it is gone or does not say. */
export function readOomKills(layout: CgroupLayout, path: string): bigint | undefined {
  if (layout.version === 2) return field(readText(folder(layout.unified, path), "memory.events"), "oom_kill");
  return field(readText(folder(layout.controllers.get("memory"), path), "memory.oom_control"), "oom_kill");
}

function folder(mount: string | undefined, path: string): string | undefined {
  return mount === undefined ? undefined : mount + path;
}

function readText(folderPath: string | undefined, name: string): string {
  if (folderPath === undefined) return "";
  try {
    return readFileSync(`${folderPath}/${name}`, "utf8");
  } catch {
    return ""; // gone, or a controller that is not enabled here
  }
}

/** undefined for a missing file and for "max". */
function readNumber(folderPath: string | undefined, name: string): bigint | undefined {
  const text = readText(folderPath, name).trimEnd();
  return /^\d+$/.test(text) ? BigInt(text) : undefined;
}

/** The number after `key` at the start of a line. A search, not a split: memory.stat has 50 lines. */
function field(text: string, key: string): bigint | undefined {
  let at = text.startsWith(`${key} `) ? 0 : text.indexOf(`\n${key} `) + 1;
  if (at === 0 && !text.startsWith(`${key} `)) return undefined;
  at += key.length + 1;
  const end = text.indexOf("\n", at);
  const digits = text.slice(at, end < 0 ? undefined : end);
  return /^\d+$/.test(digits) ? BigInt(digits) : undefined;
}
