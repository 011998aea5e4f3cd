/** Rows M1 and F1-F8 of the security bar: the runtime's own program, descriptors, environment, pids, dumps. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { program } from "../../support/programs.ts";
import {
  binary,
  type Bundle,
  nobody,
  rootlessBundle,
  type Spec,
  statusFields,
} from "../../integration/oci/bundle.ts";
import { bothWays, times, type Way } from "./ways.ts";

function sleeping(s: Spec): void {
  s.process.args = ["/bin/sleep", "1000"];
}

function running(b: Bundle): void {
  expect(b.create()).toMatchObject({ code: 0 });
  expect(b.start()).toMatchObject({ code: 0 });
}

function hash(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

/** A shell line with the runtime as "$@", outputs collected. `line` may set an environment or open descriptors. */
function shell(way: Way, line: string, env: Record<string, string> = {}) {
  return spawnSync("/bin/sh", ["-c", line, "sh", ...way.command], { encoding: "utf8", env, timeout: 30_000 });
}

/** test/fixtures/programs/spy in a running container, until disposed of: what it tells is in the container's output. */
async function withSpy(b: Bundle): Promise<void> {
  writeFileSync(join(b.rootfs, "spy"), program("spy"), { mode: 0o755 });
  b.spec.process.args = ["/spy", "/spy", "/bin/busybox"];
  running(b);
  const end = performance.now() + 10_000;
  // It says when it has begun; a file has no other way to tell.
  while (!b.output().includes("watching")) {
    if (performance.now() > end) throw new Error("the spy does not start");
    await new Promise((resolve) => setImmediate(resolve));
  }
}

bothWays("the runtime's own program", (way) => {
  it("M1, F2: no process of a container gets into an exec, nor writes to the runtime's program", async () => {
    await using b = way.bundle((s) => {
      s.process.noNewPrivileges = false;
    });
    const before = hash(binary);
    await withSpy(b);
    for (let i = 0; i < times(150, 1000); i++) expect(b.exec(["/bin/true"])).toMatchObject({ code: 0 });
    expect(b.output()).toBe("watching\n");
    expect(hash(binary)).toBe(before);
  });

  it('M1: a program that is "#!/proc/self/exe" runs the runtime from where nothing can be written', async () => {
    await using b = way.bundle((s, bundle) => {
      writeFileSync(join(bundle.rootfs, "bin/again"), "#!/proc/self/exe\n", { mode: 0o755 });
      s.process.args = ["/bin/again"];
    });
    const before = hash(binary);
    expect(b.run().code).not.toBe(0);
    sleeping(b.spec);
    running(b);
    expect(b.exec(["/bin/again"]).code).not.toBe(0);
    expect(hash(binary)).toBe(before);
  });

  it("M1: init, until it is started, runs from a read-only mount", async () => {
    await using b = way.bundle(sleeping);
    expect(b.create()).toMatchObject({ code: 0 });
    // Opening it for writing answers ETXTBSY, but only until it ends. Its times say what the mount is.
    const exe = `/proc/${b.pid()}/exe`;
    const { atime, mtime } = statSync(exe);
    expect(() => utimesSync(exe, atime, mtime)).toThrow("EROFS");
  });
});

it("M1: of a caller without rights: who has got hold of init's program can't write to it, when it has ended either", async () => {
  await using b = rootlessBundle(sleeping);
  const own = b.command.at(-1) ?? "";
  const before = hash(own);
  expect(b.create()).toMatchObject({ code: 0 });
  // The container's root is this user outside. While init lives the kernel refuses by itself (ETXTBSY).
  const line = [
    `exec 9</proc/${b.pid()}/exe`,
    `"$@" --root ${b.state} delete --force ${b.id}`,
    `setpriv --reuid=${nobody} --regid=${nobody} --clear-groups /bin/sh -c 'echo overwritten >/proc/self/fd/9'; echo $?`,
    `setpriv --reuid=${nobody} --regid=${nobody} --clear-groups /bin/sh -c 'echo overwritten >>/proc/self/fd/9'; echo $?`,
  ].join("\n");
  const r = spawnSync("/bin/sh", ["-c", line, "sh", ...b.command], { encoding: "utf8", timeout: 30_000 });
  expect({ stdout: r.stdout, hash: hash(own) }).toEqual({ stdout: "2\n1\n", hash: before });
  expect(r.stderr).not.toContain("warning");
});

