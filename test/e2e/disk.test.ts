/** A full disk: clear errors, nothing half made, everything works again once there is room. */
import { randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { PodSandboxState } from "../../cri-api/index.ts";
import { busyboxEntries } from "../support/busybox.ts";
import type { CriError } from "../support/cri-client.ts";
import { type DaemonOptions, testDaemon } from "../support/daemon.ts";
import { buildImage } from "../support/image-builder.ts";
import { loopDisk } from "../support/loop-disk.ts";
import { testImageConfig } from "../support/node.ts";
import { containerPid } from "../support/oracle.ts";
import { container, output, pod, runPod, startContainer } from "../support/pods.ts";
import { Registry } from "../support/registry.ts";
import { waitFor } from "../support/wait.ts";

const code = (call: Promise<unknown>) =>
  call.then(
    () => "OK",
    (error: CriError) => status[error.code],
  );

async function smallNode(where: Pick<DaemonOptions, "parent" | "root">) {
  const registry = await Registry.start();
  const daemon = await testDaemon(where);
  const small = await registry.push(
    "small",
    "1",
    await buildImage({ layers: [busyboxEntries()], config: testImageConfig }),
  );
  await daemon.client.pullImage({ image: { image: small } });
  return { registry, daemon, small };
}

describe("a full disk", () => {
  it("C1: a pull that does not fit is RESOURCE_EXHAUSTED, its space returns, images stay whole", async () => {
    await using disk = await loopDisk({ sizeMib: 96 });
    const { registry, daemon, small } = await smallNode({ parent: disk.path });
    await using _registry = registry;
    await using _daemon = daemon;
    const big = await registry.push(
      "big",
      "1",
      await buildImage({ layers: [[{ name: "big", content: randomBytes(128 << 20) }]], compression: "none" }),
    );
    const used = async () =>
      (await daemon.client.imageFsInfo({})).imageFilesystems[0]?.usedBytes?.value ?? 0n;
    const before = await used();
    expect(await code(daemon.client.pullImage({ image: { image: big } }))).toBe("RESOURCE_EXHAUSTED");
    const { images } = await daemon.client.listImages({});
    expect(images.flatMap(({ repoTags }) => repoTags)).toEqual([small]);
    await waitFor("the space to return", async () => (await used()) <= before + (1n << 20n));
    const sandbox = await runPod(daemon);
    const id = await startContainer(daemon, sandbox, container(small));
    expect(await output(daemon, id, "echo works")).toBe("works");
  });

  it("C4: too few inodes likewise", async () => {
    await using disk = await loopDisk({ sizeMib: 96, inodes: 2000 });
    const { registry, daemon, small } = await smallNode({ parent: disk.path });
    await using _registry = registry;
    await using _daemon = daemon;
    const files = Array.from({ length: 5000 }, (_, i) => ({ name: `f${i}`, content: "x" }));
    const many = await registry.push("many", "1", await buildImage({ layers: [files] }));
    expect(await code(daemon.client.pullImage({ image: { image: many } }))).toBe("RESOURCE_EXHAUSTED");
    const { images } = await daemon.client.listImages({});
    expect(images.flatMap(({ repoTags }) => repoTags)).toEqual([small]);
  });

  it("C2: with not a block left lists and status answer, writes fail cleanly, and all works again after", async () => {
    await using disk = await loopDisk({ sizeMib: 96 });
    const { registry, daemon, small } = await smallNode({ parent: disk.path });
    await using _registry = registry;
    await using _daemon = daemon;
    const sandbox = await runPod(daemon);
    const id = await startContainer(daemon, sandbox, container(small));
    const free = disk.fill();
    expect((await daemon.client.listContainers({})).containers).toHaveLength(1);
    expect((await daemon.client.containerStatus({ containerId: id })).status?.id).toBe(id);
    expect(["RESOURCE_EXHAUSTED", "OK"]).toContain(
      await code(daemon.client.runPodSandbox({ config: pod(daemon) })),
    );
    expect(["RESOURCE_EXHAUSTED", "OK"]).toContain(
      await code(startContainer(daemon, sandbox, container(small))),
    );
    expect(await output(daemon, id, "echo undisturbed")).toBe("undisturbed");
    free();
    const next = await runPod(daemon);
    const after = await startContainer(daemon, next, container(small));
    expect(await output(daemon, after, "echo again")).toBe("again");
  });

  it.each(["SIGKILL", "SIGTERM"] as const)(
    "C2: a daemon that ended by %s starts on it, and its pods and images are there, also once there is room",
    async (signal) => {
      await using disk = await loopDisk({ sizeMib: 96 });
      const { registry, daemon, small } = await smallNode({ root: join(disk.path, "root") });
      await using _registry = registry;
      await using _daemon = daemon;
      const sandbox = await runPod(daemon);
      const id = await startContainer(daemon, sandbox, container(small));
      const pid = await containerPid(daemon, id);
      const expectAll = async () => {
        const { images } = await daemon.client.listImages({});
        expect(images.flatMap(({ repoTags }) => repoTags)).toEqual([small]);
        const { items } = await daemon.client.listPodSandbox({});
        expect(items.map(({ id, state }) => [id, state])).toEqual([
          [sandbox.id, PodSandboxState.SANDBOX_READY],
        ]);
        expect(await containerPid(daemon, id)).toBe(pid);
        expect(await output(daemon, id, "echo undisturbed")).toBe("undisturbed");
      };
      await daemon.end(signal);
      const free = disk.fill();
      await daemon.start();
      await expectAll();
      await daemon.end(signal);
      free();
      await daemon.start();
      await expectAll();
      const next = await runPod(daemon);
      await startContainer(daemon, next, container(small));
      expect(readdirSync(daemon.root)).not.toContainEqual(expect.stringContaining("broken"));
    },
  );
});
