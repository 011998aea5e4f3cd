/** The order and the truth of what is told: exits that come early, callers that leave, undo that fails. */
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import {
  type ContainerEventResponse,
  ContainerEventType,
  ContainerState,
  PodSandboxState,
} from "../../cri-api/index.ts";
import { CriError } from "../support/cri-client.ts";
import { type TestDaemon, testDaemon } from "../support/daemon.ts";
import { limitFile, ownCgroupFolders, processInfo } from "../support/host.ts";
import { containerPid } from "../support/oracle.ts";
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
import { within } from "../support/slowness.ts";
import { useNode } from "../support/use-node.ts";
import { waitFor } from "../support/wait.ts";

const node = useNode();

/** Collects the events of a daemon until disposed. */
function listen(daemon: TestDaemon) {
  const stop = new AbortController();
  const seen: ContainerEventResponse[] = [];
  const done = (async () => {
    for await (const event of daemon.client.getContainerEvents({}, { signal: stop.signal })) seen.push(event);
  })();
  return {
    /** Names of the events of one container, in order. */
    of: (id: string) =>
      seen
        .filter(({ containerId }) => containerId === id)
        .map(({ containerEventType }) => eventNames[containerEventType]),
    last: (id: string) => seen.findLast(({ containerId }) => containerId === id),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await done;
    },
  };
}

const eventNames: Readonly<Record<number, string>> = {
  [ContainerEventType.CONTAINER_CREATED_EVENT]: "created",
  [ContainerEventType.CONTAINER_STARTED_EVENT]: "started",
  [ContainerEventType.CONTAINER_STOPPED_EVENT]: "stopped",
  [ContainerEventType.CONTAINER_DELETED_EVENT]: "deleted",
};

describe("events", () => {
  it("of containers that end at once come in order, with stamps in order", async () => {
    const { daemon, image } = node();
    await using events = listen(daemon);
    const sandbox = await runPod(daemon);
    await waitFor("the subscription", () => events.of(sandbox.id).length === 2);
    const ids = await Promise.all(
      Array.from({ length: 30 }, (_, i) =>
        startContainer(daemon, sandbox, container(image, { command: ["/bin/sh", "-c", `exit ${i}`] })),
      ),
    );
    for (const [i, containerId] of ids.entries()) {
      const end = await exited(daemon, containerId);
      expect(end).toMatchObject({ exitCode: i, reason: i === 0 ? "Completed" : "Error" });
      expect(end.createdAt).toBeLessThanOrEqual(end.startedAt);
      expect(end.startedAt).toBeLessThanOrEqual(end.finishedAt);
      await daemon.client.removeContainer({ containerId });
      expect(events.of(containerId)).toEqual(["created", "started", "stopped", "deleted"]);
    }
  });

  it("of one that can't be started: stopped once, with the code and reason that its status has", async () => {
    const { daemon, image } = node();
    await using events = listen(daemon);
    const sandbox = await runPod(daemon);
    await waitFor("the subscription", () => events.of(sandbox.id).length === 2);
    const containerId = await createContainer(
      daemon,
      sandbox,
      container(image, { command: ["/no/program"] }),
    );
    await expect(daemon.client.startContainer({ containerId })).rejects.toMatchObject({
      code: status.FAILED_PRECONDITION,
      details: expect.stringContaining("/no/program"),
    });
    await waitFor("the event", () => events.of(containerId).includes("stopped"));
    expect(events.of(containerId)).toEqual(["created", "stopped"]);
    const told = events.last(containerId)?.containersStatuses.find(({ id }) => id === containerId);
    expect(told).toMatchObject({ exitCode: 128, reason: "StartError" });
    expect(await containerStatus(daemon, containerId)).toEqual(told);
  });
});

describe("a caller that leaves", () => {
  it("while a container is started: it runs, or waits to be started", async () => {
    const { daemon, image } = node();
    const sandbox = await runPod(daemon);
    for (const afterMs of [0, 1, 2, 3, 5, 8, 13]) {
      const containerId = await createContainer(daemon, sandbox, container(image));
      const leave = new AbortController();
      setTimeout(() => leave.abort(), afterMs);
      const answered = await daemon.client.startContainer({ containerId }, { signal: leave.signal }).then(
        () => true,
        () => false,
      );
      // Whatever is asked next of this pod comes after the start.
      await daemon.client.updateContainerResources({ containerId, linux: { cpuShares: 100n } });
      const { state } = await containerStatus(daemon, containerId);
      expect(state).toBeOneOf(
        answered
          ? [ContainerState.CONTAINER_RUNNING]
          : [ContainerState.CONTAINER_RUNNING, ContainerState.CONTAINER_CREATED],
      );
      if (state === ContainerState.CONTAINER_RUNNING) await output(daemon, containerId, "true");
    }
  });
});

describe("names", () => {
  it("an equal request for a sandbox that was stopped is ALREADY_EXISTS, also after a restart", async () => {
    const { daemon } = node();
    const config = pod(daemon);
    const { id } = await runPod(daemon, config);
    const again = () => daemon.client.runPodSandbox({ config });
    await daemon.client.stopPodSandbox({ podSandboxId: id });
    await daemon.restart();
    await expect(again()).rejects.toMatchObject({
      code: status.ALREADY_EXISTS,
      details: expect.stringContaining(id),
    });
    await daemon.client.removePodSandbox({ podSandboxId: id });
    await expect(again()).resolves.toMatchObject({ podSandboxId: expect.not.stringContaining(id) });
  });

  it("an equal request for a container after a restart: told once while it waits, refused once it ran", async () => {
    const { daemon, image } = node();
    const sandbox = await runPod(daemon);
    const config = container(image, { metadata: { name: "same" } });
    const id = await createContainer(daemon, sandbox, config);
    await daemon.restart();
    expect(await createContainer(daemon, sandbox, config)).toBe(id);
    await daemon.client.startContainer({ containerId: id });
    await daemon.restart();
    await expect(createContainer(daemon, sandbox, config)).rejects.toMatchObject({
      code: status.ALREADY_EXISTS,
    });
  });

  it("of pods are compared part by part", async () => {
    const { daemon } = node();
    const named = (name: string, namespace: string) =>
      runPod(daemon, { ...pod(daemon), metadata: { name, namespace, uid: "u", attempt: 0 } });
    const [one, two] = [await named("a_b", "c"), await named("a", "b_c")];
    expect(one.id).not.toBe(two.id);
  });
});

