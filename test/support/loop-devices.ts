/** Loop devices of this machine. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Names of those whose image is below `folder`, such as "loop3"; also when it was removed. */
export function loopDevicesOf(folder: string): string[] {
  return readdirSync("/sys/block").filter((name) => {
    if (!name.startsWith("loop")) return false;
    try {
      return readFileSync(join("/sys/block", name, "loop/backing_file"), "utf8").startsWith(folder);
    } catch {
      return false; // not attached
    }
  });
}
