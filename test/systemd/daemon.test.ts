/** The daemon with cgroup_driver = "systemd", inside a systemd: run by test/e2e/systemd.test.ts. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { CgroupDriver, NamespaceMode } from "../../cri-api/index.ts";
import { readCgroupLayout } from "../../src/cgroup/layout.ts";
import { processInfo } from "../support/host.ts";
import { containerPid } from "../support/oracle.ts";
import { container, output, pod, runPod, startContainer } from "../support/pods.ts";
import { showUnit as show, systemdCgroupOf, unitIsGone as gone } from "../support/systemd-unit.ts";
import { useNode } from "../support/use-node.ts";
import { waitFor } from "../support/wait.ts";

const node = useNode({ flags: ["--set", "cgroup_driver=systemd"] });

const shared = { namespaceOptions: { pid: NamespaceMode.POD } };
let count = 0;
const slice = () => `ktest-pod${++count}_x.slice`;
const pathOf = (name: string) => `/ktest.slice/${name}`;

describe("cgroup_driver systemd", () => {
  it("RuntimeConfig says so", async () => {
    const { daemon } = node();
    const { linux } = await daemon.client.runtimeConfig({});
    expect(linux?.cgroupDriver).toBe(CgroupDriver.SYSTEMD);
  });

  it("U1: container, exec and pause are in scopes of the slice given, the monitor in one of kobako.slice", async () => {
    const { daemon, image } = node();
    const parent = slice();
    for (const cgroupParent of [parent, pathOf(slice())]) {
      const inSlice = cgroupParent.startsWith("/") ? cgroupParent : pathOf(cgroupParent);
      const config = pod(daemon, { linux: { cgroupParent, securityContext: shared } });
      const sandbox = await runPod(daemon, config);
      const id = await startContainer(daemon, sandbox, container(image, { security: shared }));
      const pid = await containerPid(daemon, id);
      expect(systemdCgroupOf(pid)).toBe(`${inSlice}/kobako-${id}.scope`);
      expect(show(`kobako-${id}.scope`, "Slice")).toBe(inSlice.split("/").at(-1));
      expect(show(`kobako-pause-${sandbox.id.slice(0, 16)}.scope`, "ActiveState")).toBe("active");
      const monitor = monitorOf(pid);
      expect(systemdCgroupOf(monitor)).toMatch(
        new RegExp(`^/kobako\\.slice/.*-monitors\\.slice/kobako-monitor-${sandbox.id.slice(0, 16)}\\.scope$`),
      );
      expect(await output(daemon, id, "echo here")).toBe("here");
      await daemon.client.removePodSandbox({ podSandboxId: sandbox.id });
      for (const unit of [`kobako-${id}.scope`, `kobako-pause-${sandbox.id.slice(0, 16)}.scope`])
        await waitFor(`the end of ${unit}`, () => gone(unit));
    }
  });

  it("a pod without a parent has a slice of its own, which ends with it", async () => {
    const { daemon, image } = node();
    const sandbox = await runPod(daemon, pod(daemon, { linux: { cgroupParent: "" } }));
    const id = await startContainer(daemon, sandbox, container(image));
    const own = show(`kobako-${id}.scope`, "Slice");
    expect(own).toMatch(new RegExp(`^kobako.*-pods-${sandbox.id.slice(0, 16)}\\.slice$`));
    await daemon.client.removePodSandbox({ podSandboxId: sandbox.id });
    expect(show(own, "ActiveState")).toBe("inactive");
  });

  it("limits are properties of the scope, and an update changes them", async (t) => {
    const layout = readCgroupLayout();
    if (
      layout.version === 2 &&
      !readFileSync(`${layout.unified}/cgroup.controllers`, "utf8").includes("memory")
    )
      t.skip("no memory controller in this systemd's v2 tree");
    const { daemon, image } = node();
    const sandbox = await runPod(daemon, pod(daemon, { linux: { cgroupParent: slice() } }));
    const resources = { memoryLimitInBytes: 64n << 20n, cpuQuota: 50000n, cpuPeriod: 100000n };
    const id = await startContainer(daemon, sandbox, container(image, { linux: { resources } }));
    const memory = layout.version === 1 ? "MemoryLimit" : "MemoryMax";
    expect(show(`kobako-${id}.scope`, memory)).toBe(String(64 << 20));
    await daemon.client.updateContainerResources({
      containerId: id,
      linux: { ...resources, memoryLimitInBytes: 96n << 20n },
    });
    expect(show(`kobako-${id}.scope`, memory)).toBe(String(96 << 20));
    const { stats } = await daemon.client.containerStats({ containerId: id });
    expect(stats?.cpu?.usageCoreNanoSeconds?.value).toBeGreaterThan(0n);
  });

  it.each(["/kubepods/pod1", "/a.slice/b.slice", "/a-b.slice/c"])(
    "U2: the parent %s is no slice, refused",
    async (cgroupParent) => {
      const { daemon } = node();
      await expect(runPod(daemon, pod(daemon, { linux: { cgroupParent } }))).rejects.toThrow(
        /cgroup_driver is systemd/,
      );
    },
  );

  it("a daemon that is started again finds its pods, and StopContainer ends them", async () => {
    const { daemon, image } = node();
    const sandbox = await runPod(daemon, pod(daemon, { linux: { cgroupParent: slice() } }));
    const id = await startContainer(daemon, sandbox, container(image));
    await daemon.kill9();
    await daemon.start();
    expect(await output(daemon, id, "echo still")).toBe("still");
    await daemon.client.stopContainer({ containerId: id, timeout: 5n });
    await daemon.client.removePodSandbox({ podSandboxId: sandbox.id });
    await waitFor("the end of the scope", () => gone(`kobako-${id}.scope`));
  });
});

function monitorOf(pid: number): number {
  for (let at = pid; at > 1; at = processInfo(at)?.parent ?? 0)
    if (processInfo(at)?.name.startsWith("kobako-monitor")) return at;
  throw new Error(`process ${pid} has no monitor above it`);
}
