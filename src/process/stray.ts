/** Processes that work on although whoever started them is gone. Enters: what marks them. Never: waits, or kills. */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { allPids, parentPid } from "./stat.ts";

/** The processes with `entry` ("NAME=value") in their environment, which children inherit: proc_pid_environ(5). */
export function processesWith(entry: string): number[] {
  return allPids().filter((pid) => strings(pid, "environ").includes(entry));
}

/**
 * Processes that run `program` with `label` as their first argument, apart from `own` and its children: one that forks
 * has the same command line until its exec.
 */
export function othersOf(program: string, label: string, own: number | undefined): number[] {
  return allPids().filter((pid) => {
    const [path = "", first] = strings(pid, "cmdline");
    if (first !== label || basename(path) !== basename(program) || pid === own) return false;
    return own === undefined || parentPid(pid) !== own;
  });
}

/** None for a process that is gone, also when nobody has reaped it. */
function strings(pid: number, file: "environ" | "cmdline"): string[] {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8").split("\0");
  } catch {
    return [];
  }
}
