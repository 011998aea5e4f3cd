/** Rows M2-M8 and M11 of the security bar: what an image or a neighbour puts in the way of mounts, masks, devices, HOME. */
import { mkdirSync, readFileSync, rmdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { makeCanary } from "../../support/canary.ts";
import type { Bundle, Result, Spec } from "../../integration/oci/bundle.ts";
import { bothWays, Swap, times, type Way } from "./ways.ts";

const portStart = "/proc/sys/net/ipv4/ip_unprivileged_port_start";

/** Without mounts below /dev: the image's own folder is used. */
function imageDev(s: Spec): void {
  s.mounts = s.mounts.filter((m) => !m.destination.startsWith("/dev"));
}

/** The image's folder becomes a link. */
function replaceByLink(bundle: Bundle, name: string, target: string): void {
  rmdirSync(join(bundle.rootfs, name));
  symlinkSync(target, join(bundle.rootfs, name));
}

/** Runs with a terminal that somebody takes; stdout is what was written there. */
function runWithConsole(way: Way, b: Bundle, line: string): Result {
  b.spec.process.terminal = true;
  b.spec.process.args = ["/bin/sh", "-c", line];
  b.write();
  const socket = join(b.folder, "console.sock");
  const args = ["--root", b.state, "run", "-b", b.folder, "--console-socket", socket, b.id];
  // A runtime that fails never connects: the helper's own deadline would be waited for.
  const r = spawnSync(
    "timeout",
    ["-s", "KILL", "3", way.tool("with-console"), socket, ...way.command, ...args],
    {
      encoding: "utf8",
      env: {},
    },
  );
  return { code: r.status, stdout: r.stdout, stderr: r.stderr };
}

bothWays(
  "mount targets",
  (way) => {
    it.each(["proc", "sys", "dev"])(
      "M3, M7: an image whose /%s is a link is refused, what it points at holds",
      async (name) => {
        await using canary = await makeCanary();
        await using b = way.bundle((_s, bundle) => replaceByLink(bundle, name, canary.path));
        const r = b.run();
        expect(r.code).toBe(1);
        expect(r.stderr).toContain(`on "/${name}": is a link or a file in the image`);
        expect(b.traces()).toEqual([]);
        expect(canary.listing()).toEqual(canary.before);
      },
    );

    it.each([
      ["/proc", "only procfs may be mounted there"],
      ["/proc/self/attr", "is inside procfs"],
      ["/proc/sys/kernel", "is inside procfs"],
      ["/link/sys", "is inside procfs"],
    ])("M3: a volume on %s is refused", async (destination, message) => {
      await using b = way.bundle((s, bundle) => {
        mkdirSync(join(bundle.folder, "volume"));
        symlinkSync("/proc", join(bundle.rootfs, "link"));
        s.mounts.push({ destination, type: "bind", source: "volume", options: ["rbind"] });
      });
      const r = b.run();
      expect(r.code).toBe(1);
      expect(r.stderr).toContain(message);
      expect(b.traces()).toEqual([]);
    });

    it("M2, M8: targets that are links stay inside the rootfs", async () => {
      await using canary = await makeCanary();
      await using b = way.bundle((s, bundle) => {
        symlinkSync(canary.path, join(bundle.rootfs, "data"));
        symlinkSync("../../../../../../../../../..", join(bundle.rootfs, "up"));
        s.mounts.push(
          { destination: "/data/deep", type: "tmpfs", source: "kobako-m2" },
          { destination: `/up${canary.path}/etc`, type: "tmpfs", source: "kobako-m2" },
          { destination: "/../../outside", type: "tmpfs", source: "kobako-m2" },
        );
        s.process.cwd = "/data/work";
      });
      // One that went out would be mounted all the same, where the container does not see it.
      const mounts = b.sh("grep ' - tmpfs kobako-m2 ' /proc/self/mountinfo").stdout.trim().split("\n");
      expect(mounts.map((line) => line.split(" ")[4])).toEqual([
        `${canary.path}/deep`,
        `${canary.path}/etc`,
        "/outside",
      ]);
      expect(canary.listing()).toEqual(canary.before);
    });

    it("M2: a volume's folder that is swapped for a link while containers are made never leads a mount out", async () => {
      await using canary = await makeCanary();
      await using b = way.bundle((s, bundle) => {
        mkdirSync(join(bundle.folder, "volume/inner"), { recursive: true });
        symlinkSync(canary.path, join(bundle.folder, "volume/link"));
        s.mounts.push(
          { destination: "/shared", type: "bind", source: "volume", options: ["rbind"] },
          { destination: "/shared/inner", type: "tmpfs", source: "kobako-m2" },
        );
      });
      let made = 0;
      {
        await using _swap = new Swap(way, join(b.folder, "volume/inner"), join(b.folder, "volume/link"));
        for (let i = 0; i < times(60, 500); i++) {
          // A target that is away at that moment fails the create. One that is there is below the container's root:
          // a mount that went elsewhere would not be in this list.
          const r = b.sh("grep -c ' - tmpfs kobako-m2 ' /proc/self/mountinfo");
          if (r.code === 0) made++;
          if (r.stdout !== "") expect(r.stdout).toBe("1\n");
        }
      }
      expect(made).toBeGreaterThan(0);
      expect(canary.listing()).toEqual(canary.before);
      expect(b.traces()).toEqual([]);
    });

    it("M8: folders that are missing are made inside of the rootfs, whatever is swapped meanwhile", async () => {
      await using canary = await makeCanary();
      await using b = way.bundle((s, bundle) => {
        mkdirSync(join(bundle.folder, "volume/inner"), { recursive: true });
        symlinkSync(canary.path, join(bundle.folder, "volume/link"));
        s.mounts.push({ destination: "/shared", type: "bind", source: "volume", options: ["rbind"] });
      });
      await using _swap = new Swap(way, join(b.folder, "volume/inner"), join(b.folder, "volume/link"));
      for (let i = 0; i < times(40, 500); i++) {
        b.spec.mounts[5] = {
          destination: `/shared/inner/made-${i}/deep`,
          type: "tmpfs",
          source: "kobako-m2",
        };
        b.spec.process.cwd = `/shared/inner/work-${i}`;
        b.sh("true");
        expect(canary.listing()).toEqual(canary.before);
      }
      expect(b.traces()).toEqual([]);
    });
  },
  { filtered: true },
);

bothWays("masks and written values", (way) => {
  it("M4: paths are masked by the host's null device whatever /dev/null of the image is", async () => {
    await using b = way.bundle((s, bundle) => {
      imageDev(s);
      symlinkSync("/proc/sys/kernel/core_pattern", join(bundle.rootfs, "dev/null"));
    });
    const before = readFileSync("/proc/sys/kernel/core_pattern", "utf8");
    const r = b.sh("true");
    expect(r.code).toBe(1);
    expect(r.stderr).toContain('device node "null": something else is there');
    rmSync(join(b.rootfs, "dev/null"));
    const masked = b.sh(
      "stat -c %t,%T /proc/keys; wc -c </proc/keys; ls /sys/firmware | wc -l; echo x >/proc/sys/kernel/core_pattern; echo b >/proc/sysrq-trigger",
    );
    expect(masked.stdout).toBe("1,3\n0\n0\n");
    expect(masked.stderr).toMatch(/core_pattern: Read-only file system[\s\S]*sysrq-trigger/);
    expect(readFileSync("/proc/sys/kernel/core_pattern", "utf8")).toBe(before);
  });

  it("M4: paths are masked by the null device while a neighbour swaps the container's /dev/null", async () => {
    const pattern = readFileSync("/proc/sys/kernel/core_pattern", "utf8");
    await using b = way.bundle((s, bundle) => {
      imageDev(s);
      mkdirSync(join(bundle.folder, "volume"));
      symlinkSync("/proc/sys/kernel/core_pattern", join(bundle.folder, "volume/link"));
      expect(
        spawnSync("mknod", ["-m", "666", join(bundle.folder, "volume/null"), "c", "1", "3"]).status,
      ).toBe(0);
      s.mounts.push({ destination: "/dev", type: "bind", source: "volume", options: ["rbind"] });
    });
    let made = 0;
    {
      await using _swap = new Swap(way, join(b.folder, "volume/null"), join(b.folder, "volume/link"));
      for (let i = 0; i < times(40, 500); i++) {
        // With the link in its place the create is refused; else what is masked is masked by the host's device.
        const r = b.sh("stat -c %t,%T /proc/keys; wc -c </proc/keys");
        if (r.code === 0) made++;
        if (r.stdout !== "") expect(r.stdout).toBe("1,3\n0\n");
      }
    }
    expect(made).toBeGreaterThan(0);
    expect(readFileSync("/proc/sys/kernel/core_pattern", "utf8")).toBe(pattern);
    expect(b.traces()).toEqual([]);
  });

  it("M6: a sysctl lands in procfs while a neighbour swaps what procfs is mounted on", async () => {
    const host = readFileSync(portStart, "utf8");
    const file = "sys/net/ipv4/ip_unprivileged_port_start";
    await using b = way.bundle((s, bundle) => {
      mkdirSync(join(bundle.folder, "volume/inner"), { recursive: true });
      mkdirSync(join(bundle.folder, "volume/fake/sys/net/ipv4"), { recursive: true });
      writeFileSync(join(bundle.folder, "volume/fake", file), "of the neighbour\n");
      symlinkSync("fake", join(bundle.folder, "volume/link"));
      s.mounts.push(
        { destination: "/shared", type: "bind", source: "volume", options: ["rbind"] },
        { destination: "/shared/inner", type: "proc", source: "proc" },
      );
      s.linux.sysctl = { "net.ipv4.ip_unprivileged_port_start": "81" };
    });
    let made = 0;
    {
      await using _swap = new Swap(way, join(b.folder, "volume/inner"), join(b.folder, "volume/link"));
      for (let i = 0; i < times(40, 500); i++) {
        const r = b.sh(`cat ${portStart}`);
        if (r.code === 0) made++;
        if (r.stdout !== "") expect(r.stdout).toBe("81\n");
      }
    }
    expect(made).toBeGreaterThan(0);
    expect(readFileSync(join(b.folder, "volume/fake", file), "utf8")).toBe("of the neighbour\n");
    expect(readFileSync(portStart, "utf8")).toBe(host);
    expect(b.traces()).toEqual([]);
  });

  it("M6: a sysctl lands in procfs and in the container's namespace, not in files of the image", async () => {
    const host = readFileSync(portStart, "utf8");
    await using b = way.bundle((s, bundle) => {
      s.mounts = s.mounts.map((m) => (m.type === "proc" ? { ...m, destination: "/kernel" } : m));
      s.linux.sysctl = { "net.ipv4.ip_unprivileged_port_start": "81" };
      mkdirSync(join(bundle.rootfs, "proc/sys/net/ipv4"), { recursive: true });
      writeFileSync(join(bundle.rootfs, portStart), "of the image\n");
    });
    expect(b.sh(`cat ${portStart} /kernel/sys/net/ipv4/ip_unprivileged_port_start`).stdout).toBe(
      "of the image\n81\n",
    );
    expect(readFileSync(portStart, "utf8")).toBe(host);
  });

  it("M3, M6: a label that can't be written to procfs fails the create", async () => {
    await using b = way.bundle((s, bundle) => {
      s.process.apparmorProfile = "kobako-no-such-profile";
      mkdirSync(join(bundle.rootfs, "proc/self/attr/apparmor"), { recursive: true });
      for (const name of ["exec", "apparmor/exec"])
        writeFileSync(join(bundle.rootfs, "proc/self/attr", name), "");
    });
    const r = b.run();
    expect(r.code).toBe(1);
    expect(r.stderr).toContain('AppArmor profile "kobako-no-such-profile"');
    expect(readFileSync(join(b.rootfs, "proc/self/attr/exec"), "utf8")).toBe("");
  });
});

bothWays("/dev", (way) => {
  it("M7: without a /dev mount nothing is made through a /dev that is a link", async () => {
    await using canary = await makeCanary();
    await using b = way.bundle((s, bundle) => {
      imageDev(s);
      replaceByLink(bundle, "dev", canary.path);
    });
    expect(b.run().stderr).toContain("open /dev of the rootfs");
    expect(canary.listing()).toEqual(canary.before);
  });

  it("M7, K4: a device in a folder that is a link is made inside of the rootfs", async () => {
    await using canary = await makeCanary();
    await using b = way.bundle((s, bundle) => {
      symlinkSync(canary.path, join(bundle.rootfs, "nodes"));
      s.linux.devices = [{ path: "/nodes/etc/extra", type: "c", major: 1, minor: 3, fileMode: 0o666 }];
    });
    expect(b.sh(`stat -c %t,%T ${canary.path}/etc/extra`).stdout).toBe("1,3\n");
    expect(canary.listing()).toEqual(canary.before);
  });

  it("M7, K4: a device node that is swapped for a link gives no file outside its mode", async () => {
    await using canary = await makeCanary();
    await using b = way.bundle((s, bundle) => {
      mkdirSync(join(bundle.folder, "volume"));
      symlinkSync(join(canary.path, "etc/shadow"), join(bundle.folder, "volume/link"));
      expect(
        spawnSync("mknod", ["-m", "600", join(bundle.folder, "volume/node"), "c", "1", "3"]).status,
      ).toBe(0);
      s.mounts.push({ destination: "/shared", type: "bind", source: "volume", options: ["rbind"] });
      s.linux.devices = [{ path: "/shared/node", type: "c", major: 1, minor: 3, fileMode: 0o666 }];
    });
    const [node, link] = ["node", "link"].map((name) => join(b.folder, "volume", name)) as [string, string];
    for (let i = 0; i < times(40, 500); i++) {
      {
        await using _swap = new Swap(way, node, link);
        b.sh("true");
      }
      expect(canary.listing()).toEqual(canary.before);
      // Each time it is to be changed anew.
      for (const name of [node, link]) spawnSync("/bin/sh", ["-c", `[ -L ${name} ] || chmod 600 ${name}`]);
    }
  });

  it.each(["a link", "a FIFO", "a folder"])(
    "M5: /dev/console that is %s: what is outside holds",
    async (what) => {
      await using canary = await makeCanary();
      await using b = way.bundle((s, bundle) => {
        s.mounts = s.mounts.filter((m) => m.destination !== "/dev");
        const path = join(bundle.rootfs, "dev/console");
        if (what === "a link") symlinkSync(join(canary.path, "etc/passwd"), path);
        else if (what === "a FIFO") spawnSync("mkfifo", [path]);
        else mkdirSync(path);
        // The default nodes are made anew in it: it is a folder of the image.
        mkdirSync(join(bundle.rootfs, "dev/pts"));
      });
      const r = runWithConsole(way, b, "true");
      expect(r.code).not.toBe(0);
      expect(r.stderr).toContain("/dev/console");
      expect(canary.listing()).toEqual(canary.before);
      expect(b.traces()).toEqual([]);
    },
  );

  it("M5: a terminal is one of the container's own devpts, whatever a volume puts on /dev/pts", async () => {
    await using canary = await makeCanary();
    await using b = way.bundle((s, bundle) => {
      mkdirSync(join(bundle.folder, "volume"));
      symlinkSync(join(canary.path, "etc/passwd"), join(bundle.folder, "volume/ptmx"));
      symlinkSync(join(canary.path, "etc/passwd"), join(bundle.folder, "volume/0"));
      s.mounts.push({ destination: "/dev/pts", type: "bind", source: "volume", options: ["rbind"] });
    });
    const r = runWithConsole(way, b, "echo reached");
    expect(r.stdout).not.toContain("reached");
    expect(r.stderr).toMatch(/ptmx/);
    expect(canary.listing()).toEqual(canary.before);
  });

  it("M5: with a terminal /dev/console is it; without, none is made and process.terminal needs a taker", async () => {
    await using b = way.bundle();
    const r = runWithConsole(way, b, "stat -c %t /dev/console; tty");
    expect(r.stdout.replaceAll("\r", "")).toBe("88\n/dev/pts/0\n");
    expect(b.create().stderr).toContain("process.terminal: nobody takes the terminal");
    b.spec.process.terminal = false;
    b.oci(["delete", "--force", b.id]);
    expect(b.sh("test -e /dev/console || echo none").stdout).toBe("none\n");
  });
});

bothWays("/etc/passwd of an image", (way) => {
  const root = (home: string) => `root:x:0:0::${home}:/bin/sh\n`;
  const cases: readonly [string, (at: string, b: Bundle) => void, string][] = [
    ["a file", (at) => writeFileSync(at, root("/home/inside")), "/home/inside"],
    ["not there", () => {}, "/"],
    ["a FIFO", (at) => void spawnSync("mkfifo", [at]), "/"],
    ["a device without end", (at) => void spawnSync("mknod", [at, "c", "1", "5"]), "/"],
    ["a folder", (at) => void mkdirSync(at), "/"],
    ["a link to a file of the machine", (at, b) => symlinkSync(join(b.folder, "passwd"), at), "/"],
    ["a link inside", (at) => symlinkSync("/tmp/passwd", at), "/linked"],
    ["a line longer than any", (at) => writeFileSync(at, `${"x".repeat(12 << 20)}\n${root("/late")}`), "/"],
    ["a home that is no path", (at) => writeFileSync(at, root("../up")), "/"],
    ["a user that is no number", (at) => writeFileSync(at, root("/x").replace(":0:", ":0x0:")), "/"],
    ["lines that are cut", (at) => writeFileSync(at, `root:x:0\n:\n${root("/third")}`), "/third"],
  ];
  it.each(cases)(
    "M11: %s: HOME is the user's of a plain file in the rootfs, or /",
    async (_what, make, home) => {
      await using b = way.bundle((_s, bundle) => {
        writeFileSync(join(bundle.folder, "passwd"), root("/of-the-machine"));
        writeFileSync(join(bundle.rootfs, "tmp/passwd"), root("/linked"));
        make(join(bundle.rootfs, "etc/passwd"), bundle);
      });
      expect(b.sh("echo $HOME")).toMatchObject({ code: 0, stdout: `${home}\n`, stderr: "" });
    },
  );
});
