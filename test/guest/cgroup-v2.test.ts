/** A machine with cgroup v2 alone: what kobako-oci does there, asked of the kernel. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Bundle } from "../integration/oci/bundle.ts";
import { waitFor } from "../support/wait.ts";

const top = "/sys/fs/cgroup";
const read = (b: Bundle, file: string) => readFileSync(join(top, b.cgroup, file), "utf8").trim();

/** A bundle that sleeps below a parent of its own. */
function sleeping(change: (b: Bundle) => void = () => {}): Bundle {
  return new Bundle((s, b) => {
    s.process.args = ["/bin/sleep", "1000"];
    s.linux.cgroupsPath += "/c";
    change(b);
  });
}

describe("resources on cgroup v2", () => {
  it("all of linux.resources that v2 has reaches its files", async () => {
    await using b = sleeping((it) => {
      it.spec.linux.resources = {
        memory: { limit: 64 << 20, swap: 96 << 20, reservation: 32 << 20, checkBeforeUpdate: true },
        cpu: { shares: 2048, quota: 40_000, period: 80_000, burst: 10_000, cpus: "0-1", mems: "0" },
        pids: { limit: 77 },
        hugepageLimits: [{ pageSize: "2MB", limit: 4 << 20 }],
        unified: { "memory.high": "60000000", "memory.oom.group": "1" },
      };
    });
    expect(b.create()).toMatchObject({ code: 0, stderr: "" });
    expect({
      max: read(b, "memory.max"),
      swap: read(b, "memory.swap.max"),
      low: read(b, "memory.low"),
      high: read(b, "memory.high"),
      group: read(b, "memory.oom.group"),
      cpu: read(b, "cpu.max"),
      burst: read(b, "cpu.max.burst"),
      cpus: read(b, "cpuset.cpus"),
      pids: read(b, "pids.max"),
      huge: read(b, "hugetlb.2MB.max"),
      reserved: read(b, "hugetlb.2MB.rsvd.max"),
    }).toEqual({
      max: String(64 << 20),
      swap: String(32 << 20),
      low: String(32 << 20),
      high: "59998208", // whole pages
      group: "1",
      cpu: "40000 80000",
      burst: "10000",
      cpus: "0-1",
      pids: "77",
      huge: String(4 << 20),
      reserved: String(4 << 20),
    });
    expect(Number(read(b, "cpu.weight"))).toBeGreaterThan(100);
  });

  it("checkBeforeUpdate: a limit below what is in use is refused and kills nobody; file pages are not in use", async () => {
    await using b = sleeping((it) => {
      const keep =
        "x=$(head -c 8000000 /dev/zero | /bin/busybox tr '\\0' x); : >/tmp/ready; sleep 1000; echo $x";
      it.spec.process.args = ["/bin/sh", "-c", `head -c 33554432 /dev/zero >/tmp/pages; ${keep}`];
    });
    b.create();
    b.start();
    await waitFor("the container's memory", () => b.exec(["/bin/sh", "-c", "test -e /tmp/ready"]).code === 0);
    expect(Number(read(b, "memory.current")), "with its pages of the file").toBeGreaterThan(38 << 20);
    const update = (limit: number) => {
      const resources = JSON.stringify({ memory: { limit, checkBeforeUpdate: true } });
      return b.oci(["update", "--resources", "-", b.id], resources);
    };
    const before = read(b, "memory.max");
    const refused = update(4 << 20);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/memory\.limit: 4194304 is below the \d+ bytes in use/);
    expect(read(b, "memory.max")).toBe(before);
    expect(update(28 << 20)).toMatchObject({ code: 0, stderr: "" });
    expect(read(b, "memory.max")).toBe(String(28 << 20));
    expect(b.exec(["/bin/true"]).code).toBe(0);
    expect(read(b, "memory.events")).toContain("oom_kill 0");
  });

  it("an update leaves what it does not name: memory and swap together, the limit below swap, the period of a quota", async () => {
    await using b = sleeping((it) => {
      it.spec.linux.resources = {
        memory: { limit: 100 << 20, swap: 200 << 20 },
        cpu: { quota: 20_000, period: 40_000 },
      };
    });
    b.create();
    const update = (...options: readonly string[]) => {
      const { code, stderr } = b.oci(["update", ...options, b.id]);
      const mib = (file: string) => Number(read(b, file)) / (1 << 20);
      return [
        code,
        mib("memory.max"),
        mib("memory.swap.max"),
        read(b, "cpu.max"),
        stderr.match(/memory\.\w+:/)?.[0],
      ];
    };
    expect(update("--memory", "150m")).toEqual([0, 150, 50, "20000 40000", undefined]);
    expect(update("--memory-swap", "300m")).toEqual([0, 150, 150, "20000 40000", undefined]);
    expect(update("--memory-swap", "100m")).toEqual([1, 150, 150, "20000 40000", "memory.swap:"]);
    expect(update("--memory", "301m")).toEqual([1, 150, 150, "20000 40000", "memory.limit:"]);
    expect(update("--memory", "301m", "--memory-swap", "301m")).toEqual([
      0,
      301,
      0,
      "20000 40000",
      undefined,
    ]);
    expect(update("--memory", "200m")).toEqual([0, 200, 0, "20000 40000", undefined]);
    expect(update("--cpu-quota", "30000")).toEqual([0, 200, 0, "30000 40000", undefined]);
    expect(update("--cpu-period", "50000")).toEqual([0, 200, 0, "30000 50000", undefined]);
    expect(update("--memory", "-1")[0]).toBe(0);
    expect(read(b, "memory.swap.max")).toBe("max");
  });

  it("with memory.oom.group one process over the limit ends all of the container", async () => {
    await using b = new Bundle((s) => {
      s.linux.resources = {
        memory: { limit: 32 << 20, swap: 32 << 20 },
        unified: { "memory.oom.group": "1" },
      };
    });
    // Without the group the shell would outlive its child and print.
    const r = b.sh("tail -c 100000000 /dev/zero | wc -c; echo alive");
    expect(r.stdout).not.toContain("alive");
    expect(r.code).toBe(137);
  });

  it.each([
    [{ unified: { "cgroup.freeze": "1" } }, "linux.resources.unified.cgroup.freeze"],
    [{ unified: { "../x": "1" } }, "linux.resources.unified.../x"],
    [{ unified: { "net_cls.classid": "1" } }, "net_cls"],
    [{ memory: { swappiness: 10 } }, "linux.resources.memory.swappiness"],
    [{ cpu: { realtimeRuntime: 1000 } }, "linux.resources.cpu.realtimeRuntime"],
    [{ network: { classID: 1 } }, "linux.resources.network"],
  ])("%j is refused, and nothing is left", async (resources, name) => {
    await using b = sleeping((it) => {
      it.spec.linux.resources = resources;
    });
    const r = b.create();
    expect(r.code).toBe(1);
    expect(r.stderr).toContain(name);
    expect(b.traces()).toEqual([]);
  });
});

