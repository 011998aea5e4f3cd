/** What needs a second party: a terminal, a shared mount, another container's namespaces, a killer. */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { makeCanary } from "../../support/canary.ts";
import { program } from "../../support/programs.ts";
import { binary, Bundle } from "./bundle.ts";

/** Runs the bundle with a terminal; what it wrote there, and the status of kobako-oci. */
function runWithConsole(b: Bundle): { code: number | null; output: string; stderr: string } {
  const helper = join(b.folder, "with-console");
  writeFileSync(helper, program("with-console"));
  chmodSync(helper, 0o755);
  const socket = join(b.folder, "console.sock");
  b.write();
  const args = [socket, binary, "--root", b.state, "run", "-b", b.folder, "--console-socket", socket, b.id];
  const r = spawnSync(helper, args, { encoding: "utf8", env: {}, timeout: 30_000 });
  return { code: r.status, output: r.stdout, stderr: r.stderr };
}

describe("terminal", () => {
  it("stdio is the pty of the container's own devpts, with the size asked for, owned by the user", async () => {
    await using b = new Bundle((s) => {
      Object.assign(s.process, { terminal: true, consoleSize: { width: 91, height: 17 } });
      s.process.user = { uid: 1000, gid: 1000 };
      s.process.capabilities = { bounding: [] };
      s.process.args = [
        "/bin/sh",
        "-c",
        "tty; stat -c %u /dev/pts/0; busybox stty size; echo x >/dev/tty && echo ok; test -c /dev/console && echo console",
      ];
    });
    symlinkSync("busybox", join(b.rootfs, "bin/stty"));
    const r = runWithConsole(b);
    expect(r.stderr).toBe("");
    expect(r.output.replaceAll("\r", "")).toBe("/dev/pts/0\n1000\n17 91\nx\nok\nconsole\n");
    expect(r.code).toBe(0);
  });

  it.each(["/dev/console", "/dev/pts", "/dev/pts/ptmx"])(
    "M5: with %s a link in an image that brings its own /dev, nothing outside is touched",
    async (name) => {
      await using canary = await makeCanary();
      await using b = new Bundle((s, bundle) => {
        s.process.terminal = true;
        s.mounts = s.mounts.filter(
          (m) => m.destination !== "/dev" && !(name.startsWith("/dev/pts") && m.destination === "/dev/pts"),
        );
        mkdirSync(join(bundle.rootfs, "dev/pts"), { recursive: true });
        if (name === "/dev/pts") spawnSync("rmdir", [join(bundle.rootfs, "dev/pts")]);
        symlinkSync(join(canary.path, "etc/passwd"), join(bundle.rootfs, name));
      });
      const r = runWithConsole(b);
      expect(r.code).toBe(1);
      expect(r.stderr).toMatch(/console|ptmx|Not a directory|Too many levels/);
      expect(canary.listing()).toEqual(canary.before);
      expect(b.traces()).toEqual([]);
    },
  );
});

describe("propagation", () => {
  /** Runs shell lines in a mount namespace of their own, with a shared tmpfs at $V and the bundle in $B. */
  function inOwnMounts(b: Bundle, lines: string): string {
    b.write();
    const volume = join(b.folder, "volume");
    mkdirSync(volume);
    const setUp = `mount -t tmpfs t ${volume} && mount --make-shared ${volume} && mkdir ${volume}/in ${volume}/out`;
    const oci = `${binary} --root ${b.state}`;
    const script = `V=${volume}; O="${oci}"; ID=${b.id}; B=${b.folder}\n${setUp}\n${lines}\n$O delete -f $ID`;
    const r = spawnSync("unshare", ["-m", "/bin/sh", "-c", script], { encoding: "utf8", timeout: 30_000 });
    return r.stdout + r.stderr;
  }

  it.each([
    ["rprivate", "no", "no"],
    ["rslave", "no", "yes"],
    ["rshared", "yes", "yes"],
  ])("M13: %s lets mounts out: %s, and in: %s", async (option, out, into) => {
    await using b = new Bundle((s) => {
      const admin = ["CAP_SYS_ADMIN"];
      s.process.capabilities = { bounding: admin, permitted: admin, effective: admin };
      s.mounts.push({ destination: "/v", type: "bind", source: "volume", options: ["rbind", option] });
      s.process.args = ["/bin/sleep", "1000"];
    });
    const answer = inOwnMounts(
      b,
      `$O create -b $B $ID >/dev/null </dev/null 2>&1; $O start $ID
       $O exec $ID /bin/mount -t tmpfs t /v/out
       mountpoint -q $V/out && echo out yes || echo out no
       mount -t tmpfs t $V/in; touch $V/in/seen
       $O exec $ID /bin/test -e /v/in/seen && echo in yes || echo in no`,
    );
    expect(answer).toBe(`out ${out}\nin ${into}\n`);
  });
});

