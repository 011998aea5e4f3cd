/**
 * What must hold after every fault, whatever the fault was (O1 to O10). Reads the kernel, not only the
 * daemon: a runtime that forgets a thing would forget it in its answers too.
 *
 * O1 serves again in time, O2 running containers untouched, O3 CRI and kernel agree, O4 nothing left behind,
 * O8 right codes (asserted where calls are made), O9 exact exit records, O10 no log line lost.
 * O5 to O7 belong to tests of their own (power cuts, damaged layers, long runs).
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { ContainerState, PodSandboxState } from "../../cri-api/index.ts";
import type { TestDaemon } from "./daemon.ts";
import {
  descriptors,
  namespaceInode,
  ownCgroup,
  ownCgroupFolders,
  ownFiles,
  ownFirewall,
  ownLinks,
  ownLoopDevices,
  ownMounts,
  ownNamespacePins,
  ownProcesses,
  ownSockets,
  processInfo,
  type Scope,
} from "./host.ts";
import { within } from "./slowness.ts";

export type Snapshot = ReadonlyMap<string, readonly string[]>;

/** Everything of the instance that outlives a call, by category. */
export function snapshot(scope: Scope, daemonPid?: number): Snapshot {
  return new Map<string, readonly string[]>([
    [
      "process",
      // Not the daemon itself (it may have been started again) nor its short-lived children's names.
      ownProcesses(scope)
        .filter((info) => info.pid !== daemonPid)
        // The dead whose parent is the machine's init are its to bury.
        .filter((info) => info.state !== "Z" || info.parent !== 1)
        .map((info) => `${info.name} (${info.pid}${info.state === "Z" ? ", zombie" : ""})`),
    ],
    ["mount", ownMounts(scope)],
    ["netns", ownNamespacePins(scope)],
    ["link", ownLinks(scope)],
    ["firewall", ownFirewall(scope)],
    ["cgroup", ownCgroupFolders(scope)],
    ["socket", ownSockets(scope)],
    ["loop", ownLoopDevices(scope)],
    ["file", ownFiles(scope)],
  ]);
}

/** "link +veth1 at kb0", "mount -..." per difference; empty when equal. */
export function difference(before: Snapshot, after: Snapshot): string[] {
  const lines: string[] = [];
  for (const [category, now] of after) {
    const count = (items: readonly string[]) =>
      items.reduce((map, item) => map.set(item, (map.get(item) ?? 0) + 1), new Map<string, number>());
    const then = count(before.get(category) ?? []);
    const counted = count(now);
    for (const [item, n] of counted) if (n > (then.get(item) ?? 0)) lines.push(`${category} +${item}`);
    for (const [item, n] of then) if (n > (counted.get(item) ?? 0)) lines.push(`${category} -${item}`);
  }
  return lines;
}

/**
 * Waits until nothing is left over since `before` (background removal has its moment), at most `timeoutMs`.
 * Things that are gone since then are no leak: only what is new counts.
 * @throws with one line per leaked thing (O4).
 */
export async function expectNoLeak(
  before: Snapshot,
  scope: Scope,
  o: { daemonPid?: number | undefined; timeoutMs?: number } = {},
): Promise<void> {
  const end = performance.now() + within(o.timeoutMs ?? 10_000);
  for (;;) {
    const left = difference(before, snapshot(scope, o.daemonPid)).filter((line) => line.includes(" +"));
    if (left.length === 0) return;
    if (performance.now() > end) throw new Error(`left behind (O4):\n  ${left.join("\n  ")}`);
    await delay(50);
  }
}

