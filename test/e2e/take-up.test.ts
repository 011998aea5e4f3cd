/** Pods that a daemon takes up: what it does not know ends nobody, and calls wait until it knows. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { ContainerState } from "../../cri-api/index.ts";
import type { TestDaemon } from "../support/daemon.ts";
import { fileDir } from "../support/file-dir.ts";
import { allPids, isDead, processInfo } from "../support/host.ts";
import { containerPid, expectAgreement, expectUndisturbed, vitals } from "../support/oracle.ts";
import {
  container,
  containerStatus,
  createContainer,
  exited,
  output,
  pod,
  runPod,
  startContainer,
} from "../support/pods.ts";
import { shimHandlers, toolPaths } from "../support/shims.ts";
import { within } from "../support/slowness.ts";
import { useNode } from "../support/use-node.ts";
import { waitFor } from "../support/wait.ts";

const [runc = "", runsc = ""] = toolPaths("runc", "runsc");
const folder = fileDir("take-up");
/** While it is there, the first creation by `slow` waits. */
const hold = join(folder, "hold");
const held = join(folder, "held");
const slow = join(folder, "slow");
writeFileSync(
  slow,
  `#!/bin/sh
for arg; do
	[ "$arg" = create ] && mkdir ${held} 2>/dev/null && while [ -e ${hold} ]; do sleep 0.05; done
done
exec ${runc} "$@"
`,
  { mode: 0o755 },
);

const config = `[runtimes.runc]
type = "oci"
path = "${runc}"
[runtimes.runsc]
type = "oci"
path = "${runsc}"
[runtimes.slow]
type = "oci"
path = "${slow}"
timeout = "5m"
${shimHandlers(join(folder, "shims"))}`;
const node = useNode({ config });

/** Ends with code 7 when it is asked to. */
const polite = ["/bin/sh", "-c", "trap 'exit 7' TERM; sleep 100000 & wait"];

const podFolder = (daemon: TestDaemon, id: string) => join(daemon.state, "pods", id.slice(0, 16));

async function monitorPid(daemon: TestDaemon, podSandboxId: string): Promise<number> {
  const { info } = await daemon.client.podSandboxStatus({ podSandboxId, verbose: true });
  return (JSON.parse(info.info ?? "{}") as { pid: number }).pid;
}

describe("a handler that is not configured any more", () => {
  it.each(["runc", "runsc", "runc-shim", "runsc-shim"])(
    "%s: its pods go on, are used and ended as before, and get no new containers",
    async (handler) => {
      const { daemon, image } = node();
      const sandbox = await runPod(daemon, pod(daemon), handler);
      const id = await startContainer(daemon, sandbox, container(image, { command: polite }));
      const before = await vitals(daemon);
      await daemon.end("SIGTERM");
      await daemon.writeConfig();
      try {
        await daemon.start();
        expectUndisturbed(before);
        expect(await output(daemon, id, "echo on")).toBe("on");
        await expect(createContainer(daemon, sandbox, container(image))).rejects.toThrow(
          /not configured any more/,
        );
        const stop = { containerId: id, timeout: BigInt(within(10)) };
        await daemon.client.stopContainer(stop, { timeoutMs: within(30_000) });
        expect((await containerStatus(daemon, id)).exitCode).toBe(7);
        await daemon.client.stopPodSandbox({ podSandboxId: sandbox.id });
        await daemon.client.removePodSandbox({ podSandboxId: sandbox.id });
        expect(existsSync(podFolder(daemon, sandbox.id))).toBe(false);
      } finally {
        await daemon.end("SIGTERM");
        await daemon.writeConfig(config);
        await daemon.start();
      }
    },
    within(60_000),
  );
});

describe("a call for a pod that is being taken up", () => {
  it.each(["", "runsc-shim"])(
    "waits for it: a container of handler '%s' gets its grace time",
    async (handler) => {
      const { daemon, image } = node();
      const sandbox = await runPod(daemon, pod(daemon), handler);
      const id = await startContainer(daemon, sandbox, container(image, { command: polite }));
      const other = await startContainer(daemon, sandbox, container(image));
      const monitor = await monitorPid(daemon, sandbox.id);
      await daemon.kill9();
      process.kill(monitor, "SIGSTOP");
      await daemon.start();
      const stop = { containerId: id, timeout: BigInt(within(30)) };
      const stopped = daemon.client.stopContainer(stop, { timeoutMs: within(60_000) });
      const answer = output(daemon, other, "echo on");
      // They are under way when one that was sent after them is answered.
      await daemon.client.version({});
      process.kill(monitor, "SIGCONT");
      await stopped;
      expect(await containerStatus(daemon, id)).toMatchObject({
        state: ContainerState.CONTAINER_EXITED,
        exitCode: 7,
      });
      expect(await answer).toBe("on");
    },
    within(120_000),
  );

  it(
    "is answered when the monitor turns out to be dead",
    async () => {
      const { daemon, image } = node();
      const sandbox = await runPod(daemon);
      const id = await startContainer(daemon, sandbox, container(image, { command: polite }));
      const monitor = await monitorPid(daemon, sandbox.id);
      await daemon.kill9();
      process.kill(monitor, "SIGSTOP");
      await daemon.start();
      const stop = { containerId: id, timeout: BigInt(within(30)) };
      const stopped = daemon.client.stopContainer(stop, { timeoutMs: within(20_000) });
      await daemon.client.version({});
      process.kill(monitor, "SIGKILL");
      await stopped;
      expect(await containerStatus(daemon, id)).toMatchObject({ exitCode: 137, reason: "MonitorLost" });
    },
    within(60_000),
  );
});

