/** External runtimes under cgroup_driver = "systemd", inside a systemd: run by test/e2e/systemd.test.ts. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Cgroups } from "../../src/cgroup/cgroup.ts";
import { readCgroupLayout } from "../../src/cgroup/layout.ts";
import { processInfo } from "../support/host.ts";
import { containerPid } from "../support/oracle.ts";
import { container, output, pod, runPod, startContainer } from "../support/pods.ts";
import { mayLowerOomScore } from "../support/shims.ts";
import { showUnit as show, systemdCgroupOf, unitIsGone as gone } from "../support/systemd-unit.ts";
import { useNode } from "../support/use-node.ts";
import { waitFor } from "../support/wait.ts";

const paths: Readonly<Record<string, string | undefined>> = {
  runc: process.env.KOBAKO_RUNC,
  crun: "/usr/bin/crun",
  "kobako-oci": new URL("../../build/bin/kobako-oci", import.meta.url).pathname,
  runsc: process.env.KOBAKO_RUNSC,
};
const node = useNode({
  flags: ["--set", "cgroup_driver=systemd"],
  config: Object.entries(paths)
    .map(([name, path]) => `[runtimes.${name}]\ntype = "oci"\npath = "${path}"`)
    .join("\n"),
});

const layout = readCgroupLayout();
const memory =
  layout.version === 1
    ? "MemoryLimit"
    : readFileSync(`${layout.unified}/cgroup.controllers`, "utf8").includes("memory")
      ? "MemoryMax"
      : undefined;

/** Below its unit's cgroup: on v2 crun makes one more, so that the container may have some of its own. */
const below = (handler: string) => (handler === "crun" && layout.version === 2 ? "/container" : "");

/** crun leaves v1's other hierarchies alone when systemd makes its scope: there it makes its cgroup itself. */
const crunItself = layout.version === 1;

describe.each(["runc", "crun", "kobako-oci"])("%s under systemd", (handler) => {
  it("has its containers in scopes of the pod's slice, which systemd limits and ends", async (t) => {
    if (handler === "crun" && layout.version === 2 && !mayLowerOomScore())
      t.skip("crun raises RLIMIT_MEMLOCK for its list of devices on v2, and this machine lets nobody");
    const { daemon, image } = node();
    const sandbox = await runPod(daemon, pod(daemon), handler);
    const resources = memory === undefined ? {} : { memoryLimitInBytes: 64n << 20n };
    const id = await startContainer(daemon, sandbox, container(image, { linux: { resources } }));
    const scope = `kobako-${id}.scope`;
    const slice = sandbox.config.linux?.cgroupParent ?? "";
    const path = `/ktest.slice/${slice}/${scope}`;
    const bySystemd = handler !== "crun" || !crunItself;
    const pid = await containerPid(daemon, id);
    const own = path + below(handler);
    expect(systemdCgroupOf(pid)).toBe(own);
    // In every hierarchy: where a limit is, the container is.
    expect(new Set(processInfo(pid)?.cgroups.filter((one) => one !== "/"))).toEqual(new Set([own]));
    expect(show(scope, "ActiveState")).toBe(bySystemd ? "active" : "inactive");
    if (bySystemd) expect(show(scope, "Slice")).toBe(slice);
    if (memory !== undefined) {
      expect(new Cgroups().usage(own)?.memoryLimitBytes).toBe(64n << 20n);
      if (bySystemd && own === path) expect(show(scope, memory)).toBe(String(64 << 20));
    }
    const { info } = await daemon.client.containerStatus({ containerId: id, verbose: true });
    const { bundle } = JSON.parse(info.info ?? "{}") as { bundle: string };
    expect(JSON.parse(readFileSync(join(bundle, "config.json"), "utf8"))).toMatchObject({
      linux: { cgroupsPath: bySystemd ? `${slice}:kobako:${id}` : path },
    });

    await daemon.kill9();
    await daemon.start();
    expect(await output(daemon, id, "echo still")).toBe("still");
    const next = await startContainer(daemon, sandbox, container(image)); // by a daemon that did not start the pod
    expect(systemdCgroupOf(await containerPid(daemon, next))).toBe(
      `/ktest.slice/${slice}/kobako-${next}.scope${below(handler)}`,
    );
    const { stats } = await daemon.client.containerStats({ containerId: id });
    expect(stats?.cpu?.usageCoreNanoSeconds?.value).toBeGreaterThan(0n);
    await daemon.client.stopContainer({ containerId: id, timeout: 5n });
    await daemon.client.removePodSandbox({ podSandboxId: sandbox.id });
    for (const one of [id, next])
      await waitFor(`the end of kobako-${one}.scope`, () => gone(`kobako-${one}.scope`));
  });
});

it("gVisor's sandbox is in a scope of the pod's slice", async () => {
  const { daemon, image } = node();
  const sandbox = await runPod(daemon, pod(daemon), "runsc");
  const id = await startContainer(daemon, sandbox, container(image));
  const scope = `kobako-pause-${sandbox.id.slice(0, 16)}.scope`;
  expect([show(scope, "Slice"), show(scope, "ActiveState")]).toEqual([
    sandbox.config.linux?.cgroupParent,
    "active",
  ]);
  expect(await output(daemon, id, "echo here")).toBe("here");
  await daemon.client.removePodSandbox({ podSandboxId: sandbox.id });
  await waitFor(`the end of ${scope}`, () => gone(scope));
});
