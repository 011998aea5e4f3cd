import { readdirSync, readlinkSync, realpathSync } from "node:fs";
import { allPids } from "./stat.ts";

/**
 * The processes that have something below a folder open, or as their working folder: proc_pid_fd(5). It looks at all
 * processes of this PID namespace, some 10 us each; those that go meanwhile are none.
 */
export function holdersOf(folder: string): number[] {
  const real = attempt(() => realpathSync(folder));
  if (real === undefined) return [];
  const isBelow = (path: string | undefined) => path === real || path?.startsWith(`${real}/`) === true;
  const holds = (pid: number): boolean =>
    isBelow(attempt(() => readlinkSync(`/proc/${pid}/cwd`))) ||
    (attempt(() => readdirSync(`/proc/${pid}/fd`)) ?? []).some((fd) =>
      isBelow(attempt(() => readlinkSync(`/proc/${pid}/fd/${fd}`))),
    );
  return allPids().filter(holds);
}

/** undefined: gone. */
function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH" || code === "EACCES") return undefined;
    throw error;
  }
}
