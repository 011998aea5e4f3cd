/**
 * The runtimes that test/native asks the same questions: ours, runc (built from its module by hack/tools) and
 * crun (Debian's). All three are always there; one that is missing is an error, not a skip.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { binary } from "../integration/oci/bundle.ts";

export type RuntimeName = "kobako-oci" | "runc" | "crun";

export interface Runtime {
  readonly name: RuntimeName;
  /** Its program with what has to stand before its own arguments. */
  readonly command: readonly string[];
}

const top = join(import.meta.dirname, "../..");

// crun refuses hybrid hosts whose v2 tree has a controller: it is shown the v1 hierarchies alone.
const hideUnified = [
  "/usr/bin/unshare",
  "--mount",
  "--propagation",
  "slave", // of what the question's own mounts are
  "/bin/sh",
  "-c",
  'umount /sys/fs/cgroup/unified && exec /usr/bin/crun "$@"',
  "crun",
];

function crunCommand(): readonly string[] {
  if (!existsSync("/usr/bin/crun")) throw new Error("no /usr/bin/crun: hack/setup installs it");
  return existsSync("/sys/fs/cgroup/unified/cgroup.controllers") ? hideUnified : ["/usr/bin/crun"];
}

function runcPath(): string {
  return execFileSync(join(top, "hack/tools"), ["runc"], { encoding: "utf8" }).trim();
}

export const ours: Runtime = { name: "kobako-oci", command: [binary] };
export const runc: Runtime = { name: "runc", command: [runcPath()] };
export const runtimes: readonly Runtime[] = [ours, runc, { name: "crun", command: crunCommand() }];

/** The first line of what a runtime says of its version: "runc version 1.5.2". */
export function versionLine(runtime: Runtime): string {
  const [file = "", ...args] = runtime.command;
  return execFileSync(file, [...args, "--version"], { encoding: "utf8" }).split("\n", 1)[0] ?? "";
}