/** How many descriptors of each kind a process holds: "socket 5", "/path 1". */
export function descriptorCounts(pid: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (const target of descriptors(pid)) {
    const kind = target.replace(/:\[\d+\]$/, "").replace(/\/[0-9a-f]{16,64}(?=\/|$)/g, "/ID");
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return counts;
}

/** A running container as the kernel knows it; equal before and after when nobody touched it (O2). */
export interface Vital {
  readonly container: string;
  readonly pid: number;
  readonly startTime: string;
}

/** The pid of a container's init, from ContainerStatus's verbose info (as crictl inspect shows it); 0: of another kernel. */
export async function containerPid(daemon: TestDaemon, containerId: string): Promise<number> {
  const { info } = await daemon.client.containerStatus({ containerId, verbose: true });
  const { pid } = JSON.parse(info.info ?? "{}") as { pid?: number };
  if (pid === undefined) throw new Error(`ContainerStatus of ${containerId}: verbose info has no pid`);
  return pid;
}

/** The vital signs of all containers that are said to run, as far as their processes are this kernel's. */
export async function vitals(daemon: TestDaemon): Promise<Vital[]> {
  const { containers } = await daemon.client.listContainers({
    filter: { state: { state: ContainerState.CONTAINER_RUNNING } },
  });
  const found: Vital[] = [];
  for (const { id } of containers) {
    const pid = await containerPid(daemon, id);
    if (pid === 0) continue;
    found.push({ container: id, pid, startTime: processInfo(pid)?.startTime ?? "gone" });
  }
  return found.toSorted((a, b) => a.container.localeCompare(b.container));
}

/** O2: each of `before` is alive with the same start time, and not frozen. */
export function expectUndisturbed(before: readonly Vital[]): void {
  for (const { container, pid, startTime } of before) {
    const info = processInfo(pid);
    if (info === undefined || info.state === "Z")
      throw new Error(`container ${container}: process ${pid} is dead (O2)`);
    if (info.startTime !== startTime)
      throw new Error(`container ${container}: ${pid} is another process (O2)`);
    if (info.state === "T") throw new Error(`container ${container}: process ${pid} is stopped (O2)`);
  }
}

/** O1: Version and Status answer within `limitMs` of the start. Returns how long it took. */
export async function expectServes(daemon: TestDaemon, limitMs = 2000): Promise<number> {
  await daemon.client.version({}, { timeoutMs: within(limitMs) });
  const { status } = await daemon.client.status({}, { timeoutMs: within(limitMs) });
  const bad = (status?.conditions ?? []).filter((condition) => !condition.status);
  if (bad.length > 0)
    throw new Error(`Status: ${bad.map((c) => `${c.type}: ${c.reason}: ${c.message}`).join("; ")} (O1)`);
  return daemon.servedAfterMs;
}

/**
 * O3: what CRI says equals what the kernel says. Each container said to run has a live process in the
 * pod's network namespace and a cgroup of its own; no process in our cgroups is unknown to CRI.
 */
export async function expectAgreement(daemon: TestDaemon): Promise<void> {
  const { items } = await daemon.client.listPodSandbox({});
  const { containers } = await daemon.client.listContainers({});
  const faults: string[] = [];
  const known = new Set<string>();
  for (const sandbox of items) known.add(sandbox.id.slice(0, 16));
  for (const container of containers) {
    known.add(container.id.slice(0, 16));
    const running = container.state === ContainerState.CONTAINER_RUNNING;
    const pod = items.find(({ id }) => id === container.podSandboxId);
    if (pod === undefined) {
      faults.push(`container ${container.id}: its sandbox ${container.podSandboxId} is not listed`);
      continue;
    }
    if (!running) continue;
    const pid = await containerPid(daemon, container.id);
    if (pid === 0 && pod.runtimeHandler !== "") continue; // in a sandbox with a kernel of its own
    const info = processInfo(pid);
    if (info === undefined || info.state === "Z") {
      faults.push(`container ${container.id}: said to run, process ${pid} is gone`);
      continue;
    }
    if (!info.cgroups.some((path) => path.includes(container.id.slice(0, 16))))
      faults.push(`container ${container.id}: process ${pid} is in ${info.cgroups.join(", ")}`);
    if (pod.state === PodSandboxState.SANDBOX_READY) {
      const pinned = namespaceOfPin(`/run/netns/kobako${daemon.scope.suffix}-${pod.id.slice(0, 16)}`);
      if (pinned !== undefined && pinned !== namespaceInode(pid, "net"))
        faults.push(`container ${container.id}: process ${pid} is not in its pod's network namespace`);
    }
  }
  for (const info of ownProcesses(daemon.scope)) {
    const id = info.cgroups
      .filter((path) => ownCgroup(path, daemon.scope))
      // A pod's own cgroup is named after its uid; gVisor's sandboxes are in it.
      .map((path) => /(?<![0-9a-z])([0-9a-f]{16,64})(?:\.scope)?$/.exec(path)?.[1])
      .find((name) => name !== undefined);
    if (id !== undefined && ![...known].some((prefix) => id.startsWith(prefix)))
      faults.push(`process ${info.name} (${info.pid}) is in the cgroup of ${id}, which CRI does not know`);
  }
  if (faults.length > 0) throw new Error(`CRI and kernel disagree (O3):\n  ${faults.join("\n  ")}`);
}

function namespaceOfPin(path: string): number | undefined {
  try {
    return Number(
      execFileSync("stat", ["-L", "-c", "%i", path], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      }),
    );
  } catch {
    return undefined; // host network
  }
}

/**
 * O10: the lines of a CRI log of a container that counts ("prefix 1", "prefix 2", ...) are whole, in order
 * and without gap or double. Returns the last number.
 */
export function expectCounting(logFile: string, prefix: string): number {
  let expected = 1;
  for (const line of readFileSync(logFile, "utf8").trimEnd().split("\n")) {
    const match = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}\S* (stdout|stderr) ([PF]) (.*)$/.exec(line);
    if (!match) throw new Error(`${logFile}: not a CRI log line: ${JSON.stringify(line)} (O10)`);
    if (match[3] !== `${prefix} ${expected}`)
      throw new Error(`${logFile}: expected "${prefix} ${expected}", found ${JSON.stringify(line)} (O10)`);
    expected++;
  }
  return expected - 1;
}
