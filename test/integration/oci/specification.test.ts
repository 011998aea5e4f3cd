/** Fields of config.json that need a second look at the kernel: user and time namespaces, mapped mounts, memory, CPUs. */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readCgroupLayout } from "../../../src/cgroup/layout.ts";
import { ownName } from "../../support/run.ts";
import { binary, Bundle, type Result, type Spec } from "./bundle.ts";

const map = (inside: number, outside: number, size: number) => [
  { containerID: inside, hostID: outside, size },
];

/** A user namespace of its own, root is 100000. */
function ownUsers(s: Spec): void {
  s.linux.namespaces.push({ type: "user" });
  Object.assign(s.linux, { uidMappings: map(0, 100000, 65536), gidMappings: map(0, 100000, 65536) });
  // The tmpfs and devpts of the bundle name groups that are mapped.
}

describe("linux.uidMappings, linux.gidMappings", () => {
  it("a new user namespace has the lines given, devices of the host, and files of its root", async () => {
    await using b = new Bundle(ownUsers);
    const r = b.sh(
      "cat /proc/self/uid_map /proc/self/gid_map; echo x >/dev/shm-file && stat -c %u /dev/shm-file; echo y >/dev/null; stat -c %t:%T /dev/null",
    );
    expect(r.stderr).toBe("");
    expect(r.stdout.replaceAll(/ +/g, " ")).toBe(" 0 100000 65536\n 0 100000 65536\n0\n1:3\n");
  });

  it("a namespace is joined by path, by execs too, and mappings that are not its own are refused", async () => {
    await using one = new Bundle((s) => {
      ownUsers(s);
      s.process.args = ["/bin/sleep", "1000"];
    });
    expect(one.create().code).toBe(0);
    one.start();
    const path = `/proc/${one.pid()}/ns/user`;
    const link = spawnSync("readlink", [path], { encoding: "utf8" }).stdout;
    expect(one.exec(["/bin/readlink", "/proc/self/ns/user"]).stdout).toBe(link);
    await using two = new Bundle((s) => {
      s.linux.namespaces.push({ type: "user", path });
    });
    expect(two.sh("readlink /proc/self/ns/user").stdout).toBe(link);
    Object.assign(two.spec.linux, { uidMappings: map(0, 100000, 65536), gidMappings: map(0, 100000, 65536) });
    expect(two.sh("readlink /proc/self/ns/user").stdout).toBe(link);
    Object.assign(two.spec.linux, { uidMappings: map(0, 200000, 10) });
    expect(two.run().stderr).toContain("linux.uidMappings: uid_map: 0 200000 10 is not in the namespace");
  });

  it.each([
    [{ uidMappings: map(0, 1, 1) }, "uidMappings is given without gidMappings"],
    [{ uidMappings: map(0, 1, 0), gidMappings: map(0, 1, 1) }, "size is 0"],
    [
      { uidMappings: [...map(0, 1, 5), ...map(3, 100, 1)], gidMappings: map(0, 1, 1) },
      "maps ids of another line again",
    ],
  ])("%j is refused: %s", async (linux, message) => {
    await using b = new Bundle((s) => {
      s.linux.namespaces.push({ type: "user" });
      Object.assign(s.linux, linux);
    });
    const r = b.run();
    expect(r.code).toBe(1);
    expect(r.stderr).toContain(message);
  });
});

