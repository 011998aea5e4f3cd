import { readFileSync } from "node:fs";

/**
 * When a process started, in clock ticks since boot (/proc/PID/stat field 22, proc(5)): with the
 * pid it names one process for good. undefined when there is no such process.
 */
export function processStartTime(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined; // ENOENT or ESRCH: both say that it is gone
  }
  // The name in field 2 is the program's own and may hold spaces and brackets.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
}
