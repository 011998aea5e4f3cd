/**
 * What the current run of hack/test owns, and how things that outlive a process are named or recorded so that
 * it, or the next run when it was killed, finds them again (hack/leftovers.ts). Without a run (vitest by hand)
 * nothing is recorded.
 */
import { appendFileSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

const folder = process.env.KOBAKO_RUN;

/** The random end of the folder's name: "kobako-run-a1B2c3" gives "a1B2c3". */
export function runId(runFolder: string): string {
  return basename(runFolder).slice("kobako-run-".length);
}

let names = 0;

/** A name for a cgroup, a namespace or the like that nobody else on this machine has; it tells the run. */
export function ownName(): string {
  return `kobako-test-${folder === undefined ? "" : `${runId(folder)}-`}${process.pid}-${++names}`;
}

const rootsFile = (runFolder: string) => join(runFolder, "roots");

/** Says that a daemon works on `root`: its bridge, firewall table and cgroups derive from that. */
export function recordRoot(root: string): void {
  if (folder !== undefined) appendFileSync(rootsFile(folder), `${root}\n`);
}

export function recordedRoots(runFolder: string): string[] {
  return existsSync(rootsFile(runFolder))
    ? readFileSync(rootsFile(runFolder), "utf8").split("\n").filter(Boolean)
    : [];
}

/** What stands in the folder of a run beside its record. */
export function runFiles(runFolder: string): string[] {
  return readdirSync(runFolder).filter((name) => name !== "roots");
}
