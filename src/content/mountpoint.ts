/** Where the file system of a folder is mounted. */
import { readFile, realpath } from "node:fs/promises";

/** The mount point nearest above `path`, as the kernel names it. */
export async function mountpointOf(path: string): Promise<string> {
  return nearestMountpoint(await readFile("/proc/self/mountinfo", "utf8"), await realpath(path));
}

/** The longest mount point of `mountinfo` (proc_pid_mountinfo(5), field 5) that `path` is in. */
export function nearestMountpoint(mountinfo: string, path: string): string {
  let nearest = "/";
  for (const line of mountinfo.split("\n")) {
    const at = unescapeOctal(line.split(" ")[4] ?? "");
    if (at.length > nearest.length && (path === at || path.startsWith(`${at}/`))) nearest = at;
  }
  return nearest;
}

/** Space, tab, newline and backslash stand as \040 and so on. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
