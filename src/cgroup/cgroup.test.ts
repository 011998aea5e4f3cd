/** Parsing against trees of files; test/integration/cgroup works on the kernel's own. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Cgroups } from "./cgroup.ts";
import { type CgroupLayout, limitSupport, parseCgroupMounts } from "./layout.ts";
import { readOomKills, readUsage } from "./usage.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "cgroup-"));
});
afterEach(() => rmSync(root, { recursive: true }));

function tree(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}

const v2 = (): CgroupLayout => ({ version: 2, unified: root, controllers: new Map() });
const v1 = (): CgroupLayout => ({
  version: 1,
  unified: undefined,
  controllers: new Map(["memory", "cpuacct", "cpu", "pids"].map((name) => [name, `${root}/${name}`])),
});

describe("parseCgroupMounts", () => {
  it("finds a v2 host", () => {
    const layout = parseCgroupMounts(
      "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
    );
    expect(layout).toEqual({ version: 2, unified: "/sys/fs/cgroup", controllers: new Map() });
  });

  it("finds v1 with shared hierarchies, a named one and a v2 tree beside them; the first mount counts", () => {
    const layout = parseCgroupMounts(`
31 30 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
32 30 0:28 / /sys/fs/cgroup/systemd rw shared:6 - cgroup cgroup rw,xattr,name=systemd
33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
34 30 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
99 30 0:30 / /var/x/sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
35 30 0:31 / /mnt/with\\040space rw - cgroup cgroup rw,pids`);
    expect(layout.version).toBe(1);
    expect(layout.unified).toBe("/sys/fs/cgroup/unified");
    expect(Object.fromEntries(layout.controllers)).toEqual({
      "name=systemd": "/sys/fs/cgroup/systemd",
      cpu: "/sys/fs/cgroup/cpu,cpuacct",
      cpuacct: "/sys/fs/cgroup/cpu,cpuacct",
      memory: "/sys/fs/cgroup/memory",
      pids: "/mnt/with space",
    });
  });

  it("takes a host with only systemd's named v1 hierarchy for v2", () => {
    const layout = parseCgroupMounts(`
31 30 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
32 30 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd`);
    expect(layout.version).toBe(2);
  });
});

describe("limitSupport", () => {
  it("looks where containers go: a hugetlb controller in the v2 tree of a hybrid host does not count", () => {
    tree({ "unified/cgroup.controllers": "hugetlb\n" });
    const layout = { ...v1(), unified: `${root}/unified` };
    expect(limitSupport(layout)).toEqual({ hugetlb: false, swap: false });
    tree({ "memory/memory.memsw.limit_in_bytes": "9" });
    expect(limitSupport(layout).swap).toBe(true);
    tree({ "cgroup.controllers": "cpu memory hugetlb pids\n" });
    expect(limitSupport(v2())).toEqual({ hugetlb: true, swap: true });
  });
});

describe("readUsage", () => {
  it("reads a v2 cgroup", () => {
    tree({
      "pod/c/cpu.stat": "usage_usec 1234\nuser_usec 1000\nsystem_usec 234\n",
      "pod/c/memory.current": "1048576\n",
      "pod/c/memory.max": "max\n",
      "pod/c/memory.stat":
        "anon 4096\nfile 8192\nactive_file 1\ninactive_file 512\npgfault 7\npgmajfault 3\nworkingset_refault_inactive_file 99\n",
      "pod/c/memory.swap.current": "12\n",
      "pod/c/memory.swap.max": "34\n",
      "pod/c/pids.current": "5\n",
      "pod/c/memory.events": "low 0\nhigh 0\nmax 4\noom 2\noom_kill 1\noom_group_kill 0\n",
    });
    expect(readUsage(v2(), "/pod/c")).toEqual({
      cpuUsageNs: 1_234_000n,
      memoryUsageBytes: 1048576n,
      inactiveFileBytes: 512n,
      rssBytes: 4096n,
      pageFaults: 7n,
      majorPageFaults: 3n,
      memoryLimitBytes: undefined,
      swapUsageBytes: 12n,
      swapLimitBytes: 34n,
      processes: 5n,
    });
    expect(readOomKills(v2(), "/pod/c")).toBe(1n);
  });

  it("reads a v1 cgroup with its descendants' numbers", () => {
    tree({
      "cpuacct/c/cpuacct.usage": "99\n",
      "memory/c/memory.usage_in_bytes": "1000\n",
      "memory/c/memory.stat":
        "inactive_file 1\nhierarchical_memory_limit 4096\nhierarchical_memsw_limit 8192\ntotal_rss 10\ntotal_swap 3\ntotal_pgfault 6\ntotal_pgmajfault 2\ntotal_inactive_file 44\n",
      "memory/c/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
      "pids/c/pids.current": "1\n",
    });
    expect(readUsage(v1(), "/c")).toMatchObject({
      cpuUsageNs: 99n,
      inactiveFileBytes: 44n,
      rssBytes: 10n,
      memoryLimitBytes: 4096n,
      swapUsageBytes: 3n,
      swapLimitBytes: 4096n,
      majorPageFaults: 2n,
    });
    expect(readOomKills(v1(), "/c")).toBe(2n);
  });

  it("takes v1's largest limit for none", () => {
    tree({
      "memory/c/memory.usage_in_bytes": "1\n",
      "memory/c/memory.stat": "hierarchical_memory_limit 9223372036854771712\n",
    });
    expect(readUsage(v1(), "/c")?.memoryLimitBytes).toBeUndefined();
  });

  it("gives nothing for a cgroup that is gone", () => {
    expect(readUsage(v2(), "/gone")).toBeUndefined();
    expect(readUsage(v1(), "/gone")).toBeUndefined();
    expect(readOomKills(v2(), "/gone")).toBeUndefined();
  });
});

describe("Cgroups", () => {
  it.each(["", "/", "a", "/a/../b", "/a//b", "/a/", "/.", "/a\0b"])("refuses %j as a path", async (path) => {
    const cgroups = new Cgroups(v2());
    const signal = AbortSignal.timeout(5000);
    expect(() => cgroups.exists(path)).toThrow(/cgroup path/);
    expect(() => cgroups.usage(path)).toThrow(/cgroup path/);
    await expect(cgroups.killAll(path, signal)).rejects.toMatchObject({ kind: "invalid-argument" });
    await expect(cgroups.remove(path, signal)).rejects.toMatchObject({ kind: "invalid-argument" });
  });
});