bothWays("descriptors", (way) => {
  it("F1: a working folder that leads through a descriptor is refused, in create and exec", async () => {
    await using b = way.bundle();
    for (let n = 3; n <= 64; n++) {
      b.spec.process.cwd = `/proc/self/fd/${n}`;
      const r = b.sh("ls -la .");
      expect(r.code).toBe(1);
      expect(r.stderr).toContain("working folder");
    }
    b.spec.process.cwd = "/";
    sleeping(b.spec);
    running(b);
    for (const n of [3, 7, 8, 20, 64]) {
      const r = b.exec(["/bin/true"], ["--cwd", `/proc/self/fd/${n}`]);
      expect(r.code).toBe(255);
      expect(r.stderr).toContain("working folder");
    }
  });

  it("F1: what the caller left open reaches neither init, the container nor an exec", async () => {
    await using b = way.bundle(sleeping);
    b.write();
    const open = `exec 7</ 9</etc/passwd; exec "$@" --root ${b.state}`;
    const quiet = ">/dev/null 2>&1 </dev/null";
    expect(shell(way, `${open} create -b ${b.folder} ${b.id} ${quiet}`).status).toBe(0);
    const links = (pid: number) =>
      readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
    // Before the start it holds the socket that it waits on, and nothing that has a path.
    expect(links(b.pid()).filter((link) => link !== "/dev/null" && !link.startsWith("socket:"))).toEqual([]);
    expect(b.start()).toMatchObject({ code: 0 });
    expect(readdirSync(`/proc/${b.pid()}/fd`)).toEqual(["0", "1", "2"]);
    const pidFile = join(b.folder, "exec.pid");
    expect(shell(way, `${open} exec -d --pid-file ${pidFile} ${b.id} /bin/sleep 1000 ${quiet}`).status).toBe(
      0,
    );
    expect(readdirSync(`/proc/${readFileSync(pidFile, "utf8")}/fd`)).toEqual(["0", "1", "2"]);
    expect(readlinkSync(`/proc/${b.pid()}/cwd`)).toBe("/");
  });

  it("F1: a caller without stdin, stdout and stderr: they are /dev/null in create, run and exec", async () => {
    await using created = way.bundle(sleeping);
    await using run = way.bundle(sleeping);
    const open = (pid: number) =>
      readdirSync(`/proc/${pid}/fd`).map((fd) => [fd, readlinkSync(`/proc/${pid}/fd/${fd}`)]);
    const none = ["0", "1", "2"].map((fd) => [fd, "/dev/null"]);
    for (const [b, line] of [
      [created, "create"],
      [run, "run -d"],
    ] as const) {
      b.write();
      const closed = "<&- >&- 2>&-";
      const call = `exec "$@" --root ${b.state}`;
      expect(shell(way, `${call} ${line} -b ${b.folder} ${b.id} ${closed}`).status).toBe(0);
      if (b === created) expect(b.start()).toMatchObject({ code: 0 });
      expect(open(b.pid())).toEqual(none);
      const pidFile = join(b.folder, "exec.pid");
      const exec = `exec -d --pid-file ${pidFile} ${b.id} /bin/sleep 1000`;
      expect(shell(way, `${call} ${exec} ${closed}`).status).toBe(0);
      expect(open(Number(readFileSync(pidFile, "utf8")))).toEqual(none);
      // One of them is enough: what is opened next gets its number.
      expect(shell(way, `${call} ${exec} >&- </dev/null 2>/dev/null`).status).toBe(0);
      expect(open(Number(readFileSync(pidFile, "utf8")))).toEqual(none);
    }
  });
});

