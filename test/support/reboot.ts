/** What a reboot does to a node, without one: no process of it lives, /run is empty, what is on disk stays. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import { mountPoints } from "../../hack/leftovers.ts";
import type { Node } from "../../hack/kubernetes/node.ts";
import { removeCgroupRoot } from "../../hack/kubernetes/machine.ts";
import { instanceNames } from "../../src/config/instance.ts";
import { allPids, processInfo } from "./host.ts";
import { waitFor } from "./wait.ts";

/** Kills everything of `node` but its registry and control plane, and starts nothing. */
export async function powerOff(node: Node): Promise<void> {
  await node.processes.stop("kubelet", "SIGKILL");
  const root = join(node.kobakoFolder, "root");
  const names = instanceNames(root);
  const own = [node.cgroupRoot, names.cgroupRoot];
  const living = () =>
    allPids()
      .map((pid) => processInfo(pid))
      .filter((info) => info !== undefined && info.state !== "Z")
      .filter((info) => info?.cgroups.some((path) => own.some((top) => `${path}/`.startsWith(`${top}/`))))
      .map((info) => info?.pid ?? 0);
  await node.killKobako();
  await waitFor("the end of all processes", () => {
    const pids = living();
    for (const pid of pids) spawnSync("kill", ["-KILL", String(pid)]);
    return pids.length === 0;
  });
  for (const name of readdirSync("/run/netns")) {
    if (!name.startsWith(`kobako${names.suffix}-`)) continue;
    spawnSync("umount", [join("/run/netns", name)]);
    rmSync(join("/run/netns", name));
  }
  for (const point of mountPoints()
    .filter((path) => path.startsWith(`${node.folder}/`))
    .toReversed())
    execFileSync("umount", [point]);
  if (existsSync(`/sys/class/net/${names.bridge}`)) execFileSync("ip", ["link", "delete", names.bridge]);
  spawnSync("nft", ["delete", "table", "inet", `kobako${names.suffix}`]);
  for (const path of own) await removeCgroupRoot(path);
  rmSync(join(node.kobakoFolder, "run"), { recursive: true });
  rmSync(join("/run/kobako-network", `${names.suffix.slice(1)}.json`), { force: true });
}

/** Addresses that the embedded network has given out, IPv4 and IPv6. */
export function addressesInUse(node: Node): string[] {
  const root = join(node.kobakoFolder, "root");
  const folder = join(root, "network/addresses", `kobako${instanceNames(root).suffix}`);
  return readdirSync(folder).filter((name) => isIP(name) !== 0);
}
