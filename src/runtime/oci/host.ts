/** Facts of this host that an external runtime is sensitive to. Read once: they do not change while we run. */
import { readFileSync } from "node:fs";
import { run } from "../../process/spawn.ts";
import type { ProgramKind } from "./program.ts";

let hidden: { path: string | undefined } | undefined;

/**
 * Where the cgroup version 2 hierarchy is mounted beside those of version 1 and has a controller: what crun refuses.
 * undefined: one version only, or a version 2 hierarchy without controllers (systemd's own).
 */
export function hiddenHierarchy(): string | undefined {
  hidden ??= { path: findHidden(readFileSync("/proc/self/mountinfo", "utf8"), readControllers) };
  return hidden.path;
}

function readControllers(mountPoint: string): string {
  return readFileSync(`${mountPoint}/cgroup.controllers`, "utf8").trim();
}

/** Pure but for `controllers`. */
export function findHidden(
  mountinfo: string,
  controllers: (mountPoint: string) => string,
): string | undefined {
  const mounts = mountinfo
    .split("\n")
    .map((line) => line.split(" "))
    .map((words) => ({ point: words[4] ?? "", type: words[words.indexOf("-") + 1] ?? "" }));
  const unified = mounts.find(({ point, type }) => type === "cgroup2" && point.startsWith("/sys/fs/cgroup/"));
  if (unified === undefined || !mounts.some(({ type }) => type === "cgroup")) return undefined;
  return controllers(unified.point) === "" ? undefined : unified.point;
}

let systemdKinds: ((kind: ProgramKind) => boolean) | undefined;

/** Whether a program of this kind can have systemd make its cgroups on this host. */
export function knowsSystemd(kind: ProgramKind): boolean {
  systemdKinds ??= withSystemd(readFileSync("/proc/self/mountinfo", "utf8"));
  return systemdKinds(kind);
}

/** Pure. */
export function withSystemd(mountinfo: string): (kind: ProgramKind) => boolean {
  const v1 = mountinfo.split("\n").some((line) => / - cgroup \S+ (?!\S*name=)/.test(line));
  return (kind) => {
    // The monitor has put gVisor's sandbox where it belongs.
    if (kind === "runsc") return false;
    // crun 1.8 asks systemd for a scope, which then is in one of v1's hierarchies: in the others, where the limits are,
    // its container would stay beside the monitor.
    return kind !== "crun" || !v1;
  };
}

let lowest: number | undefined;

/** Without CAP_SYS_RESOURCE (bit 24) nobody's score goes below what he has; the monitor's runners have 0. */
export function lowestOomScoreAdj(): number {
  if (lowest === undefined) {
    const hex = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
    lowest = (BigInt(`0x${hex}`) >> 24n) & 1n ? -1000 : 0;
  }
  return lowest;
}

/** Whether this kernel has the x32 ABI (CONFIG_X86_X32_ABI). A process that can't say it, because a filter ended it, has none either. */
export async function hasX32(monitorBinary: string, signal: AbortSignal): Promise<boolean> {
  const { code } = await run(monitorBinary, ["--probe-x32"], {}, signal);
  return code === 0;
}
