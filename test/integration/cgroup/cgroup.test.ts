/** The cgroup room on the kernel's own trees: as root, below a cgroup made for this run. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Cgroups } from "../../../src/cgroup/cgroup.ts";
import { ownName } from "../../support/run.ts";

const cgroups = new Cgroups();
const mounts =
  cgroups.layout.version === 2
    ? [cgroups.layout.unified ?? "/sys/fs/cgroup"]
    : ["cpuacct", "memory", "freezer", "pids"].flatMap((name) => cgroups.layout.controllers.get(name) ?? []);
const signal = () => AbortSignal.timeout(10_000);

let base: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  base = `/${ownName()}`;
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await cgroups.killAll(base, signal());
  await cgroups.remove(base, signal());
});

function make(path: string): void {
  for (const mount of mounts) mkdirSync(mount + path, { recursive: true });
}

/** A shell in the cgroup, its own children with it. Resolves when it says that it runs. */
async function processIn(path: string, script: string): Promise<ChildProcess> {
  const join = mounts.map((mount) => `echo $$ > ${mount}${path}/cgroup.procs`).join(" && ");
  const child = spawn("/bin/sh", ["-c", `${join} && ${script}`], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  await once(child.stdout, "data");
  return child;
}

describe("Cgroups", () => {
  it("reads what a cgroup uses", async () => {
    make(`${base}/a`);
    if (cgroups.layout.version === 2)
      // A cgroup counts what those above it give to those below.
      for (const above of ["", base])
        writeFileSync(`${mounts[0]}${above}/cgroup.subtree_control`, "+memory +pids");
    const child = await processIn(
      `${base}/a`,
      "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; exec sleep 100",
    );
    // What it had before it came counts elsewhere: sleep's first page is the first here.
    await expect.poll(() => cgroups.usage(`${base}/a`)?.memoryUsageBytes).toBeGreaterThan(0n);
    const usage = cgroups.usage(`${base}/a`);
    expect(usage?.cpuUsageNs).toBeGreaterThan(1_000_000n);
    expect(usage?.processes).toBe(1n);
    expect(cgroups.oomKills(`${base}/a`)).toBe(0n);
    expect(await cgroups.processes(base)).toEqual([child.pid]);
    expect(cgroups.exists(base)).toBe(true);
  });

  it("kills all processes in and below a cgroup, also while they fork", async () => {
    make(`${base}/a/b`);
    const forker = await processIn(`${base}/a`, "echo up; while :; do /bin/true; done");
    const ignorer = await processIn(`${base}/a/b`, "trap '' TERM INT HUP; echo up; sleep 100 & wait");
    const ends = [once(forker, "exit"), once(ignorer, "exit")];
    await cgroups.killAll(base, signal());
    await Promise.all(ends);
    expect(await cgroups.processes(base)).toEqual([]);
  });

  it("kills a frozen cgroup's processes, and leaves it thawed", async () => {
    make(`${base}/a`);
    const child = await processIn(`${base}/a`, "echo up; sleep 100");
    expect(cgroups.freeze(`${base}/a`, true)).toBe(true);
    const end = once(child, "exit");
    await cgroups.killAll(`${base}/a`, signal());
    await end;
    if (cgroups.layout.version === 1) {
      const freezer = cgroups.layout.controllers.get("freezer");
      expect(readFileSync(`${freezer}${base}/a/freezer.state`, "utf8")).toBe("THAWED\n");
    }
  });

  it("freezes a cgroup and lets it go on; one that is not there it can't", async () => {
    make(`${base}/a`);
    const child = await processIn(`${base}/a`, "while :; do echo more; sleep 0.01; done");
    expect(cgroups.freeze(`${base}/a`, true)).toBe(true);
    const cpu = () => readFileSync(`/proc/${child.pid}/schedstat`, "utf8");
    const [file, frozen] =
      cgroups.layout.version === 1
        ? [`${cgroups.layout.controllers.get("freezer")}${base}/a/freezer.state`, /^FROZEN$/m]
        : [`${cgroups.layout.unified}${base}/a/cgroup.events`, /^frozen 1$/m];
    await expect.poll(() => readFileSync(file, "utf8")).toMatch(frozen);
    const had = cpu();
    expect(cgroups.freeze(`${base}/a`, false)).toBe(true);
    await expect.poll(cpu).not.toBe(had);
    expect(cgroups.freeze(`${base}/never`, true)).toBe(false);
  });

  it("removes a cgroup with those below it, and again without an error", async () => {
    make(`${base}/a/b/c`);
    await cgroups.remove(base, signal());
    expect(mounts.filter((mount) => existsSync(mount + base))).toEqual([]);
    await cgroups.remove(base, signal());
    await cgroups.killAll(base, signal());
    expect(cgroups.exists(base)).toBe(false);
  });

  it("does not remove a cgroup that is in use, and says so at the time limit", async () => {
    make(`${base}/a`);
    await processIn(`${base}/a`, "echo up; exec sleep 100");
    await expect(cgroups.remove(`${base}/a`, AbortSignal.timeout(100))).rejects.toMatchObject({
      kind: "deadline-exceeded",
      message: `cgroup ${base}/a is still in use`,
    });
    expect(cgroups.exists(`${base}/a`)).toBe(true);
  });

  it("removes empty parents up to where it is told, and stops at one in use", async () => {
    make(`${base}/x/y/z`);
    make(`${base}/other`);
    await cgroups.remove(`${base}/x/y/z`, signal());
    await cgroups.removeEmptyParents(`${base}/x/y/z`, base);
    expect(cgroups.exists(`${base}/x`)).toBe(false);
    expect(cgroups.exists(base)).toBe(true);
    await cgroups.remove(`${base}/other`, signal());
    make(`${base}/p/q`);
    make(`${base}/p/kept`);
    await cgroups.remove(`${base}/p/q`, signal());
    await cgroups.removeEmptyParents(`${base}/p/q`, base);
    expect(cgroups.exists(`${base}/p/kept`)).toBe(true);
  });
});
