/** Rows of the security bar that the OCI runtime alone answers for; their numbers stand in the names. */
import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { makeCanary } from "../../support/canary.ts";
import { program } from "../../support/programs.ts";
import { binary, Bundle, type Spec, capabilityMask, statusFields } from "./bundle.ts";

const status = "grep -E '^(Cap|NoNew|Seccomp|Groups|Uid|Gid)' /proc/self/status";

describe("root filesystem and mounts", () => {
  it.each(["proc", "sys", "dev"])(
    "M3, M7: an image whose /%s is a link is refused, what it points at holds",
    async (name) => {
      await using canary = await makeCanary();
      await using b = new Bundle((_s, bundle) => {
        rmdirSync(join(bundle.rootfs, name));
        symlinkSync(canary.path, join(bundle.rootfs, name));
      });
      const r = b.run();
      expect(r.code).toBe(1);
      expect(r.stderr).toContain(`on "/${name}": is a link or a file in the image`);
      expect(b.traces()).toEqual([]);
      expect(canary.listing()).toEqual(canary.before);
    },
  );

  it("M7: without a /dev mount nothing is made through a /dev that is a link", async () => {
    await using canary = await makeCanary();
    await using b = new Bundle((s, bundle) => {
      s.mounts = s.mounts.filter((m) => !m.destination.startsWith("/dev"));
      rmdirSync(join(bundle.rootfs, "dev"));
      symlinkSync(canary.path, join(bundle.rootfs, "dev"));
    });
    expect(b.run().stderr).toContain("open /dev of the rootfs");
    expect(canary.listing()).toEqual(canary.before);
  });

  it.each([
    ["/proc", "only procfs may be mounted there"],
    ["/proc/self/attr", "is inside procfs"],
    ["/proc/sys/kernel", "is inside procfs"],
    ["/link/sys", "is inside procfs"],
  ])("M3: a volume on %s is refused", async (destination, message) => {
    await using b = new Bundle((s, bundle) => {
      mkdirSync(join(bundle.folder, "volume"));
      symlinkSync("/proc", join(bundle.rootfs, "link"));
      s.mounts.push({ destination, type: "bind", source: "volume", options: ["rbind"] });
    });
    const r = b.run();
    expect(r.code).toBe(1);
    expect(r.stderr).toContain(message);
    expect(b.traces()).toEqual([]);
  });

  it("M4: paths are masked by the host's null device whatever /dev/null of the image is", async () => {
    await using b = new Bundle((s, bundle) => {
      s.mounts = s.mounts.filter((m) => !m.destination.startsWith("/dev"));
      s.process.noNewPrivileges = true;
      symlinkSync("/proc/sys/kernel/core_pattern", join(bundle.rootfs, "dev/null"));
    });
    const before = readFileSync("/proc/sys/kernel/core_pattern", "utf8");
    const r = b.sh("true");
    expect(r.code).toBe(1);
    expect(r.stderr).toContain('device node "null": something else is there');
    rmSync(join(b.rootfs, "dev/null"));
    const masked = b.sh(
      "wc -c </proc/keys; ls /sys/firmware | wc -l; echo x >/proc/sys/kernel/core_pattern; echo b >/proc/sysrq-trigger",
    );
    expect(masked.stdout).toBe("0\n0\n");
    expect(masked.stderr).toMatch(/core_pattern: Read-only file system[\s\S]*sysrq-trigger/);
    expect(readFileSync("/proc/sys/kernel/core_pattern", "utf8")).toBe(before);
  });

  it("M2, M8: targets that are links stay inside the rootfs", async () => {
    await using canary = await makeCanary();
    await using b = new Bundle((s, bundle) => {
      symlinkSync(canary.path, join(bundle.rootfs, "data"));
      symlinkSync("../../../../../../../../../..", join(bundle.rootfs, "up"));
      s.mounts.push(
        { destination: "/data/deep", type: "tmpfs", source: "tmpfs" },
        { destination: `/up${canary.path}/etc`, type: "tmpfs", source: "tmpfs" },
        { destination: "/../../outside", type: "tmpfs", source: "tmpfs" },
      );
      s.process.cwd = "/data/work";
    });
    expect(b.sh(`ls -d /outside; ls -d ${canary.path}/deep`).stdout).toBe(`/outside\n${canary.path}/deep\n`);
    expect(canary.listing()).toEqual(canary.before);
  });

  it("M2: a volume whose folder is swapped for a link while containers are made never shows the host", async () => {
    await using canary = await makeCanary();
    await using b = new Bundle((s, bundle) => {
      mkdirSync(join(bundle.folder, "volume/inner"), { recursive: true });
      s.mounts.push(
        { destination: "/shared", type: "bind", source: "volume", options: ["rbind"] },
        { destination: "/shared/inner", type: "tmpfs", source: "tmpfs" },
      );
    });
    const volume = join(b.folder, "volume");
    const swap = `cd ${volume}; ln -s ${canary.path} link; while :; do mv -T inner dir; mv -T link inner; mv -T inner link; mv -T dir inner; done`;
    const racer = spawn("/bin/sh", ["-c", swap], { stdio: "ignore" });
    try {
      // A target that is away at that moment fails the create; it must never be the host's.
      for (let i = 0; i < (process.env.KOBAKO_SOAK === "1" ? 500 : 60); i++)
        expect(b.sh(`test -e ${canary.path}/deep || ls /shared`).stdout).not.toContain("setuid");
    } finally {
      racer.kill("SIGKILL");
    }
    expect(canary.listing()).toEqual(canary.before);
    expect(b.traces()).toEqual([]);
  });

  it("M5: /dev/console is made without following a link, and only with a terminal", async () => {
    await using canary = await makeCanary();
    await using b = new Bundle((s) => {
      s.process.terminal = true;
    });
    expect(b.run().stderr).toContain("process.terminal: nobody takes the terminal");
    expect(canary.listing()).toEqual(canary.before);
  });

  it("M13: read-only holds for submounts with rro, and only for the top with ro", async () => {
    await using b = new Bundle((s, bundle) => {
      mkdirSync(join(bundle.folder, "volume"));
      s.mounts.push(
        { destination: "/one", type: "bind", source: "/dev", options: ["rbind", "ro"] },
        { destination: "/all", type: "bind", source: "/dev", options: ["rbind", "rro"] },
      );
    });
    const out = b.sh("grep -E ' /(one|all)(/| )' /proc/self/mountinfo").stdout.trim().split("\n");
    const flags = out.map((line) => line.split(" ").slice(4, 6).join(" "));
    for (const line of flags.filter((f) => f.startsWith("/all"))) expect(line).toMatch(/ ro/);
    expect(flags.find((f) => f.startsWith("/one "))).toMatch(/ ro/);
    for (const line of flags.filter((f) => f.startsWith("/one/"))) expect(line).toMatch(/ rw/);
    expect(flags.length).toBeGreaterThan(2);
  });

  it("M13: a shared or slave propagation of a source that is not shared is refused by name", async () => {
    await using b = new Bundle((s, bundle) => {
      mkdirSync(join(bundle.folder, "volume"));
      s.mounts.push({ destination: "/v", type: "bind", source: "volume", options: ["rbind", "rshared"] });
    });
    const line = readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .find((l) => l.split(" ")[4] === "/");
    if (line?.includes(" shared:")) return; // on such a host it is granted; the next test covers that
    expect(b.run().stderr).toContain(`source "volume" is not on a shared mount`);
  });

  it("M14: the cgroup tree in a container is its own and read-only", async () => {
    await using b = new Bundle((s) => {
      s.mounts.push({ destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"] });
    });
    const r = b.sh(
      "cd /sys/fs/cgroup; find . -name release_agent | wc -l; mkdir memory/x pids/x x 2>&1; [ -d memory ] && cd memory; mount -o remount,rw $PWD 2>&1",
    );
    expect(r.stdout.split("\n")[0]).toBe("0");
    expect(r.stdout.match(/Read-only file system|No such file/g)?.length).toBe(3);
    expect(r.stdout).toMatch(/denied|permitted/i);
  });
});

describe("descriptors and identity", () => {
  it("F1: a working folder that leads through a descriptor is refused", async () => {
    for (let n = 3; n <= 24; n++) {
      await using b = new Bundle((s) => {
        s.process.cwd = `/proc/self/fd/${n}`;
      });
      const r = b.sh("ls -la .");
      expect(r.code).toBe(1);
      expect(r.stderr).toContain("working folder");
    }
  });

  it("F1: an exec'd process has only its three descriptors", async () => {
    await using b = new Bundle((s) => {
      s.process.args = ["/bin/sleep", "1000"];
    });
    b.create();
    b.start();
    const pidFile = join(b.folder, "exec.pid");
    // To files: a pipe held by the process would keep us waiting.
    const line = `exec "$0" --root ${b.state} exec -d --pid-file ${pidFile} ${b.id} /bin/sleep 1000 >/dev/null 2>&1`;
    expect(spawnSync("/bin/sh", ["-c", line, binary]).status).toBe(0);
    expect(readdirSync(`/proc/${readFileSync(pidFile, "utf8")}/fd`)).toEqual(["0", "1", "2"]);
    const r = b.exec(["/bin/true"], ["--cwd", "/proc/self/fd/7"]);
    expect(r.code).toBe(255);
    expect(r.stderr).toContain("working folder");
  });

  it("F4, F5: only the environment of the specification is there", async () => {
    await using b = new Bundle((s) => {
      s.process.env = ["PATH=/bin", "A=1"];
    });
    expect(b.sh("env | grep -v -E '^(PWD|SHLVL|_)=' | sort").stdout).toBe("A=1\nPATH=/bin\n");
  });

  it("I4, I5, F3, I6, I7: the sets of a root container and of an exec in it are those asked for", async () => {
    await using b = new Bundle((s) => {
      s.process.args = ["/bin/sleep", "1000"];
    });
    b.create();
    b.start();
    const want = capabilityMask(0, 5, 27, 10, 7, 6);
    const inside = statusFields(readFileSync(`/proc/${b.pid()}/status`, "utf8"));
    const exec = statusFields(b.exec(["/bin/sh", "-c", status]).stdout);
    for (const fields of [inside, exec]) {
      expect(fields.CapInh).toBe(capabilityMask());
      expect(fields.CapAmb).toBe(capabilityMask());
      expect(fields.CapPrm).toBe(want);
      expect(fields.CapEff).toBe(want);
      expect(fields.CapBnd).toBe(want);
      expect(fields.NoNewPrivs).toBe("1");
    }
  });

  it("I5: a user other than root has no effective capability, unless ambient ones are asked for", async () => {
    const as1000 = (change: (s: Spec) => void) =>
      new Bundle((s) => {
        s.process.user = { uid: 1000, gid: 1001, additionalGids: [1001, 5000] };
        change(s);
      });
    await using plain = as1000((s) => {
      s.process.capabilities = { bounding: ["CAP_CHOWN"] };
    });
    const fields = statusFields(plain.sh(status).stdout);
    expect(fields.Uid?.split(/\s+/)[0]).toBe("1000");
    expect(fields.Groups?.trim()).toBe("1001 5000");
    expect([fields.CapEff, fields.CapPrm, fields.CapAmb]).toEqual(Array(3).fill(capabilityMask()));
    await using ambient = as1000((s) => {
      const kill = ["CAP_KILL"];
      s.process.capabilities = {
        bounding: kill,
        permitted: kill,
        inheritable: kill,
        ambient: kill,
        effective: kill,
      };
    });
    expect(statusFields(ambient.sh(status).stdout).CapEff).toBe(capabilityMask(5));
  });

  it("F3, I6: an exec runs as the container's user, and may not ask for more", async () => {
    await using b = new Bundle((s) => {
      s.process.args = ["/bin/sleep", "1000"];
      s.process.user = { uid: 1, gid: 2, additionalGids: [3] };
      s.process.capabilities = { bounding: ["CAP_KILL"] };
    });
    b.create();
    b.start();
    expect(b.exec(["/bin/id"]).stdout).toMatch(/^uid=1 gid=2 groups=(2,)?3/);
    const more = join(b.folder, "process.json");
    writeFileSync(
      more,
      JSON.stringify({ args: ["/bin/id"], cwd: "/", capabilities: { bounding: ["CAP_SYS_ADMIN"] } }),
    );
    const r = b.oci(["exec", "-p", more, b.id]);
    expect(r.code).toBe(255);
    expect(r.stderr).toContain("process.capabilities: more than the container has");
  });

  it("I7: a setuid program gives root without no_new_privs only", async () => {
    await using b = new Bundle((s, bundle) => {
      s.process.user = { uid: 1000, gid: 1000 };
      s.process.args = ["/suid"];
      writeFileSync(join(bundle.rootfs, "suid"), program("effective-uid"));
      chmodSync(join(bundle.rootfs, "suid"), 0o4755);
    });
    expect(b.run().stdout).toContain("1000");
    b.spec.process.noNewPrivileges = false;
    expect(b.run().stdout).not.toContain("1000");
  });

  it("F8: every container and exec has a session keyring of its own", async () => {
    await using b = new Bundle((s, bundle) => {
      s.process.args = ["/bin/sleep", "1000"];
      writeFileSync(join(bundle.rootfs, "keyring"), program("session-keyring"), { mode: 0o755 });
    });
    b.create();
    b.start();
    const ids = [1, 2].map(() => b.exec(["/keyring"]).stdout.trim());
    for (const id of ids) expect(id).toMatch(/^\d+$/);
    expect(ids[0]).not.toBe(ids[1]);
  });
});

describe("kernel surface and resources", () => {
  it("K3: a sysctl of an own namespace is set, of the machine or with the host's namespace refused", async () => {
    await using b = new Bundle((s) => {
      s.linux.sysctl = { "net.ipv4.ip_unprivileged_port_start": "80", "kernel.shm_rmid_forced": "1" };
    });
    expect(
      b.sh("cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shm_rmid_forced").stdout,
    ).toBe("80\n1\n");
    for (const [name, value] of [
      ["kernel.shm_rmid_forced", "1+kernel.core_pattern=|/x"],
      ["net/../kernel/core_pattern", "x"],
      ["net.ipv4.ip_forward", "1\n2"],
    ] as const) {
      b.spec.linux.sysctl = { [name]: value };
      expect(b.run().code).toBe(1);
      expect(b.traces()).toEqual([]);
    }
    b.spec.linux.namespaces = b.spec.linux.namespaces.filter(({ type }) => type !== "network");
    b.spec.linux.sysctl = { "net.ipv4.ip_forward": "1" };
    expect(b.run().stderr).toContain("no network namespace of its own");
  });

  it("K4, L11: default devices have their modes, others can't be opened", async () => {
    await using b = new Bundle((s) => {
      s.linux.devices = [
        { path: "/dev/net/tun", type: "c", major: 10, minor: 200, fileMode: 0o666, uid: 7, gid: 8 },
      ];
    });
    const r = b.sh(
      "stat -c '%n %a %u:%g %t,%T' /dev/null /dev/tty /dev/net/tun; head -c 1 /dev/zero | wc -c; head -c1 /dev/net/tun 2>&1; mknod /tmp/mem c 1 1; head -c 1 /tmp/mem 2>&1",
    );
    expect(r.stdout).toBe(
      [
        "/dev/null 666 0:0 1,3",
        "/dev/tty 666 0:0 5,0",
        "/dev/net/tun 666 7:8 a,c8",
        "1",
        "head: /dev/net/tun: Operation not permitted",
        "head: /tmp/mem: Operation not permitted",
        "",
      ].join("\n"),
    );
  });

  it("K4: a device that is allowed can be opened", async () => {
    await using b = new Bundle((s) => {
      s.linux.devices = [{ path: "/dev/kmsg", type: "c", major: 1, minor: 11 }];
      s.linux.resources = {
        devices: [
          { allow: false, access: "rwm" },
          { allow: true, type: "c", major: 1, minor: 11, access: "w" },
        ],
      };
    });
    expect(b.sh(": >>/dev/kmsg && echo ok; head -c 1 /dev/kmsg 2>/dev/null || echo no").stdout).toBe(
      "ok\nno\n",
    );
  });

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

  it("rlimits and oom_score_adj that need a privilege that is missing are told, not fatal", async () => {
    await using b = new Bundle((s) => {
      s.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 1000, hard: 1000 }];
      s.process.oomScoreAdj = 500;
    });
    expect(b.sh("ulimit -n; cat /proc/self/oom_score_adj")).toMatchObject({
      code: 0,
      stdout: "1000\n500\n",
      stderr: "",
    });
    b.spec.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 900_000_000, hard: 900_000_000 }];
    const r = b.sh("ulimit -n");
    expect(r.code === 0 ? r.stderr : r.stderr).toMatch(/RLIMIT_NOFILE/);
  });

  it("M1: the runtime's program can't be opened for writing from a container", async () => {
    await using b = new Bundle((s) => {
      s.process.args = [
        "/bin/sh",
        "-c",
        "while :; do for p in /proc/[0-9]*/exe; do (: >>$p) 2>/dev/null && readlink $p; done; done",
      ];
      s.process.noNewPrivileges = false;
    });
    const before = readFileSync(new URL("../../../build/bin/kobako-oci", import.meta.url));
    b.create();
    b.start();
    for (let i = 0; i < 40; i++) b.exec(["/bin/true"]);
    expect(b.output()).not.toContain("kobako-oci");
    expect(readFileSync(new URL("../../../build/bin/kobako-oci", import.meta.url)).equals(before)).toBe(true);
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
