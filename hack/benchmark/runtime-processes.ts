/** Which processes are a runtime's own, and what they cost. Works for any CRI runtime on this machine. */
import { execFileSync } from "node:child_process";
import { readFileSync, readlinkSync, statSync } from "node:fs";
import { allPids, descriptors, pssKib } from "../../test/support/host.ts";

/** The process that listens on the unix socket `path`, by the socket file's inode: it may have been renamed. */
export function listener(path: string): number {
  const inode = statSync(path).ino;
  for (const line of execFileSync("ss", ["-H", "-xlpe"], { encoding: "utf8" }).split("\n")) {
    if (!new RegExp(`\\bino:${inode}\\b`).test(line)) continue;
    const pid = /pid=(\d+)/.exec(line)?.[1];
    if (pid !== undefined) return Number(pid);
  }
  throw new Error(`no process listens on ${path}`);
}

function text(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "latin1");
  } catch {
    return "";
  }
}

function link(pid: number, name: string): string {
  try {
    return readlinkSync(`/proc/${pid}/${name}`);
  } catch {
    return "";
  }
}

/**
 * The processes that bear one of `marks` in their command line, environment-free: command line, working folder,
 * cgroups or open files. Workloads (their program is `workload`) and this process are left out.
 */
export function runtimeProcesses(marks: readonly string[], workload: string): number[] {
  const marked = (value: string) => marks.some((mark) => value.includes(mark));
  return allPids().filter((pid) => {
    if (pid === process.pid) return false;
    const command = text(pid, "cmdline");
    if (command.split("\0")[0] === workload) return false;
    return (
      marked(command) ||
      marked(link(pid, "cwd")) ||
      marked(text(pid, "cgroup")) ||
      descriptors(pid).some(marked)
    );
  });
}

export function totalPssKib(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + pssKib(pid).total, 0);
}

/** User and system time of all `pids` so far, in milliseconds; `children` adds that of all they have waited for. */
export function cpuMs(pids: readonly number[], o: { children?: boolean } = {}): number {
  const ticksPerSecond = 100; // USER_HZ, the same on every architecture that we run on
  return pids.reduce((sum, pid) => {
    const stat = text(pid, "stat");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const ticks = fields
      .slice(11, o.children === true ? 15 : 13)
      .reduce((all, field) => all + Number(field), 0);
    return sum + (ticks * 1000) / ticksPerSecond;
  }, 0);
}

/** How many processes of `command` run in cgroups below `cgroupParent`. */
export function countWorkloads(command: string, cgroupParent: string): number {
  return allPids().filter(
    (pid) => text(pid, "cmdline").split("\0")[0] === command && text(pid, "cgroup").includes(cgroupParent),
  ).length;
}