describe("a caller without rights", () => {
  const uid = 54329;

  /** A bundle that belongs to `uid`, and the runtime run as that user. */
  function asUser(
    b: Bundle,
  ): (args: readonly string[]) => { code: number | null; stdout: string; stderr: string } {
    const folder = mkdtempSync(join(tmpdir(), "kobako-user-"));
    chmodSync(folder, 0o755);
    const own = join(folder, "kobako-oci");
    copyFileSync(binary, own);
    chmodSync(own, 0o755);
    chmodSync(b.folder, 0o755);
    spawnSync("chown", ["-R", `${uid}:${uid}`, b.folder]);
    return (args) => {
      const r = spawnSync(
        "setpriv",
        [
          `--reuid=${uid}`,
          `--regid=${uid}`,
          "--clear-groups",
          own,
          "--root",
          join(b.folder, "own-state"),
          ...args,
        ],
        { encoding: "utf8", env: {}, timeout: 30_000, input: "" },
      );
      if (args[0] === "delete") rmSync(folder, { recursive: true, force: true });
      return { code: r.status, stdout: r.stdout, stderr: r.stderr };
    };
  }

  it("maps itself, runs without a cgroup and says so, is root inside and itself outside", async () => {
    await using b = new Bundle((s) => {
      s.linux.namespaces.push({ type: "user" });
      s.mounts = s.mounts.filter((m) => m.destination !== "/dev/pts");
      s.process.args = ["/bin/sh", "-c", "id -u; cat /proc/self/setgroups; touch /made"];
    });
    b.write();
    const run = asUser(b);
    const r = run(["run", "-b", b.folder, b.id]);
    expect(r.stderr).toContain("warning: no cgroup");
    expect(r.stdout).toBe("0\ndeny\n");
    expect(r.code).toBe(0);
    expect(spawnSync("stat", ["-c", "%u", join(b.rootfs, "made")], { encoding: "utf8" }).stdout).toBe(
      `${uid}\n`,
    );
    run(["delete", "-f", b.id]);
  });

  it("is refused additional groups where setgroups is denied, limits without rights, and ids that are not its own", async () => {
    await using b = new Bundle((s) => {
      s.linux.namespaces.push({ type: "user" });
      s.mounts = s.mounts.filter((m) => m.destination !== "/dev/pts");
      s.process.user.additionalGids = [5];
    });
    b.write();
    const run = asUser(b);
    expect(run(["run", "-b", b.folder, b.id]).stderr).toContain(
      "additionalGids: the user namespace denies setgroups",
    );
    delete b.spec.process.user.additionalGids;
    b.spec.linux.resources = { pids: { limit: 5 } };
    b.write();
    expect(run(["run", "-b", b.folder, b.id]).stderr).toContain("linux.resources: ");
    delete b.spec.linux.resources;
    Object.assign(b.spec.linux, { uidMappings: map(0, 0, 1), gidMappings: map(0, uid, 1) });
    b.write();
    expect(run(["run", "-b", b.folder, b.id]).stderr).toMatch(/linux\.uidMappings: newuidmap: \S/);
    run(["delete", "-f", b.id]);
  });
});

