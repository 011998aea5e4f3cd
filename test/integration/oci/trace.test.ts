/** `kobako-oci --trace FILE`: what a command, its runner and the container's init say of their steps, and what they leave open. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { binary, Bundle, type Spec } from "./bundle.ts";

interface Step {
  readonly run: number;
  readonly us: number;
  readonly took_us: number;
  readonly who: string;
  readonly step: string;
  readonly what?: string;
  readonly failed?: boolean;
}

/** A bundle whose every command writes its timeline into one file. */
class Traced extends Bundle {
  readonly file: string;

  constructor(change?: (spec: Spec) => void) {
    const folder = mkdtempSync(join(tmpdir(), "kobako-trace-"));
    const file = join(folder, "trace");
    super(change, [binary, "--trace", file]);
    this.file = file;
  }

  steps(): Step[] {
    return readFileSync(this.file, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Step);
  }

  /** The lines of one command, by the first line's text ("create"). */
  of(command: string): Step[] {
    const all = this.steps();
    const begin = all.find(({ step, what }) => step === "begin" && what === `${command} ${this.id}`);
    return all.filter(({ run }) => run === begin?.run);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    rmSync(join(this.file, ".."), { recursive: true });
  }
}

const by = (steps: readonly Step[], who: string) => steps.filter((s) => s.who === who);
const names = (steps: readonly Step[]) =>
  steps.map(({ step, what }) => (what === undefined ? step : `${step} ${what}`));

/** Within each process every step ends later than the one before it, and has taken the time between. */
function expectRising(steps: readonly Step[]): void {
  for (const who of new Set(steps.map((s) => s.who))) {
    by(steps, who).reduce((before, s) => {
      expect(s.us).toBeGreaterThanOrEqual(before.us);
      expect(s.took_us).toBe(s.us - before.us);
      return s;
    });
  }
}

const sleeping = (s: Spec) => {
  s.process.args = ["/bin/sleep", "1000"];
};

const creating = [
  "make the state folder",
  "read config.json",
  "open the start socket",
  "make the container",
  "write the state",
  "pid file",
];
const ending = ["kill", "wait for its end", "remove cgroups", "remove the state"];
const runner = (cgroup: string) => [
  "check the configuration",
  "open namespaces",
  "seccomp filter",
  "open mount sources",
  `make cgroups ${cgroup}`,
  "set limits",
  "join namespaces",
  "clone init",
  "wait for init to be ready",
];
const init = (program: string) => [
  "close descriptors",
  "enter the user namespace",
  "session",
  "enter cgroups",
  "hostname and loopback",
  "wait for network devices",
  "take up the rootfs",
  "mount /proc",
  "mount /dev",
  "mount /dev/pts",
  "mount /sys",
  "devices",
  "console",
  "hooks before pivot",
  "masked and read-only paths",
  "sysctls",
  "pivot",
  "stdio",
  "working folder",
  "limits, user and capabilities",
  "find the program",
  "ready",
  "wait for start",
  `exec ${program}`,
];

