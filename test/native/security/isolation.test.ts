/** Rows M13-M15 and M17 of the security bar: what a container sees of mounts, cgroups and the kernel's files. */
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { makeCanary } from "../../support/canary.ts";
import type { Spec } from "../../integration/oci/bundle.ts";
import { bothWays } from "./ways.ts";

const masked = [
  "/proc/acpi",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/interrupts",
  "/sys/firmware",
  "/sys/devices/virtual/powercap",
  "/sys/devices/system/cpu/cpu0/thermal_throttle",
];
const readOnly = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

function must(...command: string[]): void {
  const [file = "", ...args] = command;
  const r = spawnSync(file, args, { encoding: "utf8" });
  if (r.status !== 0) throw new Error(`${command.join(" ")}: ${r.stderr}`);
}

/** A mount of this test, unmounted with all below it at its end. */
function mounted(folder: string, ...options: string[]): Disposable {
  mkdirSync(folder, { recursive: true });
  must("mount", ...options, folder);
  return { [Symbol.dispose]: () => must("umount", "-R", folder) };
}

/** Capabilities besides the usual ones. */
function also(s: Spec, ...more: string[]): void {
  const all = [...(s.process.capabilities?.bounding ?? []), ...more];
  s.process.capabilities = { bounding: all, permitted: all, effective: all };
}

/** A user namespace whose root is 100000: all of it may be had there. */
function ownUsers(s: Spec): void {
  const map = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  s.linux.namespaces.push({ type: "user" });
  Object.assign(s.linux, { uidMappings: map, gidMappings: map });
}

function withVolume(...options: string[]): (s: Spec) => void {
  return (s) => {
    s.process.args = ["/bin/sleep", "1000"];
    s.mounts.push({ destination: "/v", type: "bind", source: "volume", options });
    also(s, "CAP_SYS_ADMIN");
  };
}

bothWays("volumes", (way) => {
  it("M13: read-only holds for mounts below with rro, and only for the top with ro", async () => {
    await using b = way.bundle((s) => {
      s.mounts.push(
        { destination: "/one", type: "bind", source: "volume", options: ["rbind", "ro"] },
        { destination: "/all", type: "bind", source: "volume", options: ["rbind", "rro"] },
      );
    });
    using _top = mounted(join(b.folder, "volume"), "-t", "tmpfs", "tmpfs");
    using _below = mounted(join(b.folder, "volume/below"), "-t", "tmpfs", "tmpfs");
    const r = b.sh("for f in /one /one/below /all /all/below; do touch $f/x 2>/dev/null && echo $f; done");
    expect(r.stdout).toBe("/one/below\n");
    const flags = b.sh("grep -E ' /(one|all)(/| )' /proc/self/mountinfo").stdout.trim().split("\n");
    expect(flags.map((line) => line.split(" ").slice(4, 6).join(" ").split(",")[0]).sort()).toEqual([
      "/all ro",
      "/all/below ro",
      "/one ro",
      "/one/below rw",
    ]);
  });

  it.each([
    ["rprivate", false, false],
    ["rslave", true, false],
    ["rshared", true, true],
  ] as const)("M13: with %s mounts come in: %s, go out: %s", async (option, comesIn, goesOut) => {
    await using b = way.bundle(withVolume("rbind", option));
    const volume = join(b.folder, "volume");
    using _top = mounted(volume, "-t", "tmpfs", "tmpfs");
    must("mount", "--make-rshared", volume);
    mkdirSync(join(volume, "out"));
    expect(b.create()).toMatchObject({ code: 0, stderr: "" });
    expect(b.start()).toMatchObject({ code: 0 });
    {
      using _later = mounted(join(volume, "in"), "-t", "tmpfs", "kobako-m13-in");
      expect(b.exec(["/bin/grep", "-c", "kobako-m13-in", "/proc/self/mountinfo"]).stdout).toBe(
        comesIn ? "1\n" : "0\n",
      );
    }
    expect(b.exec(["/bin/mount", "-t", "tmpfs", "kobako-m13-out", "/v/out"])).toMatchObject({ code: 0 });
    expect(readFileSync("/proc/self/mountinfo", "utf8").includes("kobako-m13-out")).toBe(goesOut);
    b.oci(["delete", "--force", b.id]);
  });

  it.each(["rshared", "rslave"])(
    "M13: %s of a source that passes nothing on is refused by name",
    async (option) => {
      await using b = way.bundle(withVolume("rbind", option));
      using _top = mounted(join(b.folder, "volume"), "-t", "tmpfs", "tmpfs");
      must("mount", "--make-private", join(b.folder, "volume"));
      expect(b.run().stderr).toContain(`source "volume" is `);
      expect(b.traces().filter((line) => !line.includes("/volume"))).toEqual([]);
    },
  );

  it("M15: delete goes through no mount that was left in the container's folders", async () => {
    await using canary = await makeCanary();
    await using b = way.bundle(withVolume("rbind"));
    mkdirSync(join(b.folder, "volume"));
    expect(b.create()).toMatchObject({ code: 0 });
    {
      // As a daemon that crashed may leave them: in the runtime's own folder, in the rootfs, in a volume.
      using _state = mounted(join(b.state, b.id, "left"), "--bind", canary.path);
      using _rootfs = mounted(join(b.rootfs, "tmp/left"), "--bind", canary.path);
      using _volume = mounted(join(b.folder, "volume/left"), "--bind", canary.path);
      b.oci(["delete", "--force", b.id]);
      expect(canary.listing()).toEqual(canary.before);
      expect(existsSync(join(b.rootfs, "tmp/left/etc/passwd"))).toBe(true);
    }
    must(
      "rmdir",
      ...(existsSync(join(b.state, b.id, "left")) ? [join(b.state, b.id, "left")] : []),
      join(b.rootfs, "tmp/left"),
    );
    b.oci(["delete", "--force", b.id]);
    expect(b.traces()).toEqual([]);
    expect(existsSync(join(b.rootfs, "bin/busybox"))).toBe(true);
  });
});

