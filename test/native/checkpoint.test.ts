/**
 * checkpoint and restore with the real CRIU (hack/trixie: Debian trixie's where the machine's own is too old). The
 * round trips are asked of runc as well, with the same CRIU; Debian's crun is built for one that fails on this kernel.
 */
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { Bundle, type Result, type Spec } from "../integration/oci/bundle.ts";
import { debianPackage } from "../support/debian.ts";
import { waitFor } from "../support/wait.ts";
import { ours, type Runtime, runtimes } from "./runtimes.ts";

const top = join(import.meta.dirname, "../..");
const criu = execFileSync(join(top, "hack/trixie"), ["criu"], { encoding: "utf8" }).trim();
const searchPath = "/usr/sbin:/usr/bin:/sbin:/bin";

/** A runtime that finds this CRIU: ours by the variable, runc by the search path. */
function withCriu(runtime: Runtime, path = criu): readonly string[] {
  const setting = runtime === ours ? `KOBAKO_CRIU=${path}` : `PATH=${dirname(path)}:${searchPath}`;
  return ["/usr/bin/env", setting, ...runtime.command];
}

class Counter extends Bundle {
  readonly images = join(this.folder, "images");

  constructor(command: readonly string[] = withCriu(ours), change?: (spec: Spec, bundle: Bundle) => void) {
    super((spec, bundle) => {
      spec.process.args = [
        "/bin/sh",
        "-c",
        "i=0; while :; do i=$((i+1)); echo $i >/tmp/new; /bin/busybox mv /tmp/new /tmp/n; sleep 0.02; done",
      ];
      change?.(spec, bundle);
    }, command);
  }

  /** Runs until it has counted a little. */
  async go(): Promise<void> {
    expect(this.create()).toMatchObject({ code: 0, stderr: "" });
    expect(this.start()).toMatchObject({ code: 0 });
    await this.countsBeyond(2);
  }

  count(): number {
    const file = join(this.rootfs, "tmp/n");
    return existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
  }

  async countsBeyond(n: number): Promise<void> {
    await waitFor(`a count above ${n}`, () => this.count() > n);
  }

  checkpoint(options: readonly string[] = []): Result {
    return this.oci(["checkpoint", "--image-path", this.images, ...options, this.id]);
  }

  /** Detached: a pipe of ours would be held open by the container, a socket is nothing that CRIU can give again. */
  restore(options: readonly string[] = [], output = "/dev/null"): Result {
    const args = ["restore", "-d", "-b", this.folder, "--image-path", this.images];
    return this.detached([...args, ...options, this.id], output);
  }

  override create(options: readonly string[] = [], output = "/dev/null"): Result {
    this.write();
    return this.detached(["create", "-b", this.folder, ...options, this.id], output);
  }

  createWithSocket(): Result {
    return super.create();
  }

  /** Its errors by --log, because stderr is the container's. */
  private detached(args: readonly string[], output: string): Result {
    const log = join(this.folder, "runtime.log");
    writeFileSync(log, "");
    const [file = "", ...before] = this.command;
    const r = spawnSync(
      "/bin/sh",
      [
        "-c",
        `exec "$0" "$@" </dev/null >>${output} 2>&1`,
        file,
        ...before,
        "--root",
        this.state,
        "--log",
        log,
        ...args,
      ],
      { cwd: this.folder, env: {}, timeout: 30_000 },
    );
    if (r.error) throw r.error;
    return { code: r.status, stdout: "", stderr: readFileSync(log, "utf8").replaceAll('\\"', '"') };
  }
}