describe("limits", () => {
  it("that the kernel refuses leave those in force and those told as they were", async () => {
    const { daemon, image } = node();
    const sandbox = await runPod(daemon);
    const containerId = await startContainer(
      daemon,
      sandbox,
      container(image, { linux: { resources: { memoryLimitInBytes: 64n << 20n, cpuShares: 512n } } }),
    );
    const update = (linux: object) => daemon.client.updateContainerResources({ containerId, linux });
    const before = (await containerStatus(daemon, containerId)).resources;

    const pid = await containerPid(daemon, containerId);
    const sharesFile = limitFile(pid, "cpu.shares", "cpu.weight");
    const shares = readFileSync(sharesFile, "utf8");
    await expect(update({ cpuShares: 256n, cpusetCpus: "0-4095" })).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringContaining("0-4095"),
    });
    await expect(update({ cpuShares: 256n, memoryLimitInBytes: 4096n })).rejects.toMatchObject({
      code: status.FAILED_PRECONDITION,
      details: expect.stringContaining("4096"),
    });
    expect((await containerStatus(daemon, containerId)).resources).toEqual(before);
    expect(readFileSync(sharesFile, "utf8")).toBe(shares);
    expect(await containerPid(daemon, containerId)).toBe(pid);
    expect(processInfo(pid)?.state, "nobody was killed for a limit that was refused").not.toBe("Z");
  });
});

describe("cgroups", () => {
  it("two pods below one parent: the first's removal does not wait for the second, the last takes the parent", async () => {
    const { daemon, image } = node();
    const cgroupParent = `${daemon.cgroupParent}/shared`;
    const first = await runPod(daemon, pod(daemon, { linux: { cgroupParent } }));
    const second = await runPod(daemon, {
      ...pod(daemon),
      linux: { ...pod(daemon).linux, cgroupParent },
    });
    const id = await startContainer(daemon, second, container(image));
    await daemon.client.stopPodSandbox({ podSandboxId: first.id });
    await daemon.client.removePodSandbox({ podSandboxId: first.id }, { timeoutMs: within(3000) });
    await output(daemon, id, "true");
    await daemon.client.removePodSandbox({ podSandboxId: second.id }, { timeoutMs: within(5000) });
    expect(ownCgroupFolders(daemon.scope).filter((path) => path.endsWith("/shared"))).toEqual([]);
  });

  it("an init that was killed before its start is an exited container", async () => {
    const { daemon, image } = node();
    const sandbox = await runPod(daemon);
    const containerId = await createContainer(daemon, sandbox, container(image));
    process.kill(await containerPid(daemon, containerId), "SIGKILL");
    expect(await exited(daemon, containerId)).toMatchObject({ exitCode: 137 });
    await expect(daemon.client.startContainer({ containerId })).rejects.toMatchObject({
      code: status.FAILED_PRECONDITION,
    });
  });
});

describe("an undo that fails", () => {
  it("of the network: the sandbox is listed as not ready, and its removal repeats the step", async () => {
    await using daemon = await testDaemon({ network: "none" });
    const bin = join(daemon.folder, "cni-bin");
    const broken = join(daemon.folder, "broken");
    mkdirSync(bin);
    mkdirSync(join(daemon.folder, "cni.d"), { recursive: true });
    writeFileSync(
      join(bin, "odd"),
      `#!/bin/sh
case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"1.1.0","supportedVersions":["1.0.0","1.1.0"]}' ;;
ADD) echo '{"cniVersion":"1.1.0","code":11,"msg":"no addresses"}'; exit 1 ;;
DEL) test ! -e ${broken} || { echo '{"cniVersion":"1.1.0","code":11,"msg":"not now"}'; exit 1; } ;;
esac
`,
    );
    chmodSync(join(bin, "odd"), 0o755);
    writeFileSync(
      join(daemon.folder, "cni.d/10-odd.conflist"),
      JSON.stringify({ cniVersion: "1.1.0", name: "odd", plugins: [{ type: "odd" }] }),
    );
    await daemon.writeConfig(`bin_dirs = ["${bin}"]`);
    await daemon.restart("SIGTERM");
    const before = daemon.snapshot();
    writeFileSync(broken, "");
    await expect(daemon.client.runPodSandbox({ config: pod(daemon) })).rejects.toThrow(/no addresses/);
    const listed = async () => (await daemon.client.listPodSandbox({})).items;
    expect(await listed()).toMatchObject([{ state: PodSandboxState.SANDBOX_NOTREADY }]);
    await daemon.restart();
    const podSandboxId = (await listed())[0]?.id ?? "";
    await expect(daemon.client.removePodSandbox({ podSandboxId })).rejects.toBeInstanceOf(CriError);
    rmSync(broken);
    await daemon.client.removePodSandbox({ podSandboxId });
    expect(await listed()).toEqual([]);
    await daemon.expectClean(before);
  });
});
