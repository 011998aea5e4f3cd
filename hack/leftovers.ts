/**
 * What runs of hack/test leave on the machine when they are killed: finding it, and removing it. Only what a
 * run has recorded as its own (test/support/run.ts) is looked at.
 *   hack/leftovers.ts RECORDS [RECORD]   removes what the runs left whose records nobody holds; of RECORD in any case
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { instanceNames } from "../src/config/instance.ts";
import { removeCgroups } from "../test/support/host.ts";
import { recordedRoots, runId } from "../test/support/run.ts";
import { restoreMachine } from "./kubernetes/machine.ts";

const cgroupTop = "/sys/fs/cgroup";

function hierarchies(): string[] {
  if (existsSync(join(cgroupTop, "cgroup.controllers"))) return [cgroupTop];
  return readdirSync(cgroupTop).map((name) => join(cgroupTop, name));
}

function folders(path: string): string[] {
  return existsSync(path)
    ? readdirSync(path, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => entry.name)
    : [];
}

/** Paths ("/kobako-1a2b3c4d") of the cgroups at the top of any hierarchy that the run owns. */
function ownCgroups(runFolder: string): string[] {
  const prefix = `kobako-test-${runId(runFolder)}-`;
  const instances = new Set(recordedRoots(runFolder).map((root) => instanceNames(root).cgroupRoot.slice(1)));
  const names = hierarchies().flatMap(folders);
  return [...new Set(names)]
    .filter((name) => name.startsWith(prefix) || instances.has(name))
    .map((name) => `/${name}`);
}

function output(file: string, ...args: string[]): string {
  return spawnSync(file, args, { encoding: "utf8" }).stdout ?? "";
}

function ownBridges(runFolder: string): string[] {
  const bridges = recordedRoots(runFolder).map((root) => instanceNames(root).bridge);
  return bridges.filter((name) => existsSync(`/sys/class/net/${name}`));
}

/** As nft names them: "inet kobako-1a2b3c4d". */
function ownTables(runFolder: string): string[] {
  const own = new Set(recordedRoots(runFolder).map((root) => `kobako${instanceNames(root).suffix}`));
  return output("nft", "list", "tables")
    .split("\n")
    .map((line) => line.replace(/^table /, ""))
    .filter((table) => own.has(table.split(" ")[1] ?? ""));
}

/** In the order of mounting. */
export function mountPoints(): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => (line.split(" ")[4] ?? "").replaceAll("\\040", " "));
}

function mountsBelow(folder: string): string[] {
  return mountPoints().filter((point) => point === folder || point.startsWith(`${folder}/`));
}

/** What the run still has in the machine's cgroups and network, a line each: "bridge kb1a2b3c4d". */
export function leftInTheKernel(runFolder: string): string[] {
  return [
    ...ownCgroups(runFolder).map((path) => `cgroup ${path}`),
    ...ownBridges(runFolder).map((name) => `bridge ${name}`),
    ...ownTables(runFolder).map((table) => `firewall table ${table}`),
  ];
}

/** Removes everything of a run that has ended. @throws when something does not go within 10 s. */
async function clear(runFolder: string): Promise<void> {
  for (const name of ownBridges(runFolder)) spawnSync("ip", ["link", "delete", name]);
  for (const table of ownTables(runFolder)) spawnSync("nft", ["delete", "table", ...table.split(" ")]);
  // The run's processes are dead; the kernel may still be taking them down.
  const end = performance.now() + 10_000;
  for (;;) {
    for (const path of ownCgroups(runFolder)) removeCgroups(path);
    const left = leftInTheKernel(runFolder);
    if (left.length === 0) break;
    if (performance.now() > end) throw new Error(`${runFolder}: does not go: ${left.join(", ")}`);
    await delay(50);
  }
  for (const point of mountsBelow(runFolder).toReversed()) spawnSync("umount", ["--lazy", point]);
  if (mountsBelow(runFolder).length > 0) throw new Error(`${runFolder}: something is mounted there`);
  // The system's rm: it goes into folders of any depth.
  spawnSync("rm", ["-rf", "--one-file-system", runFolder]);
}

function isFree(record: string): boolean {
  return spawnSync("flock", ["--nonblock", record, "true"]).status === 0;
}

async function main(records: string, own: string | undefined): Promise<void> {
  for (const record of readdirSync(records, { withFileTypes: true })) {
    const file = join(records, record.name);
    if (!record.isFile() || record.name.startsWith(".") || (own !== undefined && own !== file)) continue;
    if (own === undefined && !isFree(file)) continue;
    const runFolder = readFileSync(file, "utf8").trim();
    if (basename(runFolder) !== `kobako-run-${record.name}`) {
      rmSync(file); // a run that was killed while it wrote its record had nothing yet
      continue;
    }
    if (own === undefined) console.error(`test: removing what a killed run left: ${runFolder}`);
    if (existsSync(runFolder)) await clear(runFolder);
    rmSync(file);
  }
  restoreMachine(); // what a killed kubelet had changed
}

const [records, own] = process.argv.slice(2);
if (import.meta.main && records !== undefined) {
  try {
    await main(records, own);
  } catch (error) {
    console.error(`test: ${error instanceof Error ? error.message : String(error)}`);
  }
}
