/** Real shims whose daemon, monitor or shim is killed: no log line and no exit is lost, nothing is left behind. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { connectMonitor } from "../../../src/runtime/builtin.ts";
import { asObject, list } from "../../../src/runtime/monitor/protocol.ts";
import { ShimHandler } from "../../../src/runtime/shim-v2/handler.ts";
import { cgroups, monitorBinary, type TestContainer, TestPod, within } from "../../contract/handler/pod.ts";
import { fileDir, testDir } from "../../support/file-dir.ts";
import { runscShim, toolPaths } from "../../support/shims.ts";
import type { ClientOrder } from "./shim-client.ts";

const folder = fileDir("shims");
const runc = () => {
  const [path = "", binary = ""] = toolPaths("containerd-shim-runc-v2", "runc");
  return { path, options: { binary_name: binary, root: join(folder, "runc") } };
};
const runsc = () => {
  const { shim, config } = runscShim(join(folder, "runsc"));
  return { path: shim, options: { config_path: config } };
};

/** Pids of a pod's shim and of what it started, by the cgroup that they are in. */
async function shimProcesses(pod: TestPod): Promise<readonly number[]> {
  return await cgroups.processes(pod.spec.shimCgroup);
}

/** Whether the shim's runtime is starting a container. */
async function isStarting(pod: TestPod): Promise<boolean> {
  return (await shimProcesses(pod)).some((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0").includes("start");
    } catch {
      return false; // it has ended
    }
  });
}

/** The shim itself: it serves the task API. */
async function shimPid(pod: TestPod): Promise<number> {
  for (const pid of await shimProcesses(pod)) {
    const args = readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0");
    if (args[0]?.includes("containerd-shim")) return pid;
  }
  throw new Error("no shim runs");
}

/** Where the shim serves: a file that one that is killed does not remove. */
function socketOf(pod: TestPod): string {
  const { address } = JSON.parse(readFileSync(join(pod.runDir, "shim.json"), "utf8")) as {
    address: { path: string };
  };
  return address.path;
}

function mountsOf(pod: TestPod): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(pod.folder));
}