describe("--rootless", () => {
  const uid = 54331;
  const hierarchies = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(" ")[4] ?? "");

  /** Runs a shell line in which "$@" is the runtime with these arguments. */
  function shell(b: Bundle, before: string, args: readonly string[]): Result {
    // Outside the bundle's folder, which others may not enter.
    const folder = mkdtempSync(join(tmpdir(), "kobako-rootless-"));
    chmodSync(folder, 0o755);
    const own = join(folder, "kobako-oci");
    copyFileSync(binary, own);
    chmodSync(own, 0o755);
    const r = spawnSync(
      "/bin/sh",
      ["-c", before, folder, own, "--root", join(b.folder, "own-state"), ...args],
      {
        encoding: "utf8",
        env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
        timeout: 30_000,
        input: "",
      },
    );
    rmSync(folder, { recursive: true });
    return { code: r.status, stdout: r.stdout, stderr: r.stderr };
  }

  /** As a user without rights. */
  const asUser = `exec setpriv --reuid=${uid} --regid=${uid} --clear-groups "$@"`;
  /** As root where all cgroup filesystems are read-only. */
  const readOnly = `exec unshare --mount /bin/sh -c 'for m in ${hierarchies.join(" ")}; do mount -o remount,bind,ro $m || exit 9; done; exec "$@"' sh "$@"`;

  const own = (b: Bundle, id = uid) => {
    chmodSync(b.folder, 0o755);
    spawnSync("chown", ["-R", `${id}:${id}`, b.folder]);
  };

  it("a user without rights goes without a cgroup by true and by auto, not by false", async () => {
    await using b = new Bundle((s) => {
      s.linux.namespaces.push({ type: "user" });
      s.mounts = s.mounts.filter((m) => m.destination !== "/dev/pts");
    });
    b.write();
    own(b);
    const run = (option: readonly string[]) => shell(b, asUser, [...option, "run", "-b", b.folder, b.id]);
    for (const option of [[], ["--rootless", "auto"], ["--rootless=true"]]) {
      const r = run(option);
      expect(r.stderr).toContain("warning: no cgroup: ");
      expect(r.code).toBe(0);
    }
    const refused = run(["--rootless=false"]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/container run: make cgroup .*: permission denied\n$/);
  });

  it("root goes without by true only, and never without limits that are asked for", async () => {
    await using b = new Bundle();
    b.write();
    const run = (option: readonly string[]) => shell(b, readOnly, [...option, "run", "-b", b.folder, b.id]);
    for (const option of [[], ["--rootless=auto"], ["--rootless=false"]]) {
      const r = run(option);
      expect(r.code).toBe(1);
      expect(r.stderr).toMatch(/container run: make cgroup .*: read-only file system\n$/);
    }
    expect(run(["--rootless=true"])).toMatchObject({
      code: 0,
      stderr: expect.stringContaining("warning: no cgroup: "),
    });
    const asked: readonly Record<string, unknown>[] = [
      { pids: { limit: 5 } },
      { devices: [{ allow: false, access: "rwm" }] },
      { hugepageLimits: [{ pageSize: "2MB", limit: 0 }] },
    ];
    for (const resources of asked) {
      b.spec.linux.resources = resources;
      b.write();
      const r = run(["--rootless=true"]);
      expect(r.code).toBe(1);
      expect(r.stderr).toContain("linux.resources: make cgroup ");
    }
  });

  it("root of a user namespace goes without by auto, with the host's devices", async () => {
    await using b = new Bundle((s) => {
      s.process.args = ["/bin/sh", "-c", "id -u; echo x >/dev/null && stat -c %t:%T /dev/null"];
      // As engines without root's rights leave them to their runtime.
      s.linux.resources = { devices: [{ allow: false, access: "rwm" }] };
    });
    b.write();
    own(b, 100_000);
    const inside = [
      'mkfifo "$0/up" "$0/go"',
      `unshare --user --keep-caps --mount /bin/sh -c 'echo up >"$0/up"; read x <"$0/go"; exec setpriv --reuid=0 --regid=0 --clear-groups "$@"' "$0" "$@" & pid=$!`,
      'read x <"$0/up"',
      "echo 0 100000 65536 >/proc/$pid/uid_map; echo 0 100000 65536 >/proc/$pid/gid_map",
      'echo go >"$0/go"',
      "wait $pid",
    ].join("\n");
    const run = (option: readonly string[]) => shell(b, inside, [...option, "run", "-b", b.folder, b.id]);
    const r = run([]);
    expect(r.stderr).toContain("warning: no cgroup: ");
    expect(r).toMatchObject({ code: 0, stdout: "0\n1:3\n" });
    expect(run(["--rootless=false"]).stderr).toMatch(/container run: make cgroup .*: permission denied\n$/);
  });

  it("a cgroup that was delegated to the user is used, with limits and without device rules", async () => {
    const top = ownName();
    await using b = new Bundle((s) => {
      s.linux.namespaces = s.linux.namespaces.filter(({ type }) => type !== "cgroup");
      s.linux.namespaces.push({ type: "user" });
      s.mounts = s.mounts.filter((m) => m.destination !== "/dev/pts");
      s.linux.cgroupsPath = `/${top}/below`;
      s.linux.resources = { pids: { limit: 5 } };
      s.process.args = ["/bin/cat", "/proc/self/cgroup"];
    });
    b.write();
    own(b);
    const delegated = hierarchies.map((mount) => join(mount, top));
    try {
      for (const folder of delegated) {
        mkdirSync(folder);
        for (const file of ["", "cgroup.procs", "tasks", "cgroup.subtree_control", "cgroup.threads"])
          if (existsSync(join(folder, file))) chownSync(join(folder, file), uid, uid);
        // A new group of the cpuset hierarchy takes nobody before it has processors and memory.
        for (const file of ["cpuset.cpus", "cpuset.mems"])
          if (existsSync(join(folder, "tasks")) && existsSync(join(folder, file)))
            writeFileSync(join(folder, file), readFileSync(join(folder, "..", file)));
      }
      // The way into a v2 group starts in one that is the user's as well.
      const enter = `for d in ${delegated.join(" ")}; do [ -e $d/tasks ] || { mkdir -p $d/from; echo $$ >$d/from/cgroup.procs; }; done; ${asUser}`;
      const r = shell(b, enter, ["run", "-b", b.folder, b.id]);
      expect(r.stderr).toContain("warning: no device rules: ");
      expect(r.stderr).not.toContain("no cgroup");
      expect(r.code).toBe(0);
      expect(r.stdout).toMatch(new RegExp(`:pids:/${top}/below\n|^0::/${top}/below\n`));
    } finally {
      for (const folder of delegated) spawnSync("rmdir", [join(folder, "from"), folder]);
    }
  });
});

