/** Units as a systemd that runs the tests tells them. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { readCgroupLayout } from "../../src/cgroup/layout.ts";

export function showUnit(unit: string, property: string): string {
  return execFileSync("systemctl", ["show", "-P", property, unit], { encoding: "utf8" }).trim();
}

/** A scope ends when its last process has: systemd is told by the kernel. */
export function unitIsGone(unit: string): boolean {
  return showUnit(unit, "ActiveState") !== "active";
}

/** Where the process is in the hierarchy that systemd keeps. */
export function systemdCgroupOf(pid: number): string {
  const lines = readFileSync(`/proc/${pid}/cgroup`, "utf8").trim().split("\n");
  const line =
    readCgroupLayout().version === 1
      ? lines.find((text) => text.includes(":name=systemd:"))
      : lines.find((text) => text.startsWith("0::"));
  return line?.split(":").slice(2).join(":") ?? "";
}
