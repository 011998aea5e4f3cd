/** kobako-oci in the place of runc under containerd and its runc shim, through containerd's CRI. */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type ContainerConfigInit,
  ContainerState,
  NamespaceMode,
  ProfileType,
} from "../../../cri-api/index.ts";
import { type Peer, startContainerd } from "../../../hack/benchmark/containerd.ts";
import { busyboxEntries } from "../../support/busybox.ts";
import { type CriClient, criClient } from "../../support/cri-client.ts";
import { engineSettings } from "../../support/documented.ts";
import { removeCgroups } from "../../support/host.ts";
import { buildImage } from "../../support/image-builder.ts";
import { Registry } from "../../support/registry.ts";
import { ownName } from "../../support/run.ts";
import { type TempDir, tempDir } from "../../support/temp-dir.ts";
import { waitFor } from "../../support/wait.ts";
import { kobakoOci } from "./engine.ts";

const minuteMs = 60_000;
const mib = 1 << 20;

describe("containerd", () => {
  let registry: Registry;
  let peer: Peer;
  let client: CriClient;
  let logs: TempDir;
  let image: string;
  let serial = 0;
  const cgroupParent = `/${ownName()}`;

  beforeAll(async () => {
    registry = await Registry.start();
    const { plugins } = engineSettings("/etc/containerd/config.toml", kobakoOci);
    const table = plugins["io.containerd.cri.v1.runtime"].containerd;
    peer = await startContainerd(registry, [], { name: "kobako-oci", path: kobakoOci, table });
    client = criClient(peer.endpoint);
    logs = await tempDir("logs");
    image = await registry.push("busybox", "1", await buildImage({ layers: [busyboxEntries()] }));
    await client.pullImage({ image: { image } });
  }, 10 * minuteMs);
  afterAll(async () => {
    client?.close();
    await peer?.[Symbol.asyncDispose]();
    await registry?.[Symbol.asyncDispose]();
    await logs?.[Symbol.asyncDispose]();
    removeCgroups(cgroupParent);
  }, minuteMs);

  const sh = (script: string) => ["sh", "-c", script];
  const sleeper = sh("trap 'exit 0' TERM; while :; do sleep 0.05; done");

  async function pod(pid: NamespaceMode = NamespaceMode.CONTAINER) {
    const uid = `pod-${++serial}`;
    const logDirectory = join(logs.path, uid);
    mkdirSync(logDirectory);
    const config = {
      metadata: { name: uid, uid, namespace: "default", attempt: 0 },
      logDirectory,
      linux: { cgroupParent: `${cgroupParent}/${uid}`, securityContext: { namespaceOptions: { pid } } },
    };
    const { podSandboxId } = await client.runPodSandbox({ config });
    return { podSandboxId, config };
  }

  async function created(
    { podSandboxId, config }: Awaited<ReturnType<typeof pod>>,
    more: ContainerConfigInit,
  ): Promise<{ containerId: string; log: () => string }> {
    const name = `c-${++serial}`;
    const { containerId } = await client.createContainer({
      podSandboxId,
      sandboxConfig: config,
      config: {
        metadata: { name, attempt: 0 },
        image: { image },
        logPath: `${name}.log`,
        ...more,
        linux: {
          ...more.linux,
          securityContext: {
            seccomp: { profileType: ProfileType.RuntimeDefault },
            ...more.linux?.securityContext,
            namespaceOptions: config.linux.securityContext.namespaceOptions,
          },
        },
      },
    });
    return { containerId, log: () => readFileSync(join(config.logDirectory, `${name}.log`), "utf8") };
  }

  async function started(more: ContainerConfigInit = { command: sleeper }) {
    const made = await created(await pod(), more);
    await client.startContainer({ containerId: made.containerId });
    return made;
  }

  async function ended(containerId: string) {
    return await waitFor("its end", async () => {
      const { status } = await client.containerStatus({ containerId });
      return status?.state === ContainerState.CONTAINER_EXITED && status;
    });
  }

  it("runs to its end: log of both streams, exit code", async () => {
    const { containerId, log } = await started({ command: sh("echo out; echo err >&2; exit 7") });
    expect(await ended(containerId)).toMatchObject({ exitCode: 7, reason: "Error" });
    expect(log()).toMatch(/ stdout F out\n/);
    expect(log()).toMatch(/ stderr F err\n/);
    await client.removeContainer({ containerId });
  });

  it("exec: output, exit code, a missing program; its user is the container's", async () => {
    const { containerId } = await started({
      command: sleeper,
      linux: { securityContext: { runAsUser: { value: 1000n } } },
    });
    const exec = (...cmd: string[]) => client.execSync({ containerId, cmd, timeout: 20n });
    expect(await exec("sh", "-c", "id -u; exit 5")).toMatchObject({ exitCode: 5 });
    expect(Buffer.from((await exec("id", "-u")).stdout).toString()).toBe("1000\n");
    await expect(exec("/nonexistent")).rejects.toThrow(/nonexistent.*no such file or directory/i);
  });

  it("stop: SIGTERM, and SIGKILL after the grace time", async () => {
    const polite = await started();
    await client.stopContainer({ containerId: polite.containerId, timeout: 10n });
    expect(await ended(polite.containerId)).toMatchObject({ exitCode: 0 });
    const stubborn = await started({ command: sh("trap '' TERM; while :; do sleep 0.05; done") });
    await client.stopContainer({ containerId: stubborn.containerId, timeout: 1n });
    expect(await ended(stubborn.containerId)).toMatchObject({ exitCode: 137 });
  });

  it("a program that can't be executed is the start's error, by its name", async () => {
    const { containerId } = await created(await pod(), { command: ["/nonexistent"] });
    await expect(client.startContainer({ containerId })).rejects.toThrow(/\/nonexistent/);
  });

  it("limits are applied and updated, statistics come from the cgroup", async () => {
    const { containerId } = await started({
      command: sleeper,
      linux: { resources: { memoryLimitInBytes: BigInt(64 * mib), cpuShares: 512n } },
    });
    const read = async (file: string) =>
      Buffer.from((await client.execSync({ containerId, cmd: ["cat", file], timeout: 20n })).stdout)
        .toString()
        .trim();
    expect(await read("/sys/fs/cgroup/memory/memory.limit_in_bytes")).toBe(String(64 * mib));
    expect(await read("/sys/fs/cgroup/cpu/cpu.shares")).toBe("512");
    await client.updateContainerResources({
      containerId,
      linux: { memoryLimitInBytes: BigInt(96 * mib), cpuShares: 256n },
    });
    expect(await read("/sys/fs/cgroup/memory/memory.limit_in_bytes")).toBe(String(96 * mib));
    expect(await read("/sys/fs/cgroup/cpu/cpu.shares")).toBe("256");
    const { stats } = await client.containerStats({ containerId });
    expect(stats?.memory?.workingSetBytes?.value).toBeGreaterThan(0n);
  });

  it("a container over its limit is OOMKilled", async () => {
    const { containerId } = await started({
      command: sh("dd if=/dev/zero of=/dev/null bs=200M"),
      linux: { resources: { memoryLimitInBytes: BigInt(16 * mib) } },
    });
    expect(await ended(containerId)).toMatchObject({ exitCode: 137, reason: "OOMKilled" });
  });

  it("containers of a pod with a shared PID namespace see each other", async () => {
    const shared = await pod(NamespaceMode.POD);
    const first = await created(shared, { command: ["sleep", "4711"] });
    await client.startContainer({ containerId: first.containerId });
    const second = await created(shared, { command: sleeper });
    await client.startContainer({ containerId: second.containerId });
    const { stdout } = await client.execSync({
      containerId: second.containerId,
      cmd: sh("cat /proc/[0-9]*/cmdline | tr '\\0' ' '"),
      timeout: 20n,
    });
    expect(Buffer.from(stdout).toString()).toContain("sleep 4711");
  });
});