describe("mounts", () => {
  it("uidMappings and gidMappings of a mount show its files as other owners", async () => {
    await using b = new Bundle((s, bundle) => {
      mkdirSync(join(bundle.folder, "volume"));
      writeFileSync(join(bundle.folder, "volume/file"), "");
      chownSync(join(bundle.folder, "volume/file"), 5, 6);
      s.mounts.push({
        destination: "/v",
        type: "bind",
        source: "volume",
        options: ["rbind", "idmap"],
        uidMappings: map(5, 1005, 1),
        gidMappings: map(6, 1006, 1),
      } as Spec["mounts"][number]);
    });
    expect(b.sh("stat -c %u:%g /v/file").stdout).toBe("1005:1006\n");
    const mount = b.spec.mounts.at(-1) as Record<string, unknown>;
    delete mount.uidMappings;
    delete mount.gidMappings;
    expect(b.run().stderr).toContain(
      'option "idmap" without uidMappings, and the container has no user namespace',
    );
  });

  it("tmpcopyup starts a tmpfs with the image's files, links and modes", async () => {
    await using b = new Bundle((s, bundle) => {
      mkdirSync(join(bundle.rootfs, "up/in"), { recursive: true });
      writeFileSync(join(bundle.rootfs, "up/in/file"), "text\n", { mode: 0o640 });
      spawnSync("ln", ["-s", "/etc/nowhere", join(bundle.rootfs, "up/link")]);
      s.mounts.push({ destination: "/up", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup", "ro"] });
    });
    const r = b.sh(
      "cat /up/in/file; stat -c %a /up/in/file; readlink /up/link; touch /up/x || echo read-only",
    );
    expect(r.stdout).toBe("text\n640\n/etc/nowhere\nread-only\n");
  });

  it("remount changes what is mounted there, and is refused where nothing is", async () => {
    await using b = new Bundle((s) => {
      s.mounts.push({ destination: "/tmp", type: "tmpfs", source: "tmpfs" });
      s.mounts.push({
        destination: "/tmp",
        type: "tmpfs",
        source: "tmpfs",
        options: ["remount", "ro", "size=1m"],
      });
    });
    expect(b.sh("grep ' /tmp ' /proc/mounts | grep -c 'ro,.*size=1024k'").stdout).toBe("1\n");
    b.spec.mounts.push({ destination: "/etc", options: ["remount", "ro"] });
    expect(b.run().stderr).toContain('option "remount": nothing is mounted there');
  });
});

describe("what has no effect", () => {
  const v2 = readCgroupLayout().version === 2;

  it("options that a cgroup mount can't take: a warning on v1, refused by v2's filesystem", async () => {
    await using b = new Bundle((s) => {
      const options = ["nosuid", "noexec", "nodev", "relatime", "ro", "bogus=1"];
      s.mounts.push({ destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options });
    });
    const text = v2
      ? 'option "bogus=1" of cgroup2'
      : 'warning: mount on "/sys/fs/cgroup": option "bogus=1" has no effect on a v1 cgroup mount';
    expect(b.run()).toMatchObject({ code: v2 ? 1 : 0, stderr: expect.stringContaining(text) });
    b.spec.mounts.at(-1)?.options?.pop();
    expect(b.run()).toMatchObject({ code: 0, stderr: "" });
  });

  it("hugepageLimits without a hugetlb controller: a warning, if they are more than 0", async (t) => {
    if (v2) t.skip("v2's hugetlb controller can't be hidden");
    const hide = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"';
    const command = ["/usr/bin/unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", hide, "sh"];
    await using b = new Bundle(
      (s) => {
        s.process.args = ["/bin/sleep", "1000"];
        s.linux.resources = { hugepageLimits: [{ pageSize: "2MB", limit: 0 }] };
      },
      [...command, binary],
    );
    const warning =
      "warning: linux.resources.hugepageLimits: this machine has no hugetlb cgroup controller, huge pages are not limited";
    expect(b.create()).toMatchObject({ code: 0, stderr: "" });
    const update = (limit: number) =>
      b.oci(["update", "-r", "-", b.id], JSON.stringify({ hugepageLimits: [{ pageSize: "2MB", limit }] }));
    expect(update(0)).toMatchObject({ code: 0, stderr: "" });
    expect(update(4 << 20)).toMatchObject({ code: 0, stderr: expect.stringContaining(warning) });
    b.oci(["delete", "--force", b.id]);
    b.spec.linux.resources = { hugepageLimits: [{ pageSize: "2MB", limit: 4 << 20 }] };
    expect(b.create()).toMatchObject({ code: 0, stderr: expect.stringContaining(warning) });
  });
});

describe("linux", () => {
  it("timeOffsets are those of a new time namespace; execs share it; other clocks are refused", async () => {
    await using b = new Bundle((s) => {
      s.linux.namespaces.push({ type: "time" });
      Object.assign(s.linux, {
        timeOffsets: { monotonic: { secs: 1000, nanosecs: 5 }, boottime: { secs: -1 } },
      });
      s.process.args = ["/bin/sleep", "1000"];
    });
    b.create();
    b.start();
    const exec = b.exec(["/bin/cat", "/proc/self/timens_offsets"]);
    expect(exec.stdout.replaceAll(/ +/g, " ")).toBe("monotonic 1000 5\nboottime -1 0\n");
    await using wrong = new Bundle((s) => {
      s.linux.namespaces.push({ type: "time" });
      Object.assign(s.linux, { timeOffsets: { realtime: { secs: 1 } } });
    });
    expect(wrong.run().stderr).toContain('linux.timeOffsets: "realtime" is no clock that can be set off');
  });

  it("memoryPolicy holds for the process and for execs", async () => {
    await using b = new Bundle((s) => {
      Object.assign(s.linux, { memoryPolicy: { mode: "MPOL_BIND", nodes: "0" } });
    });
    expect(b.sh("head -n 1 /proc/self/numa_maps").stdout).toContain(" bind:0 ");
    Object.assign(b.spec.linux, { memoryPolicy: { mode: "MPOL_WEIGHTED", nodes: "0" } });
    expect(b.run().stderr).toContain('linux.memoryPolicy.mode: "MPOL_WEIGHTED" is no memory policy');
  });

  it("intelRdt without a resctrl filesystem, and fields of other platforms, are errors that name them", async () => {
    await using b = new Bundle((s) => {
      Object.assign(s.linux, { intelRdt: { closID: "a" } });
    });
    expect(b.run().stderr).toContain("linux.intelRdt: no resctrl filesystem is mounted");
    expect(b.traces()).toEqual([]);
    Object.assign(b.spec, { vm: { kernel: { path: "/k" } } });
    expect(b.run().stderr).toContain("vm: is for another platform");
  });
});

describe("update --l3-cache-schema, --mem-bw-schema", () => {
  it("are errors that name the option for a container without intelRdt, and for what is no schema", async () => {
    await using b = new Bundle((s) => {
      s.process.args = ["/bin/sleep", "1000"];
    });
    expect(b.create().code).toBe(0);
    const update = (option: string, value: string) => b.oci(["update", option, value, b.id]);
    expect(update("--l3-cache-schema", "L3:0=f").stderr).toContain(
      "option --l3-cache-schema: the container has no linux.intelRdt",
    );
    expect(update("--mem-bw-schema", "MB:0=10").stderr).toContain("option --mem-bw-schema: ");
    expect(update("--mem-bw-schema", "L3:0=f").stderr).toContain("is no line that starts with MB:");
    expect(update("--l3-cache-schema", "").code).toBe(0);
  });
});

describe("process", () => {
  it("execCPUAffinity: an exec runs on the final CPUs, or on all when only the initial ones are given", async () => {
    await using b = new Bundle((s) => {
      Object.assign(s.process, { execCPUAffinity: { initial: "1", final: "0" } });
      s.process.args = ["/bin/sleep", "1000"];
    });
    b.create();
    b.start();
    const allowed = (out: string) => /Cpus_allowed_list:\s*(\S+)/.exec(out)?.[1];
    expect(allowed(b.exec(["/bin/cat", "/proc/self/status"]).stdout)).toBe("0");
    expect(allowed(b.exec(["/bin/cat", "/proc/1/status"]).stdout)).not.toBe("0");
  });

  it("a capability that is none is a warning, a limit that can't be set an error", async () => {
    await using b = new Bundle((s) => {
      s.process.capabilities?.bounding?.push("CAP_NONE_SUCH");
    });
    const r = b.sh("echo runs");
    expect(r.stderr).toContain('warning: process.capabilities: "CAP_NONE_SUCH" is no capability');
    expect(r.stdout).toBe("runs\n");
    b.spec.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 2 ** 40, hard: 2 ** 40 }];
    expect(b.run().stderr).toContain("process.rlimits: set RLIMIT_NOFILE to");
  });

  it("process attributes that the kernel shows are those asked for", async () => {
    await using b = new Bundle((s) => {
      Object.assign(s, { domainname: "example.org" });
      Object.assign(s.linux, { personality: { domain: "LINUX32" } });
      s.process.user.umask = 0o27;
      s.process.oomScoreAdj = 321;
      Object.assign(s.process, {
        scheduler: { policy: "SCHED_BATCH", nice: 3 },
        ioPriority: { class: "IOPRIO_CLASS_BE", priority: 6 },
      });
    });
    const r = b.sh(
      "umask; cat /proc/sys/kernel/domainname /proc/self/oom_score_adj; busybox uname -m; busybox ionice -p $$; cat /proc/self/stat",
    );
    expect(r.stderr).toBe("");
    const lines = r.stdout.split("\n");
    expect(lines.slice(0, 5)).toEqual(["0027", "example.org", "321", "i686", "best-effort: prio 6"]);
    // Fields 19 (nice) and 41 (policy: SCHED_BATCH is 3) of proc_pid_stat(5), after the name in brackets.
    const stat = (lines[5] ?? "").replace(/^.*\) /, "").split(" ");
    expect([stat[19 - 3], stat[41 - 3]]).toEqual(["3", "3"]);
    delete b.spec.process.oomScoreAdj;
    delete b.spec.process.user.umask;
    b.spec.process.args = ["/bin/sh", "-c", "cat /proc/self/oom_score_adj; umask"];
    b.write();
    // Neither asked for: the caller's stay.
    const caller = spawnSync(
      "/bin/sh",
      [
        "-c",
        `echo 77 >/proc/self/oom_score_adj; umask 037; exec "${binary}" --root "$0" run -b "$1" "$2"`,
        b.state,
        b.folder,
        b.id,
      ],
      { encoding: "utf8" },
    );
    expect(caller.stdout).toBe("77\n0037\n");
  });

  it("a mount label without SELinux is refused by name", async () => {
    await using b = new Bundle();
    Object.assign(b.spec.linux, { mountLabel: "x:y:z" });
    expect(b.run().stderr).toContain('linux.mountLabel "x:y:z": this kernel has no SELinux');
  });
});
