/** SCMP_ACT_NOTIFY: a real agent at listenerPath answers for the kernel. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Interface, createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { waitFor } from "../../support/wait.ts";
import { Bundle } from "./bundle.ts";

const source = new URL("../../fixtures/programs/seccomp-agent.c", import.meta.url).pathname;
let folder = "";
let program = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kobako-agent-"));
  program = join(folder, "agent");
  execFileSync("cc", ["-O1", "-o", program, source]);
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** The agent's process and, line by line, what it has been told. */
class Agent implements AsyncDisposable {
  readonly path: string;
  readonly #process: ChildProcess;
  readonly #lines: Interface;
  readonly #iterator: AsyncIterator<string>;

  constructor(name: string) {
    this.path = join(folder, name);
    const child = spawn(program, [this.path], { stdio: ["ignore", "pipe", "inherit"] });
    this.#process = child;
    this.#lines = createInterface({ input: child.stdout });
    this.#iterator = this.#lines[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    const next = await this.#iterator.next();
    if (next.done) throw new Error("the agent ended");
    return next.value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#process, "exit");
    this.#process.kill();
    await ended;
    this.#lines.close();
  }
}

function profile(listenerPath?: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    defaultAction: "SCMP_ACT_ALLOW",
    flags: ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
    ...(listenerPath === undefined ? {} : { listenerPath }),
    syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_NOTIFY" }],
    ...more,
  };
}

describe("a seccomp agent", () => {
  for (const noNewPrivileges of [true, false])
    it(`is told of the container and of each exec, and answers (noNewPrivileges: ${noNewPrivileges})`, async () => {
      await using agent = new Agent(`agent-${noNewPrivileges}`);
      expect(await agent.line()).toBe("ready");
      await using b = new Bundle((s) => {
        s.annotations = { "org.example.a": "b" };
        s.process.noNewPrivileges = noNewPrivileges;
        s.linux.seccomp = profile(agent.path, { listenerMetadata: "for whom" });
        s.process.args = ["/bin/sh", "-c", "mkdir /refused; mkdir /made && ls -d /made; exec sleep 1000"];
      });
      expect(b.create()).toMatchObject({ code: 0 });
      expect(b.start()).toMatchObject({ code: 0 });
      const pid = b.pid();
      const state = {
        ociVersion: "1.2.0",
        id: b.id,
        pid,
        bundle: b.folder,
        annotations: { "org.example.a": "b" },
      };
      expect(JSON.parse(await agent.line())).toEqual({
        ociVersion: "1.2.0",
        fds: ["seccompFd"],
        pid,
        metadata: "for whom",
        state: { ...state, status: "creating" },
      });

      await waitFor("the container's own calls", () => existsSync(join(b.rootfs, "made")));
      const r = b.exec(["/bin/sh", "-c", "mkdir /refused-too; mkdir /tmp/also && ls -d /made /tmp/also"]);
      expect(r.stderr).toContain("'/refused-too': Invalid cross-device link");
      expect(r.stdout).toBe("/made\n/tmp/also\n");
      const told = JSON.parse(await agent.line()) as { pid: number };
      expect(told).toMatchObject({ metadata: "for whom", state: { ...state, status: "running" } });
      expect(told.pid).not.toBe(pid);
      expect(told.pid).toBeGreaterThan(1);
    });

  for (const noNewPrivileges of [true, false])
    it(`answers for every call that the runtime itself might make on the way (noNewPrivileges: ${noNewPrivileges})`, async () => {
      await using agent = new Agent(`every-${noNewPrivileges}`);
      expect(await agent.line()).toBe("ready");
      const own = [
        "write",
        "sendmsg",
        "sendto",
        "close",
        "futex",
        "execve",
        "capset",
        "prctl",
        "nanosleep",
        "poll",
      ];
      const names = [
        ...own,
        "recvfrom",
        "recvmsg",
        "sched_yield",
        "wait4",
        "rt_sigprocmask",
        "mkdir",
        "mkdirat",
      ];
      await using b = new Bundle((s) => {
        s.process.noNewPrivileges = noNewPrivileges;
        s.linux.seccomp = profile(agent.path, { syscalls: [{ names, action: "SCMP_ACT_NOTIFY" }] });
      });
      expect(b.sh("mkdir /refused 2>/dev/null || echo refused; mkdir /made && echo made")).toMatchObject({
        code: 0,
        stdout: "refused\nmade\n",
      });
      b.spec.process.args = ["/bin/sleep", "1000"];
      expect(b.create()).toMatchObject({ code: 0, stderr: "" });
      expect(b.start()).toMatchObject({ code: 0, stderr: "" });
      expect(b.exec(["/bin/sh", "-c", "echo from exec"])).toMatchObject({ code: 0, stdout: "from exec\n" });
    });

  it("that is gone at the start fails it with the path, whatever the profile holds back", async () => {
    const names = ["write", "sendmsg", "sendto", "mkdir"];
    await using b = new Bundle();
    {
      await using agent = new Agent("gone");
      expect(await agent.line()).toBe("ready");
      b.spec.linux.seccomp = profile(agent.path, { syscalls: [{ names, action: "SCMP_ACT_NOTIFY" }] });
      expect(b.create()).toMatchObject({ code: 0 });
    }
    const r = b.start();
    expect(r.code).toBe(1);
    expect(r.stderr).toContain("linux.seccomp.listenerPath");
  });

  it("that nobody is fails the create by its path, and leaves nothing", async () => {
    await using b = new Bundle((s) => {
      s.linux.seccomp = profile(join(folder, "nobody"));
    });
    expect(b.run().stderr).toContain(`linux.seccomp.listenerPath: connect to "${join(folder, "nobody")}"`);
    expect(b.traces().filter((path) => path !== join(b.state, b.id))).toEqual([]);
  });

  it.each([
    ["an agent's action without a socket", profile(), "linux.seccomp.listenerPath: "],
    [
      "metadata without a socket",
      profile(undefined, { syscalls: [], listenerMetadata: "x" }),
      "linux.seccomp.listenerMetadata: ",
    ],
    [
      "the agent for every call",
      profile("/a", { defaultAction: "SCMP_ACT_NOTIFY" }),
      "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY",
    ],
    [
      "errnoRet of an action that takes none",
      {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_LOG", errnoRet: 1 }],
      },
      "linux.seccomp.syscalls[0].errnoRet: SCMP_ACT_LOG takes none",
    ],
    [
      "defaultErrnoRet of an action that takes none",
      { defaultAction: "SCMP_ACT_ALLOW", defaultErrnoRet: 1 },
      "linux.seccomp.defaultErrnoRet: SCMP_ACT_ALLOW takes none",
    ],
    [
      "a rule without names",
      { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: [], action: "SCMP_ACT_LOG" }] },
      "linux.seccomp.syscalls[0].names: names no system call",
    ],
  ])("is refused: %s", async (_what, seccomp, message) => {
    await using b = new Bundle((s) => {
      s.linux.seccomp = seccomp;
    });
    const r = b.run();
    expect(r.code).not.toBe(0);
    expect(r.stderr).toContain(message);
  });

  it("is in the runtime's features: the action and the flag", async () => {
    await using b = new Bundle();
    const features = JSON.parse(b.oci(["features"]).stdout) as {
      linux: { seccomp: { actions: string[]; operators: string[]; supportedFlags: string[] } };
    };
    expect(features.linux.seccomp.actions).toContain("SCMP_ACT_NOTIFY");
    expect(features.linux.seccomp.supportedFlags).toContain("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV");
    expect(features.linux.seccomp.operators).toContain("SCMP_CMP_MASKED_EQ");
  });
});
