import { lstatSync, readFileSync, readdirSync, readlinkSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Bundle, type Spec, capabilityMask, statusFields } from "./bundle.ts";

const status = "grep -E '^(Cap|NoNew|Seccomp|Groups|Uid|Gid)' /proc/self/status";

describe("kernel surface and resources", () => {
  it("seccomp: what the profile refuses is refused, compiled once", async () => {
    await using b = new Bundle((s) => {
      s.linux.seccomp = {
        defaultAction: "SCMP_ACT_ALLOW",
        architectures: [
          "SCMP_ARCH_X86_64",
          "SCMP_ARCH_X86",
          "SCMP_ARCH_X32",
          "SCMP_ARCH_AARCH64",
          "SCMP_ARCH_ARM",
        ],
        syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 95 }],
      };
    });
    for (const noNewPrivileges of [true, false]) {
      b.spec.process.noNewPrivileges = noNewPrivileges;
      const r = b.sh(`mkdir /x 2>&1; ${status}`);
      expect(r.stdout).toContain("mkdir: can't create directory '/x': Operation not supported");
      expect(statusFields(r.stdout).Seccomp).toBe("2");
      expect(statusFields(r.stdout).CapEff).toBe(capabilityMask(0, 5, 27, 10, 7, 6));
    }
    b.spec.process.args = ["/bin/sleep", "1000"];
    b.create();
    b.start();
    expect(b.exec(["/bin/mkdir", "/x"]).stderr).toContain("Operation not supported");
  });

  it("limits are in the kernel, and one that is out of range is refused with its place", async () => {
    await using b = new Bundle((s) => {
      s.linux.resources = {
        memory: { limit: 64 << 20 },
        cpu: { shares: 512, quota: 50_000, period: 100_000, cpus: "0" },
        pids: { limit: 40 },
        hugepageLimits: [{ pageSize: "2MB", limit: 0 }],
      };
      s.process.args = ["/bin/sleep", "1000"];
    });
    expect(b.create()).toMatchObject({ code: 0 });
    const read = (...candidates: string[]) => {
      for (const file of candidates)
        try {
          return readFileSync(file.replace("CG", b.cgroup), "utf8").trim();
        } catch {}
      return undefined;
    };
    expect(read("/sys/fs/cgroup/memory/CG/memory.limit_in_bytes", "/sys/fs/cgroup/CG/memory.max")).toBe(
      `${64 << 20}`,
    );
    expect(read("/sys/fs/cgroup/pids/CG/pids.max", "/sys/fs/cgroup/CG/pids.max")).toBe("40");
    expect(read("/sys/fs/cgroup/cpu/CG/cpu.cfs_quota_us", "/sys/fs/cgroup/CG/cpu.max")).toMatch(/^50000/);
    expect(read("/sys/fs/cgroup/cpuset/CG/cpuset.cpus", "/sys/fs/cgroup/CG/cpuset.cpus")).toBe("0");
    for (const line of readFileSync(`/proc/${b.pid()}/cgroup`, "utf8").trim().split("\n"))
      expect(line.endsWith(`:${b.cgroup}`)).toBe(true);
    b.oci(["delete", "--force", b.id]);
    b.spec.linux.resources = { memory: { limit: "64" } };
    expect(b.create().stderr).toContain("linux.resources.memory.limit: not a whole number");
    expect(b.traces()).toEqual([]);
  });

  it.each(["/", "../../x", "/a//b", "/a/../../b"])("U2: the cgroup path %s is refused", async (path) => {
    await using b = new Bundle();
    const own = b.spec.linux.cgroupsPath;
    b.spec.linux.cgroupsPath = path;
    expect(b.run().stderr).toContain("cgroup path");
    b.spec.linux.cgroupsPath = own;
  });

  it("rlimits and oom_score_adj are those asked for; a limit above the kernel's is an error", async () => {
    await using b = new Bundle((s) => {
      s.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 1000, hard: 1000 }];
      s.process.oomScoreAdj = 500;
    });
    expect(b.sh("ulimit -n; cat /proc/self/oom_score_adj")).toMatchObject({
      code: 0,
      stdout: "1000\n500\n",
      stderr: "",
    });
    b.spec.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 900_000_000, hard: 900_000_000 }]; // above fs.nr_open, with any privilege
    expect(b.sh("ulimit -n")).toMatchObject({ code: 1, stdout: "" });
    expect(b.sh("ulimit -n").stderr).toContain("process.rlimits: set RLIMIT_NOFILE to 900000000:900000000");
  });
});

describe("what a failed create leaves", () => {
  it("nothing: no process, mount, cgroup or state, whatever step fails", async () => {
    await using b = new Bundle();
    const zombiesAndOthers = () =>
      readdirSync("/proc").filter((p) => {
        if (!/^\d+$/.test(p)) return false;
        try {
          return readlinkSync(`/proc/${p}/exe`).includes("kobako-oci");
        } catch {
          return false;
        }
      });
    const breakers: ((s: Spec) => void)[] = [
      (s) => s.mounts.push({ destination: "/x", type: "nofs" }),
      (s) => s.mounts.splice(-1, 1, { destination: "/", type: "tmpfs" }),
      (s) => {
        s.mounts.pop();
        s.linux.namespaces.push({ type: "mount", path: "/nope" });
      },
      (s) => {
        s.linux.namespaces.pop();
        s.process.cwd = "/bin/busybox/x";
      },
      (s) => {
        s.process.cwd = "/";
        s.linux.cgroupsPath = `${s.linux.cgroupsPath}/${"x".repeat(300)}`;
      },
    ];
    const own = b.spec.linux.cgroupsPath;
    for (const change of breakers) {
      change(b.spec);
      expect(b.run().code).toBe(1);
      expect(b.traces()).toEqual([]);
      expect(zombiesAndOthers()).toEqual([]);
    }
    b.spec.linux.cgroupsPath = own;
    expect(lstatSync(b.rootfs).isDirectory()).toBe(true);
  });
});