describe("namespaces", () => {
  it("network, ipc, uts and pid of another container are joined by path", async () => {
    await using one = new Bundle((s) => {
      s.process.args = ["/bin/sleep", "1000"];
      s.hostname = "first";
    });
    one.create();
    one.start();
    const pid = one.pid();
    await using two = new Bundle((s) => {
      delete s.hostname;
      s.linux.namespaces = [
        ...(["network:net", "ipc:ipc", "uts:uts", "pid:pid"] as const).map((pair) => {
          const [type = "", name = ""] = pair.split(":");
          return { type, path: `/proc/${pid}/ns/${name}` };
        }),
        { type: "mount" },
      ];
    });
    const links = ["net", "ipc", "uts", "pid"];
    const r = two.sh(
      `hostname; ${links.map((l) => `readlink /proc/self/ns/${l}`).join("; ")}; cat /proc/1/comm`,
    );
    const want = links.map((l) => readlinkSync(`/proc/${pid}/ns/${l}`));
    expect(r.stdout.trim().split("\n")).toEqual(["first", ...want, "sleep"]);
    const wrong = two.spec.linux.namespaces[0];
    if (wrong) wrong.path = `/proc/${pid}/ns/ipc`;
    expect(two.run().stderr).toContain("is no network namespace");
    expect(two.traces()).toEqual([]);
  });

  it("a namespace that is not listed is the caller's", async () => {
    await using b = new Bundle((s) => {
      delete s.hostname;
      s.linux.namespaces = [{ type: "mount" }];
    });
    const kinds = ["net", "ipc", "uts", "pid", "cgroup"];
    const out = b
      .sh(kinds.map((k) => `readlink /proc/self/ns/${k}`).join("; "))
      .stdout.trim()
      .split("\n");
    expect(out).toEqual(kinds.map((k) => readlinkSync(`/proc/self/ns/${k}`)));
  });
});

describe("the program", () => {
  it("is linked against nothing of the host", () => {
    const headers = spawnSync("readelf", ["-l", binary], { encoding: "utf8" }).stdout;
    expect(headers).toContain("LOAD");
    expect(headers).not.toContain("INTERP");
  });
});

describe("faults", () => {
  const strace = existsSync("/usr/bin/strace");
  /** Processes that were started with this bundle's state folder. */
  const processes = (b: Bundle) =>
    readdirSync("/proc").filter((p) => {
      try {
        return /^\d+$/.test(p) && readFileSync(`/proc/${p}/cmdline`, "utf8").includes(b.state);
      } catch {
        return false;
      }
    });
  const step = process.env.KOBAKO_SOAK === "1" ? 1 : 23;

  function inject(b: Bundle, what: string): void {
    const args = [
      "-f",
      "-o",
      "/dev/null",
      "-e",
      what,
      binary,
      "--root",
      b.state,
      "run",
      "-b",
      b.folder,
      b.id,
    ];
    spawnSync("/usr/bin/strace", args, { env: {}, stdio: "ignore", timeout: 20_000 });
  }

  it("B4: kill -9 at any system call of a create leaves nothing once the container is deleted", async (t) => {
    if (!strace) return t.skip("strace is not installed");
    await using b = new Bundle();
    b.write();
    for (let n = 1; n < 420; n += step) {
      inject(b, `inject=all:signal=KILL:when=${n}`);
      expect(b.oci(["delete", "--force", b.id])).toMatchObject({ code: 0, stderr: "" });
      expect([n, ...b.traces(), ...processes(b)]).toEqual([n]);
    }
  });

  it("B6: an error of any system call of a create leaves nothing", async (t) => {
    if (!strace) return t.skip("strace is not installed");
    await using b = new Bundle();
    b.write();
    for (const error of ["ENOMEM", "EPERM", "EMFILE"])
      for (let n = 20; n < 480; n += 2 * step) {
        inject(b, `inject=all:error=${error}:when=${n}`);
        expect([error, n, ...b.traces(), ...processes(b)]).toEqual([error, n]);
      }
  });
});