describe.each(runtimes.filter((runtime) => runtime.name !== "crun"))("$name", (runtime) => {
  it("checkpoint --leave-running leaves images, and the container counts on", async () => {
    await using b = new Counter(withCriu(runtime));
    await b.go();
    const pid = b.pid();
    expect(b.checkpoint(["--leave-running"])).toMatchObject({ code: 0 });
    await b.countsBeyond(b.count());
    expect(b.status()).toBe("running");
    expect(b.pid()).toBe(pid);
    expect(existsSync(join(b.images, "inventory.img"))).toBe(true);
  });

  it("checkpoint takes the container away, restore -d in the same bundle counts on from there", async () => {
    await using b = new Counter(withCriu(runtime));
    await b.go();
    expect(b.checkpoint()).toMatchObject({ code: 0 });
    expect(b.oci(["state", b.id]).code).toBe(1);
    expect(b.traces()).toEqual([]);
    const count = b.count();
    const pidFile = join(b.folder, "pid");

    expect(b.restore(["--pid-file", pidFile])).toMatchObject({ code: 0 });
    expect(b.status()).toBe("running");
    expect(b.pid()).toBe(Number(readFileSync(pidFile, "utf8")));
    await b.countsBeyond(count);
    expect(b.exec(["/bin/echo", "inside"])).toMatchObject({ code: 0, stdout: "inside\n" });
    expect(readFileSync(`/proc/${b.pid()}/cgroup`, "utf8")).toContain(b.cgroup);

    b.oci(["kill", b.id, "KILL"]);
    await waitFor("stopped", () => b.status() === "stopped");
    expect(b.oci(["delete", b.id])).toMatchObject({ code: 0 });
    expect(b.traces()).toEqual([]);
  });
});