describe("a container whose creation a former daemon began, and whose runtime program does not come to its end", () => {
  it(
    "keeps neither its name nor its neighbours, and is undone when the program has ended",
    async () => {
      const { daemon, image } = node();
      const sandbox = await runPod(daemon, pod(daemon), "slow");
      const nobodys = await startContainer(daemon, sandbox, container(image));
      const pid = await containerPid(daemon, nobodys);
      rmSync(held, { recursive: true, force: true });
      writeFileSync(hold, "");
      const config = container(image);
      const creation = createContainer(daemon, sandbox, config).catch((error: unknown) => error);
      await waitFor("the program", () => existsSync(held));
      const bundles = () =>
        readdirSync(podFolder(daemon, sandbox.id)).filter((name) => /^[0-9a-f]{16}$/.test(name));
      const half = bundles().find((name) => !nobodys.startsWith(name)) ?? "";
      await daemon.kill9();
      await creation;
      const db = new DatabaseSync(join(daemon.root, "kobako.db"));
      db.prepare("DELETE FROM container WHERE id = ?").run(nobodys);
      db.close();
      await daemon.start();
      const id = await startContainer(daemon, sandbox, config);
      expect(bundles()).toContain(half);
      expect(await output(daemon, id, "echo on")).toBe("on");
      expect(processInfo(pid)?.state ?? "Z").toBe("Z");
      const { containers } = await daemon.client.listContainers({});
      expect(containers.map((one) => one.id)).toEqual([id]);
      rmSync(hold);
      await waitFor("the end of the undo", () => !bundles().includes(half), { timeoutMs: 60_000 });
      expect(await output(daemon, id, "echo on")).toBe("on");
      await expectAgreement(daemon);
    },
    within(120_000),
  );
});

describe("a shim's pod", () => {
  const isShim = (pid: number, id: string): boolean => {
    if (isDead(pid)) return false;
    const args = readFileSync(`/proc/${pid}/cmdline`, "utf8");
    return args.includes("containerd-shim-runc-v2") && args.includes(id);
  };
  const shimOf = (id: string): number | undefined => allPids().find((pid) => isShim(pid, id));
  const mounts = (id: string): string[] =>
    readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .filter((line) => line.includes(`/pods/${id.slice(0, 16)}/`));
  const expectGone = async (daemon: TestDaemon, podSandboxId: string): Promise<void> => {
    await daemon.client.stopPodSandbox({ podSandboxId }, { timeoutMs: within(60_000) });
    await daemon.client.removePodSandbox({ podSandboxId }, { timeoutMs: within(30_000) });
    expect(shimOf(podSandboxId)).toBeUndefined();
    expect(mounts(podSandboxId)).toEqual([]);
    expect(existsSync(podFolder(daemon, podSandboxId))).toBe(false);
  };

  it(
    "is ended with its shim by the next stop, when the first was cut off while the shim was being shut down",
    async () => {
      const { daemon } = node();
      const { id } = await runPod(daemon, pod(daemon), "runc-shim");
      const shim = shimOf(id) ?? 0;
      expect(shim).toBeGreaterThan(1);
      expect(mounts(id)).not.toEqual([]);
      process.kill(shim, "SIGSTOP");
      await expect(
        daemon.client.stopPodSandbox({ podSandboxId: id }, { timeoutMs: within(1000) }),
      ).rejects.toThrow(/DEADLINE_EXCEEDED/);
      process.kill(shim, "SIGCONT");
      await expectGone(daemon, id);
    },
    within(120_000),
  );

  it(
    "is ended with its shim when its monitor hangs",
    async () => {
      const { daemon, image } = node();
      const sandbox = await runPod(daemon, pod(daemon), "runc-shim");
      const id = await startContainer(daemon, sandbox, container(image));
      const monitor = await monitorPid(daemon, sandbox.id);
      expect(shimOf(sandbox.id)).toBeDefined();
      await daemon.kill9();
      process.kill(monitor, "SIGSTOP");
      await daemon.start();
      expect(await exited(daemon, id, 30_000)).toMatchObject({ exitCode: 137, reason: "MonitorLost" });
      await expectGone(daemon, sandbox.id);
    },
    within(120_000),
  );
});
