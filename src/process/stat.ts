/** Which processes there are, and what /proc/PID/stat says of one, proc_pid_stat(5). Enters: pids. Never: waits. */
import { readdirSync, readFileSync } from "node:fs";
import { uptime } from "node:os";

/** What the kernel counts in for user space: USER_HZ, 100 on every architecture of ours. */
const ticksPerSecond = 100;

/** All processes of this PID namespace. */
export function allPids(): number[] {
  return readdirSync("/proc").map(Number).filter(Number.isInteger);
}

/**
 * When a process started, in clock ticks since boot (field 22): with the pid it names one process for good. undefined
 * when there is no such process.
 */
export function processStartTime(pid: number): string | undefined {
  return stat(pid)?.[22];
}

/** How long the process has been there; 0 when it is gone. */
export function processAgeMs(pid: number): number {
  const started = processStartTime(pid);
  return started === undefined ? 0 : (uptime() - Number(started) / ticksPerSecond) * 1000;
}

/** The process that waits for this one (field 4); 0: one outside this PID namespace. undefined: no such process. */
export function parentPid(pid: number): number | undefined {
  const parent = stat(pid)?.[4];
  return parent === undefined ? undefined : Number(parent);
}

/** Fields by their numbers in the manual, from 3 on. */
function stat(pid: number): string[] | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (["ENOENT", "ESRCH"].includes(code)) return undefined; // both say that it is gone
    throw error;
  }
  // The name in field 2 is the program's own and may hold spaces and brackets.
  return ["", String(pid), "", ...text.slice(text.lastIndexOf(")") + 2).split(" ")];
}