bothWays("environment and programs", (way) => {
  it("F4: a hook sees its own environment only, and its folder is not in the rootfs", async () => {
    await using b = way.bundle((s, bundle) => {
      s.process.env = ["PATH=/evil", "LD_PRELOAD=/evil.so", "NODE_OPTIONS=--require=/evil"];
      const hook = (name: string) => [
        {
          path: "/bin/sh",
          args: ["sh", "-c", `{ /usr/bin/env; pwd; } >${join(bundle.folder, name)}`],
          env: [`ONLY=${name}`],
        },
      ];
      s.hooks = {};
      for (const name of ["prestart", "createRuntime", "createContainer", "poststart", "poststop"])
        s.hooks[name] = hook(name);
    });
    b.write();
    const line = `exec "$@" --root ${b.state} run -b ${b.folder} ${b.id}`;
    expect(shell(way, line, { LD_PRELOAD: "/daemon.so", SECRET: "of-the-daemon" })).toMatchObject({
      status: 0,
    });
    for (const name of ["prestart", "createRuntime", "createContainer", "poststart", "poststop"]) {
      const lines = readFileSync(join(b.folder, name), "utf8").trim().split("\n");
      // What the shell itself sets says nothing.
      expect(lines.filter((l) => !/^(PWD|OLDPWD|SHLVL|_)=/.test(l))).toEqual([`ONLY=${name}`, "/"]);
    }
  });

  it("F5: no variable of the runtime's caller is filled in for a name without value", async () => {
    await using b = way.bundle((s) => {
      s.process.env = ["AWS_SECRET", "*", "=x", "A", "PATH=/bin"];
      s.process.args = ["/bin/sh", "-c", "tr '\\0' '\\n' </proc/self/environ; busybox env"];
    });
    b.write();
    const secret = { AWS_SECRET: "hunter2", A: "hunter2", HOME: "/hunter2" };
    const r = shell(way, `exec "$@" --root ${b.state} run -b ${b.folder} ${b.id}`, secret);
    expect(r.stdout).toContain("PATH=/bin");
    expect(r.stdout).not.toContain("hunter2");
    sleeping(b.spec);
    running(b);
    const exec = shell(
      way,
      `exec "$@" --root ${b.state} exec -e AWS_SECRET ${b.id} /bin/busybox env`,
      secret,
    );
    expect(exec.stdout + exec.stderr).not.toContain("hunter2");
  });

  it("F7: an exec and a kill open no library, no configuration and no passwd, neither of the host nor of a container", async () => {
    await using b = way.bundle((s) => {
      sleeping(s);
      s.process.user = { uid: 1000, gid: 1000 };
    });
    running(b);
    const log = join(b.folder, "strace");
    const calls = ["/usr/bin/strace", "-f", "-o", log, "-e", "trace=open,openat,openat2,execve,execveat"];
    for (const verb of [`exec ${b.id} /bin/true`, `kill ${b.id} KILL`]) {
      const [file = "", ...rest] = calls;
      const r = shell(way, `exec ${[file, ...rest].join(" ")} "$@" --root ${b.state} ${verb} </dev/null`);
      expect(r.status).toBe(0);
      const seen = readFileSync(log, "utf8");
      expect(seen).toContain("execve");
      expect(seen).not.toMatch(/\.so\b|nsswitch|ld\.so|\/etc\/(passwd|group|localtime|gai)|locale|gconv/);
      const run = [...seen.matchAll(/execve(?:at)?\([^"]*"([^"]*)"/g)].map(([, path]) => path);
      const known = new Set(["", ...way.command, "/bin/true", "/proc/self/exe"]);
      expect(run.filter((path) => !known.has(path ?? ""))).toEqual([]);
    }
  });
});

bothWays("pids", (way) => {
  it("F6: a state whose pid now is another process's: that process lives", async () => {
    await using b = way.bundle(sleeping);
    running(b);
    const begun = startTicks(b.pid());
    let other = new Bystander();
    while (startTicks(other.pid) === begun) {
      await other[Symbol.asyncDispose]();
      other = new Bystander();
    }
    await using _other = other;
    const file = join(b.state, b.id, "state.json");
    const state = JSON.parse(readFileSync(file, "utf8")) as { pid: number };
    b.oci(["kill", b.id, "KILL"]);
    writeFileSync(file, JSON.stringify({ ...state, pid: other.pid }));
    expect(b.oci(["kill", b.id, "KILL"]).code).not.toBe(0);
    expect(b.status()).toBe("stopped");
    expect(b.exec(["/bin/true"]).code).not.toBe(0);
    expect(b.oci(["delete", "--force", b.id])).toMatchObject({ code: 0 });
    expect(other.alive()).toBe(true);
  });

  it("F6: pids that wrap: who got the number of a container's process is not signalled", async () => {
    await using b = way.bundle(sleeping);
    b.write();
    // A PID namespace of its own, whose counter is ours to set; its first process buries what dies in it.
    const line = [
      `"$@" --root ${b.state} run -d -b ${b.folder} ${b.id} </dev/null >/dev/null 2>&1`,
      `pid=$("$@" --root ${b.state} state ${b.id} | sed -n 's/.*"pid": \\([0-9]*\\).*/\\1/p')`,
      // Numbers are told apart by when their process began, in ticks of 10 ms: so the next one begins later.
      "begun=$(cut -d' ' -f22 /proc/$pid/stat)",
      'while [ "$(cut -d" " -f22 /proc/self/stat)" = "$begun" ]; do true; done',
      "kill -9 $pid",
      "while [ -e /proc/$pid ]; do true; done",
      "echo $((pid - 1)) >/proc/sys/kernel/ns_last_pid; sleep 1000 & other=$!",
      '[ "$other" = "$pid" ] || exit 9',
      `"$@" --root ${b.state} kill ${b.id} KILL 2>/dev/null && exit 10`,
      `"$@" --root ${b.state} delete --force ${b.id} || exit 11`,
      "kill -0 $other && echo lives",
    ].join("\n");
    // Another process may take the number in between: then once more.
    let r = { status: 9 as number | null, stdout: "", stderr: "" };
    for (let i = 0; i < 5 && r.status === 9; i++) {
      b.oci(["delete", "--force", b.id]);
      r = spawnSync(
        "unshare",
        ["--pid", "--fork", "--kill-child", "--mount-proc", "/bin/sh", "-c", line, "sh", ...way.command],
        { encoding: "utf8", env: { PATH: "/usr/bin:/bin" }, timeout: 30_000 },
      );
    }
    expect(r).toMatchObject({ status: 0, stdout: "lives\n", stderr: "" });
  });
});

/** When a process began, in ticks of 10 ms: field 22 of its stat (proc(5)). */
function startTicks(pid: number): string | undefined {
  return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[19];
}

/** A process that has nothing to do with any container. */
class Bystander implements AsyncDisposable {
  readonly #child: ChildProcess = spawn("/bin/sleep", ["1000"], { stdio: "ignore" });

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
  }
}

bothWays("what can be looked into", (way) => {
  it("F8: every container and exec has a session keyring of its own", async () => {
    await using b = way.bundle((s, bundle) => {
      sleeping(s);
      writeFileSync(join(bundle.rootfs, "keyring"), program("session-keyring"), { mode: 0o755 });
    });
    running(b);
    const ids = [1, 2].map(() => b.exec(["/keyring"]).stdout.trim());
    b.oci(["delete", "--force", b.id]);
    b.spec.process.args = ["/keyring"];
    ids.push(b.run().stdout.trim());
    for (const id of ids) expect(id).toMatch(/^\d+$/);
    expect(new Set(ids).size).toBe(3);
  });

  it("F8: init, until its program runs, is not dumpable, and leaves no core when it is killed", async () => {
    await using b = way.bundle((s) => {
      sleeping(s);
      s.process.user = { uid: 1000, gid: 1000 };
      s.process.rlimits = [{ type: "RLIMIT_CORE", soft: 1 << 30, hard: 1 << 30 }];
    });
    expect(b.create()).toMatchObject({ code: 0 });
    const pid = b.pid();
    expect(statusFields(readFileSync(`/proc/${pid}/status`, "utf8")).Uid?.split(/\s+/)[0]).toBe("1000");
    // Files of a process that is not dumpable are root's (proc(5)).
    expect(statSync(`/proc/${pid}/environ`).uid).toBe(0);
    b.oci(["kill", b.id, "ABRT"]);
    b.oci(["delete", "--force", b.id]);
    const cores = (folder: string) =>
      readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((n) => /(^|\/)core/.test(n));
    expect(cores(b.folder)).toEqual([]);
  });
});