bothWays("the kernel's files", (way) => {
  it.each([
    [true, false],
    [false, false],
    [true, true],
  ])(
    "M14: the cgroup tree is the container's own and read-only (own namespace: %s, of users: %s)",
    async (own, users) => {
      await using b = way.bundle((s) => {
        s.mounts.push({ destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"] });
        if (!own) s.linux.namespaces = s.linux.namespaces.filter(({ type }) => type !== "cgroup");
        if (users) {
          ownUsers(s);
          also(s, "CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE");
        }
      });
      const r = b.sh(
        "cd /sys/fs/cgroup; find . -name release_agent | wc -l; mkdir memory/x pids/x x 2>&1; [ -d memory ] && cd memory; mount -o remount,rw $PWD 2>&1",
      );
      expect(r.stdout.split("\n")[0]).toBe("0");
      expect(r.stdout.match(/Read-only file system|No such file/g)?.length).toBe(3);
      expect(r.stdout).toMatch(/denied|permitted/i);
    },
  );

  it("M17: masked paths have nothing in them, read-only ones take nothing; without the lists they do", async () => {
    const there = masked.filter((path) => existsSync(path));
    expect(there.length).toBeGreaterThan(3);
    await using b = way.bundle((s) => {
      s.linux.maskedPaths = masked;
      s.linux.readonlyPaths = readOnly;
      s.process.noNewPrivileges = false;
    });
    const look = there
      .map((path) => (statSync(path).isDirectory() ? `ls -A ${path}` : `cat ${path}`))
      .join("; ");
    expect(b.sh(`(${look}) 2>&1 | wc -c`).stdout).toBe("0\n");
    const write = there
      .map((path) => (statSync(path).isDirectory() ? `mkdir ${path}/x 2>/dev/null && echo ${path}` : "true"))
      .join("; ");
    expect(b.sh(write).stdout).toBe("");
    const set = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
    expect(b.sh(`echo 99 >${set}; grep -E ' (${readOnly.join("|")}) ' /proc/self/mountinfo`)).toMatchObject({
      stderr: expect.stringContaining("Read-only file system"),
    });
    b.spec.linux.maskedPaths = [];
    b.spec.linux.readonlyPaths = [];
    also(b.spec, "CAP_NET_ADMIN", "CAP_SYS_ADMIN");
    const open = b.sh(`echo 99 >${set}; cat ${set}; cat /proc/timer_list /proc/keys | head -c 1 | wc -c`);
    expect(open.stdout).toBe("99\n1\n");
  });
});
