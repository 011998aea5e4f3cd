/**
 * What a kubelet changes on its machine beside its own folders: sysctls, a few fixed folders, cgroups.
 * Keeps: /run/kobako-kubernetes/<node>.json (a claim), before.json (as it was before the first node). The last node
 * that goes puts everything back, so that two may stand side by side.
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { removeCgroups } from "../../test/support/host.ts";

const shared = "/run/kobako-kubernetes";
const before = join(shared, "before.json");

/** What pkg/kubelet/cm sets at every start, and what kube-proxy does. */
const sysctls = [
  "vm/overcommit_memory",
  "vm/panic_on_oom",
  "kernel/panic",
  "kernel/panic_on_oops",
  "kernel/keys/root_maxkeys",
  "kernel/keys/root_maxbytes",
  "net/ipv4/conf/all/route_localnet",
] as const;

/** Folders that a kubelet makes wherever its own are: the device plugins' socket, links to logs. */
const fixedFolders = ["/var/lib/kubelet", "/var/log/containers"] as const;

const sysctlPath = (name: string) => join("/proc/sys", name);

/** To be called before the kubelet is started. May be called again. */
export function claimMachine(node: string, folder: string): void {
  mkdirSync(shared, { recursive: true, mode: 0o700 });
  if (!existsSync(before)) {
    const values = sysctls
      .filter((name) => existsSync(sysctlPath(name)))
      .map((name) => [name, readFileSync(sysctlPath(name), "utf8").trim()]);
    const missing = fixedFolders.filter((path) => !existsSync(path));
    writeFileSync(before, JSON.stringify({ sysctls: Object.fromEntries(values), missing }));
  }
  writeFileSync(join(shared, `${node}.json`), JSON.stringify({ folder }));
}

/** Gives the claim back. May be called again. */
export function releaseMachine(node: string): void {
  rmSync(join(shared, `${node}.json`), { force: true });
  restoreMachine();
}

/** Puts back what `claimMachine` has seen, once no node stands whose folder exists: one may have been killed. */
export function restoreMachine(): void {
  if (!existsSync(shared)) return;
  for (const name of readdirSync(shared).filter((other) => other !== "before.json")) {
    const { folder } = JSON.parse(readFileSync(join(shared, name), "utf8")) as { folder: string };
    if (existsSync(folder)) return;
    rmSync(join(shared, name));
  }
  if (existsSync(before)) {
    const was = JSON.parse(readFileSync(before, "utf8")) as {
      sysctls: Record<string, string>;
      missing: string[];
    };
    for (const [name, value] of Object.entries(was.sysctls))
      if (readFileSync(sysctlPath(name), "utf8").trim() !== value) writeFileSync(sysctlPath(name), value);
    for (const path of was.missing) rmSync(path, { recursive: true, force: true });
  }
  rmSync(shared, { recursive: true, force: true });
}

/** Removes the links that the kubelet keeps in /var/log/containers to logs below `podLogs`. */
export function removeLogLinks(podLogs: string): void {
  const folder = "/var/log/containers";
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (lstatSync(path).isSymbolicLink() && readlinkSync(path).startsWith(`${podLogs}/`)) rmSync(path);
  }
}

const cgroupTop = "/sys/fs/cgroup";
const unified = () => existsSync(join(cgroupTop, "cgroup.controllers"));

/** The kubelet asks for its root to be there already, in every hierarchy with a controller, or with all in v2. */
export function makeCgroupRoot(path: string): void {
  if (unified()) {
    const controllers = readFileSync(join(cgroupTop, "cgroup.controllers"), "utf8").trim().split(" ");
    const enable = controllers.map((name) => `+${name}`).join(" ");
    writeFileSync(join(cgroupTop, "cgroup.subtree_control"), enable);
    mkdirSync(join(cgroupTop, path), { recursive: true });
    writeFileSync(join(cgroupTop, path, "cgroup.subtree_control"), enable);
    return;
  }
  for (const hierarchy of readdirSync(cgroupTop)) {
    const top = join(cgroupTop, hierarchy);
    // Links are second names of a hierarchy ("cpu" for "cpu,cpuacct"); a v2 tree may stand beside.
    if (lstatSync(top).isSymbolicLink() || !existsSync(join(top, "tasks"))) continue;
    mkdirSync(join(top, path), { recursive: true });
    for (const key of ["cpuset.cpus", "cpuset.mems"])
      if (existsSync(join(top, key)))
        writeFileSync(join(top, path, key), readFileSync(join(top, key), "utf8").trim());
  }
}

function standing(path: string): string[] {
  const tops = unified() ? [cgroupTop] : readdirSync(cgroupTop).map((name) => join(cgroupTop, name));
  return tops.map((top) => join(top, path)).filter((folder) => existsSync(folder));
}

/** Removes the kubelet's cgroups, empty by now. @throws when something still runs in them after 10 s. */
export async function removeCgroupRoot(path: string): Promise<void> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    removeCgroups(path);
    const left = standing(path);
    if (left.length === 0) return;
    if (performance.now() > deadline) throw new Error(`something runs in ${left.join(", ")}`);
    await delay(50);
  }
}