describe("restore", () => {
  it("does not begin again: the count is in the program's memory, not in its files", async () => {
    await using b = new Counter();
    await b.go();
    await b.countsBeyond(20);
    expect(b.checkpoint()).toMatchObject({ code: 0, stderr: "" });
    writeFileSync(join(b.rootfs, "tmp/n"), "0");
    expect(b.restore()).toMatchObject({ code: 0, stderr: "" });
    await b.countsBeyond(0);
    expect(b.count()).toBeGreaterThan(20);
  });

  it("gives bind mounts, masked files and limits as the bundle has them", async () => {
    await using b = new Counter(withCriu(ours), (spec, bundle) => {
      mkdirSync(join(bundle.folder, "volume"));
      writeFileSync(join(bundle.folder, "volume/file"), "of the host");
      spec.mounts.push({ destination: "/volume", type: "bind", source: "volume", options: ["rbind", "ro"] });
      spec.linux.resources = { pids: { limit: 77 } };
    });
    await b.go();
    expect(b.checkpoint()).toMatchObject({ code: 0, stderr: "" });
    expect(b.restore()).toMatchObject({ code: 0, stderr: "" });
    expect(b.exec(["/bin/cat", "/volume/file"])).toMatchObject({ code: 0, stdout: "of the host" });
    expect(b.exec(["/bin/touch", "/volume/new"]).code).toBe(1);
    expect(b.exec(["/bin/cat", "/proc/keys"])).toMatchObject({ code: 0, stdout: "" });
    expect(readFileSync(join("/sys/fs/cgroup/pids", b.cgroup, "pids.max"), "utf8")).toBe("77\n");
  });

  it("the output goes on in the file that restore was given", async () => {
    await using b = new Counter(withCriu(ours), (spec) => {
      spec.process.args = [
        "/bin/sh",
        "-c",
        "i=0; while :; do i=$((i+1)); echo $i; echo $i >/tmp/new; /bin/busybox mv /tmp/new /tmp/n; sleep 0.02; done",
      ];
    });
    const output = join(b.folder, "output");
    const lines = () => readFileSync(output, "utf8").trim().split("\n").map(Number);
    expect(b.create([], output)).toMatchObject({ code: 0, stderr: "" });
    b.start();
    await b.countsBeyond(2);
    expect(b.checkpoint()).toMatchObject({ code: 0, stderr: "" });
    const before = lines().length;
    expect(b.restore([], output)).toMatchObject({ code: 0, stderr: "" });
    await waitFor("more lines", () => lines().length > before + 2);
    const all = lines(); // it goes on to count
    expect(all).toEqual(all.map((_, index) => index + 1));
  });

  it("without -d waits for the container, gives its exit status and removes it", async () => {
    await using b = new Counter(withCriu(ours), (spec) => {
      spec.process.args = [
        "/bin/sh",
        "-c",
        "echo 1 >/tmp/n; while [ ! -e /tmp/end ]; do sleep 0.02; done; exit 7",
      ];
    });
    expect(b.create()).toMatchObject({ code: 0 });
    b.start();
    await b.countsBeyond(0);
    expect(b.checkpoint()).toMatchObject({ code: 0, stderr: "" });
    writeFileSync(join(b.rootfs, "tmp/end"), "");
    // -d among the options given twice: the later one counts.
    expect(b.restore(["--detach=false"])).toMatchObject({ code: 7, stderr: "" });
    expect(b.traces()).toEqual([]);
  });

  it("joins the network namespace that the configuration names", async () => {
    await using b = new Counter();
    const pinned = join("/run/netns", `kobako-ckpt-${b.id}`);
    execFileSync("ip", ["netns", "add", `kobako-ckpt-${b.id}`]);
    try {
      b.spec.linux.namespaces = b.spec.linux.namespaces.map((ns) =>
        ns.type === "network" ? { type: "network", path: pinned } : ns,
      );
      await b.go();
      expect(b.checkpoint()).toMatchObject({ code: 0, stderr: "" });
      expect(b.restore()).toMatchObject({ code: 0, stderr: "" });
      expect(statSync(`/proc/${b.pid()}/ns/net`).ino).toBe(statSync(pinned).ino);
    } finally {
      b.oci(["delete", "--force", b.id]);
      execFileSync("ip", ["netns", "delete", `kobako-ckpt-${b.id}`]);
    }
  });

  it("of a folder without images: names it, and leaves nothing", async () => {
    await using b = new Counter();
    b.write();
    const missing = b.restore();
    expect(missing.code).toBe(1);
    expect(missing.stderr).toContain(`option --image-path: "${b.images}": no such file or directory`);
    mkdirSync(b.images);
    const empty = b.restore();
    expect(empty.code).toBe(1);
    expect(empty.stderr).toContain("these are no images of a checkpoint");
    expect(b.traces()).toEqual([]);
  });

  it("of images that are cut: names criu's log and its last complaint, and leaves nothing", async () => {
    await using b = new Counter();
    await b.go();
    expect(b.checkpoint()).toMatchObject({ code: 0, stderr: "" });
    writeFileSync(join(b.images, "pstree.img"), "");
    const { code, stderr } = b.restore();
    expect(code).toBe(1);
    expect(stderr).toContain(`(log: ${b.images}/restore.log)`);
    const complaint = /criu restore: (.*): I\/O error \(log:/.exec(stderr)?.[1] ?? "nothing";
    expect(readFileSync(join(b.images, "restore.log"), "utf8")).toContain(complaint);
    expect(b.traces()).toEqual([]);
  });

  it.each<[string, string[], Partial<Spec>]>([
    ["option --no-pivot:", ["--no-pivot"], {}],
    ["option --console-socket:", ["--console-socket=/tmp/none"], {}],
    ["option --manage-cgroups-mode:", ["--manage-cgroups-mode=some"], {}],
    [
      "process.terminal:",
      [],
      { process: { args: ["/bin/sh"], cwd: "/", env: [], user: { uid: 0, gid: 0 }, terminal: true } },
    ],
    ["hooks.createRuntime:", [], { hooks: { createRuntime: [{ path: "/bin/true" }] } }],
  ])("%s is refused by name, and nothing stays", async (name, options, change) => {
    await using b = new Counter();
    mkdirSync(b.images);
    Object.assign(b.spec, change);
    b.write();
    const { code, stderr } = b.restore(options);
    expect(code).toBe(1);
    expect(stderr).toContain(name);
    expect(b.traces()).toEqual([]);
  });

  it.each([
    ["before CRIU begins", `kill -9 $PPID; exec ${criu} "$@"`],
    ["when CRIU is done", `${criu} "$@"; kill -9 $PPID`],
  ])("killed %s: delete --force succeeds, and the next restore too", async (_, lines) => {
    const command = [...withCriu(ours)];
    await using b = new Counter(command);
    const killer = join(b.folder, "killer");
    writeFileSync(killer, `#!/bin/sh\n[ "$1" = restore ] || exec ${criu} "$@"\n${lines}\n`);
    chmodSync(killer, 0o755);
    await b.go();
    expect(b.checkpoint()).toMatchObject({ code: 0, stderr: "" });
    const count = b.count();

    command[1] = `KOBAKO_CRIU=${killer}`;
    expect(b.restore().code).toBe(null);
    expect(b.traces()).not.toEqual([]);
    expect(b.oci(["delete", "--force", b.id])).toMatchObject({ code: 0, stderr: "" });
    expect(b.traces()).toEqual([]);
    command[1] = `KOBAKO_CRIU=${criu}`;
    expect(b.restore()).toMatchObject({ code: 0, stderr: "" });
    await b.countsBeyond(count);
  });

  it("runs the poststart hook; the next checkpoint and the delete run poststop", async () => {
    await using b = new Counter(withCriu(ours), (spec, bundle) => {
      const note = (word: string) => [
        { path: "/bin/sh", args: ["sh", "-c", `echo ${word} >>${join(bundle.folder, "hooks")}`] },
      ];
      spec.hooks = { poststart: note("start"), poststop: note("stop") };
    });
    await b.go();
    expect(b.checkpoint()).toMatchObject({ code: 0, stderr: "" });
    expect(b.restore()).toMatchObject({ code: 0, stderr: "" });
    expect(b.oci(["delete", "--force", b.id])).toMatchObject({ code: 0 });
    expect(readFileSync(join(b.folder, "hooks"), "utf8")).toBe("start\nstop\nstart\nstop\n");
  });

  it("of an id that is taken: refused, the container stays", async () => {
    await using b = new Counter();
    await b.go();
    expect(b.checkpoint(["--leave-running"])).toMatchObject({ code: 0 });
    expect(b.restore().code).toBe(1);
    await b.countsBeyond(b.count());
    expect(b.status()).toBe("running");
  });
});

describe("checkpoint", () => {
  it("that fails leaves the container running", async () => {
    await using b = new Counter();
    // Its stdin is a socket to this process, which CRIU can't give again.
    expect(b.createWithSocket()).toMatchObject({ code: 0 });
    b.start();
    await b.countsBeyond(2);
    const { code, stderr } = b.checkpoint();
    expect(code).toBe(1);
    expect(stderr).toMatch(/criu dump: unix: .*socket.* \(log: .*\/images\/dump\.log\)/i);
    await b.countsBeyond(b.count());
    expect(b.status()).toBe("running");
  });

  it("and restore take runc's options", async () => {
    await using b = new Counter();
    await b.go();
    const both = ["--tcp-established", "--ext-unix-sk", "--file-locks", "--auto-dedup"];
    const options = [...both, "--manage-cgroups-mode", "ignore", "--empty-ns", "network"];
    expect(b.checkpoint([...options, "--link-remap", "--tcp-skip-in-flight", "--shell-job"])).toMatchObject({
      code: 0,
      stderr: "",
    });
    const count = b.count();
    expect(b.restore([...options, "--no-subreaper"])).toMatchObject({ code: 0, stderr: "" });
    await b.countsBeyond(count);
    expect(readFileSync(`/proc/${b.pid()}/cgroup`, "utf8")).toContain(b.cgroup);
  });

  it("--pre-dump leaves the container running, and its images are what --parent-path builds on", async () => {
    await using b = new Counter();
    await b.go();
    const first = b.checkpoint(["--pre-dump"]);
    expect(b.status()).toBe("running");
    await b.countsBeyond(b.count());
    // A kernel without CONFIG_MEM_SOFT_DIRTY can't tell what has changed since; CRIU says so.
    const tracks = spawnSync(criu, ["check", "--feature", "mem_dirty_track"]).status === 0;
    if (!tracks) {
      expect(first.code).toBe(1);
      expect(first.stderr).toContain("criu pre-dump: Tracking memory is not available");
      return;
    }
    expect(first).toMatchObject({ code: 0, stderr: "" });
    const images = join(b.folder, "images2");
    expect(b.oci(["checkpoint", "--image-path", images, "--parent-path", "../images", b.id])).toMatchObject({
      code: 0,
      stderr: "",
    });
    expect(readlinkSync(join(images, "parent"))).toBe("../images");
  });

  it.each<[string, (spec: Spec) => void]>([
    [
      'mount at "/sys/fs/cgroup/',
      (spec) => {
        spec.linux.namespaces = spec.linux.namespaces.filter((ns) => ns.type !== "cgroup");
        spec.mounts.push({
          destination: "/sys/fs/cgroup",
          type: "cgroup",
          source: "cgroup",
          options: ["ro"],
        });
      },
    ],
    [
      "hooks.createRuntime:",
      (spec) => {
        spec.hooks = { createRuntime: [{ path: "/bin/true" }] };
      },
    ],
  ])(
    "of what restore could not give back is refused (%s), and the container runs on",
    async (name, change) => {
      await using b = new Counter(withCriu(ours), change);
      await b.go();
      const { code, stderr } = b.checkpoint();
      expect(code).toBe(1);
      expect(stderr).toContain(name);
      await b.countsBeyond(b.count());
    },
  );

  it("of a container that does not run, or of none: refused", async () => {
    await using b = new Counter();
    expect(b.checkpoint()).toMatchObject({ code: 1 });
    b.create();
    const { code, stderr } = b.checkpoint();
    expect(code).toBe(1);
    expect(stderr).toContain("is created, checkpoint needs running");
  });

  it("--work-path has the log, --image-path the images", async () => {
    await using b = new Counter();
    const work = join(b.folder, "work");
    await b.go();
    expect(b.checkpoint(["--leave-running", "--work-path", work])).toMatchObject({ code: 0, stderr: "" });
    expect([existsSync(join(work, "dump.log")), existsSync(join(b.images, "dump.log"))]).toEqual([
      true,
      false,
    ]);
  });

  it.each(["--lazy-pages", "--page-server=127.0.0.1:1", "--status-fd=1", "--empty-ns=mount"])(
    "%s: refused by name",
    async (option) => {
      await using b = new Counter();
      await b.go();
      const { code, stderr } = b.checkpoint([option]);
      expect(code).toBe(1);
      expect(stderr).toContain(`option ${option.split("=")[0]}:`);
      expect(b.status()).toBe("running");
    },
  );
});

describe("the program", () => {
  it("older than 4.1 is refused by path and version (Debian bookworm's 3.17)", async () => {
    const libraries = join(dirname(criu), "files/usr/lib/x86_64-linux-gnu");
    await using b = new Counter();
    await b.go();
    const old = join(b.folder, "criu");
    const loader = join(libraries, "ld-linux-x86-64.so.2");
    const program = join(debianPackage("criu"), "usr/sbin/criu");
    writeFileSync(old, `#!/bin/sh\nexec ${loader} --library-path ${libraries} ${program} "$@"\n`);
    chmodSync(old, 0o755);
    const [file = "", ...before] = withCriu(ours, old);
    const r = execFileSync(
      "/bin/sh",
      [
        "-c",
        `"$0" "$@" 2>&1; echo $?`,
        file,
        ...before,
        "--root",
        b.state,
        "checkpoint",
        "--image-path",
        b.images,
        b.id,
      ],
      { encoding: "utf8", env: {} },
    );
    expect(r).toMatch(/criu ".*\/criu": is version 3\.17.*, 4\.1 or newer is needed.*\n1\n$/);
    expect(b.status()).toBe("running");
    expect(existsSync(b.images)).toBe(false);
  });

  it("that is not there is named", async () => {
    await using b = new Counter(withCriu(ours, "/nonexistent/criu"));
    await b.go();
    expect(b.checkpoint().stderr).toContain(
      'KOBAKO_CRIU: criu "/nonexistent/criu": no such file or directory',
    );
    expect(b.restore().stderr).toContain('KOBAKO_CRIU: criu "/nonexistent/criu": no such file or directory');
    expect(b.status()).toBe("running");
  });
});
