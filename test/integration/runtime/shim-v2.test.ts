/** Shims as those of VMs, and shims that misbehave: what the handler makes of them. Real monitor, real ttrpc. */
import { existsSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { collectExec } from "../../../src/runtime/exec-output.ts";
import { ShimHandler } from "../../../src/runtime/shim-v2/handler.ts";
import type { ShimSandbox } from "../../../src/runtime/shim-v2/sandbox.ts";
import { cgroups, monitorBinary, TestPod, within } from "../../contract/handler/pod.ts";
import { type FakeMode, fakeShim } from "../../support/fake-shim.ts";
import { testDir } from "../../support/file-dir.ts";

function setUp(mode: FakeMode, options: Record<string, string> = {}, timeoutMs = 20_000) {
  const { path, calls } = fakeShim(testDir("fake"), mode);
  const log = pino({ level: process.env.KOBAKO_TEST_LOG ?? "silent" });
  const handler = new ShimHandler({ name: "vm", path, options, timeoutMs, monitorBinary, log });
  return { handler, calls, start: () => TestPod.start(handler) };
}

/** The process that serves the task API. */
async function shimPid(pod: TestPod): Promise<number> {
  for (const pid of await cgroups.processes(pod.spec.shimCgroup))
    if (readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0").includes("serve")) return pid;
  throw new Error("no shim runs");
}

describe("a shim as those of VMs", () => {
  it.each([
    ["v2", "an address as text, task API 2"],
    ["json", "JSON, task API 3"],
    ["v3", "a BootstrapResult, task API 3"],
  ] as const)("that answers by %s (%s) runs containers", async (mode, _) => {
    const { start, calls } = setUp(mode);
    await using pod = await start();
    const made = await pod.shell("echo out; echo err >&2; exit 3");
    expect(await made.exited()).toMatchObject({ exitCode: 3, oomKilled: false });
    await expect.poll(() => made.output().split("\n").sort().join()).toBe(",err,out");
    const begun = calls().find((call) => call.method === "start");
    expect(begun?.args).toEqual([
      "-namespace",
      "kobako",
      "-address",
      join(pod.runDir, "e.sock"),
      "-publish-binary",
      monitorBinary,
      "-id",
      pod.spec.id,
      "start",
    ]);
    expect(begun?.ttrpc).toBe(join(pod.runDir, "e.sock"));
  });

  it("is believed no pid: neither the container's nor its cgroup is the host's", async () => {
    const { start } = setUp("v2");
    await using pod = await start();
    const made = await pod.shell("sleep 100");
    expect(made.pid).toBe(0);
    const [status] = (await pod.sandbox.state(within())).containers;
    expect(status).toMatchObject({ phase: "running", pid: undefined, cgroup: "" });
  });

  it("gets the root filesystem as a mount that it may share with its guest, and the sandbox first", async () => {
    const { start, calls } = setUp("v2", {
      type_url: "io.containerd.vm.v1.options",
      config_path: "/etc/vm.toml",
    });
    await using pod = await start();
    const made = await pod.create({ command: ["/bin/true"] });
    const [sandbox, container] = calls().filter((call) => call.method === "Create");
    expect(sandbox).toMatchObject({ id: pod.spec.id, rootfs: [], options: "runtimeoptions.v1.Options" });
    expect(container).toMatchObject({ id: made.id, rootfs: [{ type: "overlay", source: "overlay" }] });
    const spec = JSON.parse(readFileSync(join(made.bundle, made.id, "config.json"), "utf8")) as {
      annotations: Record<string, string>;
      linux: { namespaces: unknown[] };
    };
    expect(spec.annotations).toMatchObject({
      "io.kubernetes.cri.container-type": "container",
      "io.kubernetes.cri.sandbox-id": pod.spec.id,
    });
    expect(spec.linux.namespaces).toContainEqual({ type: "network", path: pod.spec.netnsPin });
  });

  it("is asked for signals, limits, use, pauses and sizes", async () => {
    const { start, calls } = setUp("v2");
    await using pod = await start();
    const made = await pod.shell("sleep 100");
    const sandbox = pod.sandbox as ShimSandbox;
    await sandbox.update(made.id, { memory: { limit: 1 << 20 } }, within());
    await sandbox.pause(made.id, within());
    await sandbox.resume(made.id, within());
    expect(await sandbox.usage(made.id, within())).toMatchObject({
      cpuUsageNs: 1_500_000n,
      memoryUsageBytes: 4096n,
      memoryLimitBytes: 8192n,
      processes: 2n,
    });
    await expect(sandbox.checkpoint(made.id, "/tmp", 1000, within())).rejects.toMatchObject({
      kind: "unimplemented",
    });
    using streams = await sandbox.attach({ containerId: made.id, stdin: false }, within());
    streams.resize(80, 24);
    await sandbox.kill({ containerId: made.id, signal: 15, all: false }, within());
    expect(await made.exited()).toMatchObject({ exitCode: 143, signal: 15 });
    expect(calls()).toMatchObject(
      expect.arrayContaining([
        expect.objectContaining({ method: "Update", resources: { memory: { limit: 1 << 20 } } }),
        expect.objectContaining({ method: "Pause", id: made.id }),
        expect.objectContaining({ method: "Resume", id: made.id }),
        expect.objectContaining({ method: "Kill", id: made.id, signal: 15, all: false }),
        expect.objectContaining({ method: "ResizePty", id: made.id, width: 80, height: 24 }),
      ]),
    );
  });

  it("runs execs with input and its end, and deletes them", async () => {
    const { start, calls } = setUp("v2");
    await using pod = await start();
    const made = await pod.shell("sleep 100");
    const process = { ...made.spec.process, args: ["/bin/cat"] };
    using streams = await pod.sandbox.exec(
      { containerId: made.id, process, tty: false, stdin: true, timeoutMs: 0 },
      within(),
    );
    await streams.writeStdin(Buffer.from("hello"));
    streams.endStdin();
    const { stdout, end } = await collectExec(streams, 1000, within());
    expect([stdout.toString(), end.exitCode]).toEqual(["hello", 0]);
    await expect
      .poll(() => calls().some((call) => call.method === "Delete" && call.execId !== ""))
      .toBe(true);
    await expect(made.exec(["/nope"])).rejects.toMatchObject({ kind: "failed-precondition" });
  });

  it("and does not answer an exec's start leaves its caller after the exec's time, or when that goes", async () => {
    const { start, calls } = setUp("mute-starts", {}, 60_000);
    await using pod = await start();
    const made = await pod.shell("sleep 100");
    await expect(made.exec(["/bin/sleep", "100"], {}, 300)).rejects.toMatchObject({
      kind: "deadline-exceeded",
    });
    const leave = new AbortController();
    const process = { ...made.spec.process, args: ["/bin/sleep", "100"] };
    const given = pod.sandbox.run({ containerId: made.id, process, timeoutMs: 0 }, 100, leave.signal);
    given.catch(() => {});
    await expect.poll(() => calls().filter(({ method }) => method === "Start")).toHaveLength(2);
    leave.abort();
    await expect(given).rejects.toMatchObject({ kind: "cancelled" });
  });

  it("and does not answer an exec's start in the handler's time is asked to kill the process", async () => {
    const { start, calls } = setUp("mute-starts", {}, 1000);
    await using pod = await start();
    const made = await pod.shell("sleep 100");
    await expect(made.exec(["/bin/sleep", "100"])).rejects.toMatchObject({ kind: "deadline-exceeded" });
    const ofExec = () => calls().filter(({ execId }) => execId !== undefined && execId !== "");
    await expect.poll(() => ofExec().map(({ method }) => method)).toEqual(["Start", "Kill", "Delete"]);
  });

  it("lets go of a container when that ends, and is not asked again when it is removed", async () => {
    const { start, calls } = setUp("v2");
    await using pod = await start();
    const made = await pod.shell("exit 2");
    expect(await made.exited()).toMatchObject({ exitCode: 2 });
    const asked = () =>
      calls()
        .filter(({ method, id }) => (method === "Kill" || method === "Delete") && id === made.id)
        .map(({ method }) => method);
    await expect.poll(asked).toEqual(["Delete"]);
    await pod.sandbox.delete(made.id, within());
    expect(asked()).toEqual(["Delete"]);
  });

  it("is shut down with its containers, and leaves nothing", async () => {
    const { start, calls } = setUp("v2");
    const pod = await start();
    try {
      const made = await pod.shell("sleep 100");
      await pod.sandbox.shutdown(within());
      const ended = calls().filter(({ method }) => method === "Delete" || method === "Shutdown");
      expect(ended.map(({ method, id }) => `${method} ${id ?? ""}`)).toEqual([
        `Delete ${made.id}`,
        `Delete ${pod.spec.id}`,
        "Shutdown ",
      ]);
      expect(existsSync(join(pod.runDir, "m.sock"))).toBe(false);
      expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(pod.runDir);
    } finally {
      await pod[Symbol.asyncDispose]();
    }
  });
});

it.each(["close", "close and begin again"])(
  "a start goes on when the daemon that asked for it is gone (%s)",
  async (what) => {
    const { start, calls } = setUp("gives-up");
    await using pod = await start();
    const made = await pod.create({ command: ["/bin/sh", "-c", "echo late; exit 4"] });
    const started = () => calls().some(({ method, id }) => method === "Start" && id === made.id);
    const lost = pod.sandbox.start(made.id, within());
    lost.catch(() => {});
    await expect.poll(started).toBe(true);
    pod.sandbox.close(); // all that a killed daemon's sockets do
    await expect(lost).rejects.toMatchObject({ kind: "unavailable" });
    if (what !== "close") {
      await pod.reconnect(); // waits for the call, however it ends
      const [status] = pod.sandbox.initial.containers;
      expect(["running", "exited"]).toContain(status?.phase);
    } else {
      await expect.poll(() => existsSync(join(made.bundle, "exit.json"))).toBe(true);
      await pod.reconnect();
    }
    await expect
      .poll(async () => (await pod.sandbox.state(within())).containers)
      .toMatchObject([{ id: made.id, phase: "exited", exitCode: 4 }]);
    expect(made.output()).toBe("late\n");
  },
);

describe("a shim that misbehaves", () => {
  it.each([
    ["garbage", /answer is no address/],
    ["fails", /ended with code 3 and said .*no hypervisor here/],
    ["version-9", /version 9 of the task API/],
    ["grpc", /speaks "grpc"/],
    ["no-ttrpc", /the shim's answer/],
  ] as const)("at its start (%s) is named, and leaves nothing", async (mode, message) => {
    const { start } = setUp(mode);
    await expect(start()).rejects.toThrow(message);
  });

  it("and is none ends the pod before its first container, and says so", async () => {
    const { start } = setUp("no-ttrpc", { sandbox_container: "false" });
    await using pod = await start();
    await expect.poll(() => pod.events.some(({ type }) => type === "pause-exit")).toBe(true);
    await expect(pod.create()).rejects.toMatchObject({ kind: "unavailable" });
  });

  it("and never ends its start is killed after its time", async () => {
    const { start } = setUp("hangs", {}, 1000);
    await expect(start()).rejects.toMatchObject({ kind: "deadline-exceeded" });
  });

  it("and is not there is named", async () => {
    const log = pino({ level: process.env.KOBAKO_TEST_LOG ?? "silent" });
    const path = "/nowhere/containerd-shim-x-v2";
    const handler = new ShimHandler({ name: "x", path, options: {}, timeoutMs: 5000, monitorBinary, log });
    await expect(TestPod.start(handler)).rejects.toThrow(/\/nowhere\/containerd-shim-x-v2/);
    await expect(handler.info(within())).rejects.toMatchObject({ kind: "failed-precondition" });
  });

  it("and does not answer a call is given up after its time", async () => {
    const { start } = setUp("hangs-later", { sandbox_container: "false" }, 5_000);
    await using pod = await start();
    await expect(pod.create()).rejects.toMatchObject({ kind: "deadline-exceeded" });
  });

  it.each(["dies-at-create", "dies-at-start"] as const)(
    "and dies (%s) ends the pod, and says so",
    async (mode) => {
      const { start } = setUp(mode, { sandbox_container: "false" });
      await using pod = await start();
      await expect(pod.shell("sleep 100")).rejects.toMatchObject({ kind: "unavailable" });
      await expect.poll(() => pod.events.some(({ type }) => type === "pause-exit")).toBe(true);
    },
  );

  it.each(["true", "false"])(
    "and answers with what is none is connected to again (sandbox container: %s)",
    async (sandboxContainer) => {
      const { start, calls } = setUp("babbles", { sandbox_container: sandboxContainer });
      await using pod = await start();
      const made = await pod.shell("sleep 100");
      const sandbox = pod.sandbox as ShimSandbox;
      for (let i = 0; i < 2; i++) {
        await expect
          .poll(async () => await sandbox.usage(made.id, within()).catch((error: Error) => error.cause))
          .toMatchObject({ message: expect.stringContaining("frame of") as string });
        await expect
          .poll(() => sandbox.update(made.id, {}, within()).then(() => "updated", String), {
            timeout: 10_000,
          })
          .toBe("updated");
      }
      await sandbox.kill({ containerId: made.id, signal: 9, all: true }, within());
      expect(await made.exited()).toMatchObject({ exitCode: 137 });
      expect(calls().filter(({ method }) => method === "delete")).toEqual([]);
      expect(pod.events.filter(({ type }) => type === "pause-exit")).toEqual([]);
    },
  );

  it("and does not say how one container is, or end its execs, keeps all of them when it is taken up", async () => {
    const { start, calls } = setUp("stubborn", { sandbox_container: "false" }, 2_000);
    await using pod = await start();
    const mute = await pod.shell("sleep 100");
    const other = await pod.shell("sleep 100");
    await pod.sandbox.kill({ containerId: mute.id, signal: constants.signals.SIGUSR1, all: false }, within());
    const process = { ...other.spec.process, args: ["/bin/sleep", "100"] };
    const exec = { containerId: other.id, process, tty: false, stdin: false, timeoutMs: 0 };
    const orphans = [];
    for (let i = 0; i < 3; i++) orphans.push(await pod.sandbox.exec(exec, within()));
    pod.sandbox.close();
    for (const streams of orphans) streams.close(); // as a killed daemon's
    await pod.reconnect();
    const { containers } = pod.sandbox.initial;
    expect(containers.map(({ phase }) => phase)).toEqual(["running", "running"]);
    expect(calls().filter(({ method, execId }) => method === "Kill" && execId !== "")).toHaveLength(3);
    expect(calls().filter(({ method }) => method === "delete")).toEqual([]);
    await pod.sandbox.kill({ containerId: mute.id, signal: 9, all: true }, within());
    expect(await mute.exited()).toMatchObject({ exitCode: 137 });
    expect(pod.events.filter(({ type }) => type === "pause-exit")).toEqual([]);
  });

  it("and never ends a creation that a killed daemon began is taken up without it", async () => {
    const { start, calls } = setUp("hangs-later", { sandbox_container: "false" }, 100_000);
    await using pod = await start();
    const lost = pod.create();
    lost.catch(() => {});
    await expect.poll(() => calls().some(({ method }) => method === "create begins")).toBe(true);
    await pod.reconnect();
    expect(pod.sandbox.initial.containers).toMatchObject([{ phase: "created" }]);
    expect(calls().filter(({ method }) => method === "delete")).toEqual([]);
    expect(pod.events.filter(({ type }) => type === "pause-exit")).toEqual([]);
  });

  it("and dies has its containers ended side by side", async () => {
    const { start } = setUp("deletes-together", { sandbox_container: "false" }, 3_000);
    await using pod = await start();
    const both = [await pod.shell("sleep 100"), await pod.shell("sleep 100")];
    process.kill(await shimPid(pod), "SIGKILL");
    for (const made of both) expect(await made.exited()).toMatchObject({ exitCode: 9 });
    await expect.poll(() => pod.events.some(({ type }) => type === "pause-exit")).toBe(true);
  });

  it("and ends a wait before the container is waited for again", async () => {
    const { start } = setUp("short-waits");
    await using pod = await start();
    const made = await pod.shell("echo on; exit 5");
    expect(await made.exited()).toMatchObject({ exitCode: 5 });
    expect(pod.events.filter(({ type }) => type === "pause-exit")).toEqual([]);
  });

  it("and tells of no end by events is waited for", async () => {
    const { start } = setUp("mute-events");
    await using pod = await start();
    const made = await pod.shell("echo on; exit 5");
    expect(await made.exited()).toMatchObject({ exitCode: 5 });
    await expect.poll(() => made.output()).toBe("on\n");
  });

  it("and does not know yet how what has stopped has ended is waited for", async () => {
    const { start, calls } = setUp("late-exit");
    await using pod = await start();
    const made = await pod.shell("exit 4");
    await expect
      .poll(() => calls().some(({ method, id }) => method === "ended" && id === made.id))
      .toBe(true);
    await pod.reconnect();
    expect(pod.sandbox.initial.containers).toMatchObject([{ id: made.id, phase: "exited", exitCode: 4 }]);
  });

  it.each([
    [128, { exitCode: 137, signal: 9, oomKilled: true }],
    [137, { exitCode: 137, signal: 9, oomKilled: true }],
    [3, { exitCode: 3, signal: 0, oomKilled: false }],
  ])("and tells of a shortage of memory before an end with code %i", async (code, end) => {
    const { start } = setUp("oom");
    await using pod = await start();
    const made = await pod.shell(`exit ${code}`);
    expect(await made.exited()).toMatchObject(end);
  });

  it("and is slow is waited for", async () => {
    const { start } = setUp("slow");
    await using pod = await start();
    const made = await pod.shell("echo on; exit 6");
    expect(await made.exited()).toMatchObject({ exitCode: 6 });
  });
});

describe("the version of a shim", () => {
  it("is asked once for a file", async () => {
    const { handler } = setUp("v2");
    expect((await handler.info(within())).version).toBe("fake shim 1.0");
    expect(await handler.info(within())).toBe(await handler.info(within()));
  });
});