describe("the cgroup of a container on v2", () => {
  it("U1: its process and an exec's are below the path given, and it is the root of its cgroup namespace", async () => {
    await using b = sleeping((it) => {
      it.spec.mounts.push({
        destination: "/sys/fs/cgroup",
        type: "cgroup",
        source: "cgroup",
        options: ["ro", "nosuid"],
      });
    });
    b.create();
    b.start();
    expect(readFileSync(`/proc/${b.pid()}/cgroup`, "utf8")).toBe(`0::${b.cgroup}\n`);
    expect(b.exec(["/bin/cat", "/proc/self/cgroup"]).stdout).toBe("0::/\n");
    expect(b.exec(["/bin/cat", "/sys/fs/cgroup/cgroup.type"]).stdout).toBe("domain\n");
  });

  it("M14: it can be read and not written from inside", async () => {
    await using b = new Bundle((s) => {
      s.mounts.push({
        destination: "/sys/fs/cgroup",
        type: "cgroup",
        source: "cgroup",
        options: ["ro", "nosuid"],
      });
    });
    const r = b.sh(
      "cd /sys/fs/cgroup; cat cgroup.procs | wc -l; echo max > memory.max; mkdir x; mount -o remount,rw . ",
    );
    expect(Number(r.stdout)).toBeGreaterThan(0);
    expect(r.stderr.match(/Read-only file system/g)?.length).toBe(2);
    expect(r.stderr).toMatch(/mount: .*(denied|permitted)/);
  });

  it("K4, L11: device nodes of an image open nothing", async () => {
    await using b = sleeping();
    b.create();
    b.start();
    const r = b.exec([
      "/bin/sh",
      "-c",
      "mknod /tmp/disk b 254 0; mknod /tmp/mem c 1 1; mknod /tmp/kmsg c 1 11; for f in disk mem kmsg; do head -c 1 /tmp/$f; done; head -c1 /dev/zero | wc -c",
    ]);
    expect(r.stdout.trim()).toBe("1");
    expect(r.stderr.match(/Operation not permitted/g)?.length, r.stderr).toBe(3);
  });

  it("kill --all ends every process at once, also those that fork, and delete leaves nothing", async () => {
    await using b = new Bundle((s) => {
      s.process.args = ["/bin/sh", "-c", "trap '' TERM; while :; do (sleep 100 &); sleep 0.01; done"];
      s.linux.namespaces = s.linux.namespaces.filter(({ type }) => type !== "pid");
      s.linux.resources = { pids: { limit: 200 } };
    });
    b.create();
    b.start();
    await waitFor("a few processes", () => read(b, "cgroup.procs").split("\n").length > 10);
    expect(b.oci(["kill", "--all", b.id, "KILL"]).code).toBe(0);
    await waitFor("nobody is left", () => read(b, "cgroup.procs") === "");
    expect(b.oci(["delete", b.id]).code).toBe(0);
    expect(b.traces()).toEqual([]);
  });

  it("a parent that has processes of its own gives no controllers: the error says what to do", async () => {
    await using outer = sleeping();
    outer.create();
    outer.start();
    await using b = sleeping((it) => {
      it.spec.linux.cgroupsPath = `${outer.cgroup}/inner`;
      it.spec.linux.resources = { memory: { limit: 32 << 20 } };
    });
    const r = b.create();
    expect(r.code).toBe(1);
    expect(r.stderr).toContain("has processes of its own");
    expect(b.traces()).toEqual([]);
  });
});