describe.each([
  ["containerd-shim-runc-v2", runc],
  ["containerd-shim-runsc-v1", runsc],
] as const)("%s", (name, find) => {
  const settings = { name, ...find(), timeoutMs: 30_000, monitorBinary };
  const log = pino({ level: process.env.KOBAKO_TEST_LOG ?? "silent" });
  const handler = new ShimHandler({ ...settings, log });
  const start = () => TestPod.start(handler);

  it("loses no line and no exit while the daemon is away", async () => {
    await using pod = await start();
    const made = await pod.shell("i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i+1)); done; exit 7");
    const goes = await pod.shell("sleep 100");
    pod.sandbox.close(); // all that a killed daemon's sockets do
    const record = join(made.bundle, "exit.json");
    await expect.poll(() => existsSync(record), { timeout: 20_000 }).toBe(true);
    await pod.reconnect();
    expect(pod.sandbox.initial.containers.find((c) => c.id === made.id)).toMatchObject({
      phase: "exited",
      exitCode: 7,
    });
    expect(made.output()).toBe(Array.from({ length: 200 }, (_, i) => `line ${i}\n`).join(""));
    await pod.sandbox.kill({ containerId: goes.id, signal: 9, all: true }, within());
    expect(await goes.exited()).toMatchObject({ exitCode: 137 });
  });

  it("starts a container that an earlier daemon has created", async () => {
    await using pod = await start();
    const made = await pod.create({ command: ["/bin/sh", "-c", "echo late; exit 4"] });
    await pod.reconnect();
    expect(pod.sandbox.initial.containers).toMatchObject([{ id: made.id, phase: "created" }]);
    await pod.sandbox.start(made.id, within());
    expect(await made.exited()).toMatchObject({ exitCode: 4 });
    await expect.poll(() => made.output()).toBe("late\n");
  });

  it("ends a start that a killed daemon began as it would have ended", async () => {
    await using pod = await start();
    const made = await pod.create({ command: ["/bin/sh", "-c", "echo late; exit 4"] });
    let over = false;
    const lost = pod.sandbox.start(made.id, within()).finally(() => {
      over = true;
    });
    lost.catch(() => {});
    await expect.poll(async () => over || (await isStarting(pod)), { interval: 1 }).toBe(true);
    pod.sandbox.close();
    await pod.reconnect();
    await expect
      .poll(async () => (await pod.sandbox.state(within())).containers)
      .toMatchObject([{ id: made.id, phase: "exited", exitCode: 4 }]);
    await expect.poll(() => made.output()).toBe("late\n");
  });

  it("ends with a container that never ran, also when the daemon is killed in the middle of that", async () => {
    await using pod = await start();
    const { spec } = await pod.create({ command: ["/bin/true"] });
    const { identity } = pod.sandbox;
    const watcher = await connectMonitor(identity, () => {}, undefined, within());
    const lost = pod.sandbox.shutdown(within());
    lost.catch(() => {});
    // From then on gVisor's shim answers nothing about it any more; another's may be over by now.
    const ending = async () => {
      const state = await watcher.request("state", {}, within()).catch(() => undefined);
      const [first] = state === undefined ? [] : list(state, "containers");
      return first === undefined || asObject(first, "containers").ended === true;
    };
    await expect.poll(ending, { interval: 1 }).toBe(true);
    watcher.close();
    pod.sandbox.close();
    try {
      await pod.reconnect();
    } catch (error) {
      expect(error).toMatchObject({ kind: "not-found" });
      return;
    }
    await pod.sandbox.shutdown(within());
    expect(await shimProcesses(pod)).toEqual([]);
    expect(mountsOf(pod)).toEqual([]);
    expect(cgroups.exists(spec.linux.cgroupsPath)).toBe(false);
  });

  it("runs on after the daemon came back, and ends execs that have lost their client", async () => {
    await using pod = await start();
    const made = await pod.shell("sleep 100");
    pod.sandbox.close();
    await using client = await execOfAnother(settings, pod, made, ["/bin/sleep", "4321"]);
    await client.kill();
    await pod.reconnect();
    const sleepers = async () => {
      const { stdout } = await made.exec(["/bin/ps", "-o", "args"]);
      return stdout
        .toString()
        .split("\n")
        .filter((line) => line.includes("sleep 4321")).length;
    };
    await expect.poll(sleepers).toBe(0);
    expect(pod.sandbox.initial.containers).toMatchObject([{ id: made.id, phase: "running" }]);
  });

  it("that is killed takes its containers along, which is told", async () => {
    await using pod = await start();
    const made = await pod.shell("sleep 100");
    process.kill(await shimPid(pod), "SIGKILL");
    expect(await made.exited()).toMatchObject({ exitCode: 137 });
    await expect.poll(() => pod.events.some(({ type }) => type === "pause-exit")).toBe(true);
    await expect(pod.sandbox.start(made.id, within())).rejects.toMatchObject({ kind: "unavailable" });
    await pod.sandbox.delete(made.id, within());
    await pod.sandbox.shutdown(within());
    expect(await shimProcesses(pod)).toEqual([]);
    expect(mountsOf(pod)).toEqual([]);
  });

  it("that is killed while the daemon is away is found dead", async () => {
    await using pod = await start();
    const made = await pod.shell("sleep 100");
    pod.sandbox.close();
    process.kill(await shimPid(pod), "SIGKILL");
    await pod.reconnect();
    expect(pod.sandbox.initial.containers).toMatchObject([{ id: made.id, phase: "exited", exitCode: 137 }]);
  });

  it("that hangs is done without: its container and its pod end, and nothing stays", async () => {
    await using pod = await start();
    const made = await pod.shell("sleep 100");
    const { identity } = pod.sandbox;
    pod.sandbox.close();
    const impatient = new ShimHandler({ ...settings, timeoutMs: 2_000, log });
    pod.sandbox = await impatient.connect(identity, (event) => pod.events.push(event), within());
    process.kill(await shimPid(pod), "SIGSTOP");
    await pod.sandbox.kill({ containerId: made.id, signal: 9, all: true }, within());
    expect(await made.exited()).toMatchObject({ exitCode: 137 });
    await pod.sandbox.delete(made.id, within());
    await pod.sandbox.shutdown(within());
    expect(await shimProcesses(pod)).toEqual([]);
    expect(mountsOf(pod)).toEqual([]);
    expect(cgroups.exists(made.spec.linux.cgroupsPath)).toBe(false);
  });

  it("that is killed, and whose program can't clean up, leaves no process of a container", async () => {
    const program = join(testDir("no-delete"), basename(settings.path));
    writeFileSync(
      program,
      `#!/bin/sh\nfor last; do :; done\n[ "$last" = delete ] && exit 1\nexec ${settings.path} "$@"\n`,
      { mode: 0o755 },
    );
    const careless = new ShimHandler({ ...settings, path: program, log });
    await using pod = await TestPod.start(careless);
    const made = await pod.shell("sleep 100");
    process.kill(await shimPid(pod), "SIGKILL");
    expect(await made.exited()).toMatchObject({ exitCode: 137 });
    expect(cgroups.exists(made.spec.linux.cgroupsPath)).toBe(false);
  });

  it("whose monitor is killed is ended, and leaves no process and no mount", async () => {
    const pod = await start();
    const socket = socketOf(pod);
    try {
      expect(existsSync(socket)).toBe(true);
      await pod.shell("sleep 100");
      process.kill(pod.sandbox.identity.pid, "SIGKILL");
      expect(await pod.sandbox.closed).toBeInstanceOf(Error);
      await expect(pod.reconnect()).rejects.toMatchObject({ kind: "not-found" });
      await handler.endRemains(pod.runDir, within());
      expect(await cgroups.processes(pod.cgroup)).toEqual([]);
      expect(mountsOf(pod)).toEqual([]);
      expect(existsSync(socket)).toBe(false);
    } finally {
      await pod[Symbol.asyncDispose]();
    }
  });

  it("without a record is abandoned with its containers", async () => {
    const pod = await start();
    try {
      await pod.shell("sleep 100");
      pod.sandbox.close();
      await handler.abandon(pod.runDir, within());
      await expect.poll(() => cgroups.processes(pod.cgroup)).toEqual([]); // the monitor answers, then ends
      expect(mountsOf(pod)).toEqual([]);
    } finally {
      await pod[Symbol.asyncDispose]();
    }
  });
});

/** An exec of another process, in place of a daemon. It runs when this returns. */
async function execOfAnother(
  settings: ClientOrder["handler"],
  pod: TestPod,
  made: TestContainer,
  args: readonly string[],
): Promise<AsyncDisposable & { kill(): Promise<void> }> {
  const order: ClientOrder = {
    handler: settings,
    identity: pod.sandbox.identity,
    exec: {
      containerId: made.id,
      process: { ...made.spec.process, args },
      tty: false,
      stdin: false,
      timeoutMs: 0,
    },
  };
  const program = new URL("shim-client.ts", import.meta.url).pathname;
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", program, JSON.stringify(order)],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const ended = new Promise((resolve) => child.once("close", resolve));
  const [said] = (await Promise.race([once(child.stdout, "data"), ended.then(() => ["ended"])])) as [unknown];
  expect(String(said)).toBe("runs\n");
  const kill = async () => {
    child.kill("SIGKILL");
    await ended;
  };
  return { kill, [Symbol.asyncDispose]: kill };
}
