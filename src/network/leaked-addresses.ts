/**
 * Addresses of host-local that nobody gave back (plugins#697 and others): pods end with a reboot, the
 * files of their addresses don't. Plugins without the verb GC are helped here.
 * Only files from before the boot are judged: another runtime may share the network's folder.
 */
import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { isIP } from "node:net";
import { uptime } from "node:os";
import { join } from "node:path";
import { Fields } from "../oci/document.ts";
import type { NetworkList } from "./conflist.ts";

const defaultDataDir = "/var/lib/cni/networks";

/** host-local's folders of a network, by its configuration. */
export function hostLocalDirs(list: NetworkList): string[] {
  return list.plugins.flatMap((plugin) => {
    const ipam = new Fields(plugin.conf, list.file).object("ipam");
    if (ipam?.text("type") !== "host-local") return [];
    const dir = ipam.text("dataDir");
    return [join(dir === "" ? defaultDataDir : dir, list.name)];
  });
}

/**
 * When this boot began. A board without a clock steps forward after its first files were written: the
 * birth of /run was measured with the same wrong clock, so the earlier of both is used.
 */
export function bootTimeMs(): number {
  const byUptime = Date.now() - uptime() * 1000;
  const run = statSync("/run", { throwIfNoEntry: false })?.birthtimeMs ?? 0;
  return run > 0 ? Math.min(byUptime, run) : byUptime;
}

/** Removes address files of before `bootMs` whose container is not live. Returns the addresses. */
export function removeLeaked(dir: string, live: ReadonlySet<string>, bootMs: number): string[] {
  let names: string[];
  try {
    names = readdirSync(dir);
  } catch {
    return [];
  }
  return names.filter((name) => {
    const path = join(dir, name);
    if (isIP(name) === 0) return false;
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat?.isFile() || stat.mtimeMs >= bootMs || stat.size > 4096) return false;
    const [id = ""] = readFileSync(path, "utf8").trim().split("\r\n");
    if (live.has(id)) return false;
    rmSync(path, { force: true });
    return true;
  });
}