describe("--trace", () => {
  it("create, start, exec and delete write their steps in order, each with its time", async () => {
    await using b = new Traced(sleeping);
    expect(b.create()).toMatchObject({ code: 0, stderr: "" });
    expect(names(by(b.of("create"), "init")).at(-1)).toBe("ready");
    expect(b.start()).toMatchObject({ code: 0, stderr: "" });
    expect(b.exec(["/bin/true"])).toMatchObject({ code: 0, stderr: "" });
    expect(b.oci(["delete", "--force", b.id])).toMatchObject({ code: 0, stderr: "" });

    const create = b.of("create");
    expect(names(by(create, "runtime"))).toEqual([`begin create ${b.id}`, ...creating, "end"]);
    expect(names(by(create, "runner"))).toEqual(runner(b.cgroup));
    // Init goes on in the timeline of its create.
    expect(names(by(create, "init"))).toEqual(init("/bin/sleep"));
    expect(names(b.of("start"))).toEqual([
      `begin start ${b.id}`,
      "lock and read the state",
      "connect to init",
      "run the program",
      "end",
    ]);
    const exec = b.of("exec");
    expect(names(by(exec, "runtime"))).toEqual([
      `begin exec ${b.id}`,
      "read the state",
      "read the process",
      "run the program",
      "pid file",
      "end",
    ]);
    expect(names(by(exec, "runner"))).toEqual([
      "read the container and the process",
      "open cgroups",
      "join namespaces",
      "clone the process",
      "wait for the program to run",
    ]);
    expect(names(by(exec, "process"))).toEqual([
      "enter cgroups",
      "session and console",
      "stdio",
      "working folder",
      "limits, user and capabilities",
      "find the program",
      "exec /bin/true",
    ]);
    expect(names(b.of("delete"))).toEqual([
      `begin delete ${b.id}`,
      "read the state",
      "lock and read the state",
      ...ending,
      "end",
    ]);
    for (const steps of [create, b.of("start"), exec, b.of("delete")]) {
      expectRising(steps);
      expect(steps[0]).toMatchObject({ us: 0, took_us: 0, who: "runtime" });
    }
  });

  it("run writes them all", async () => {
    await using b = new Traced();
    expect(b.run()).toMatchObject({ code: 0, stderr: "" });
    const run = b.of("run");
    expect(names(by(run, "runtime"))).toEqual([
      `begin run ${b.id}`,
      ...creating,
      "connect to init",
      "run the program",
      "wait for the program's end",
      ...ending,
      "end",
    ]);
    expect(names(by(run, "runner"))).toEqual(runner(b.cgroup));
    expect(names(by(run, "init"))).toEqual(init("/bin/true"));
    expectRising(run);
  });

  it("hooks are told one by one, with whether they failed, and the step at which a command ended", async () => {
    await using b = new Traced((s) => {
      s.hooks = {
        createRuntime: [{ path: "/bin/true" }],
        createContainer: [{ path: "/bin/true" }, { path: "/bin/false" }],
      };
    });
    expect(b.run().code).toBe(1);
    const run = b.of("run");
    expect(names(by(run, "runner")).at(-1)).toBe("hook createRuntime /bin/true");
    expect(by(run, "init").slice(-3)).toMatchObject([
      { step: "hook", what: "createContainer /bin/true" },
      { step: "hook", what: "createContainer /bin/false", failed: true },
      { step: "hooks before pivot", failed: true },
    ]);
    expect(by(run, "runtime").filter((s) => s.failed)).toMatchObject([
      { step: "make the container" },
      { step: "end" },
    ]);
  });

  it("a keeper that stays outside a joined user namespace has its own lines", async () => {
    await using one = new Bundle((s) => {
      sleeping(s);
      s.linux.namespaces.push({ type: "user" });
      const map = [{ containerID: 0, hostID: 100000, size: 65536 }];
      Object.assign(s.linux, { uidMappings: map, gidMappings: map });
    });
    expect(one.create().code).toBe(0);
    await using two = new Traced((s) => {
      s.linux.namespaces.push({ type: "user", path: `/proc/${one.pid()}/ns/user` });
    });
    expect(two.run()).toMatchObject({ code: 0, stderr: "" });
    expect(names(by(two.of("run"), "keeper"))).toEqual(["wait for init to be ready"]);
    expect(names(by(two.of("run"), "init"))).toEqual(init("/bin/true"));
  });

  it("a time namespace does not set the stamps off", async () => {
    await using b = new Traced((s) => {
      s.linux.namespaces.push({ type: "time" });
      Object.assign(s.linux, { timeOffsets: { monotonic: { secs: 86400 }, boottime: { secs: 86400 } } });
    });
    expect(b.run()).toMatchObject({ code: 0, stderr: "" });
    const last = b.of("run").at(-1);
    expect(last?.step).toBe("end");
    for (const { us } of b.of("run")) expect(us).toBeLessThanOrEqual(last?.us ?? 0);
  });

  it("a limit on the size of files does not end init, which writes", async () => {
    await using b = new Traced((s) => {
      s.process.rlimits = [{ type: "RLIMIT_FSIZE", soft: 0, hard: 0 }];
    });
    expect(b.run()).toMatchObject({ code: 0, stderr: "" });
  });

  it("a file that can't be opened is an error that names it, and nothing is made", async () => {
    await using b = new Bundle();
    b.write();
    const file = join(b.folder, "missing/trace");
    const r = b.oci(["create", "-b", b.folder, b.id], "", ["--trace", file]);
    expect(r.code).toBe(1);
    expect(r.stderr).toBe(
      `kobako-oci: container create: open the trace "${file}": no such file or directory\n`,
    );
    expect(b.traces()).toEqual([]);
    expect(existsSync(b.state)).toBe(false);
  });

  it("neither the container, an exec nor a hook has it open", async () => {
    await using b = new Traced((s) => {
      s.process.args = ["/bin/sh", "-c", "ls -l /proc/self/fd; exec sleep 1000"];
    });
    const seen = join(b.folder, "hook");
    const look = { path: "/bin/sh", args: ["sh", "-c", `ls -l /proc/self/fd >>${seen}`] };
    b.spec.hooks = { createRuntime: [look], createContainer: [look], poststart: [look], poststop: [look] };
    expect(b.create().code).toBe(0);
    expect(b.start().code).toBe(0);
    const inside = b.exec(["/bin/ls", "-l", "/proc/self/fd", "/proc/1/fd"]);
    expect(inside).toMatchObject({ code: 0 });
    expect(b.oci(["delete", "--force", b.id]).code).toBe(0);
    const listings = [b.output(), inside.stdout, readFileSync(seen, "utf8")];
    for (const text of listings) {
      expect(text).toContain(" 0 -> ");
      expect(text).not.toContain(b.file);
    }
  });

  it("its descriptor is none that --preserve-fds passes on", async () => {
    await using b = new Traced();
    b.write();
    const [file = "", ...before] = b.command;
    const many = Array.from({ length: 197 }, (_, i) => `exec ${i + 3}</dev/null`).join("; ");
    // 3 to 199 are given, 200 is the first of the runtime's own.
    const line = `${many}; "$@"`;
    const run = (count: number) =>
      spawnSync(
        "bash",
        [
          "--norc",
          "-c",
          line,
          "bash",
          file,
          ...before,
          "--root",
          b.state,
          "run",
          "-b",
          b.folder,
          "--preserve-fds",
          `${count}`,
          b.id,
        ],
        { encoding: "utf8", env: { PATH: "/usr/bin:/bin" }, timeout: 30_000 },
      );
    expect(run(197)).toMatchObject({ status: 0, stderr: "" });
    const refused = run(198);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain("descriptor 200 of the 198 to preserve: bad file descriptor");
  });
});
