/** Checkpoints by a shim that can: containerd's for runc, with the real CRIU. */
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { ShimHandler } from "../../../src/runtime/shim-v2/handler.ts";
import type { ShimSandbox } from "../../../src/runtime/shim-v2/sandbox.ts";
import { monitorBinary, TestPod, within } from "../../contract/handler/pod.ts";
import { fileDir } from "../../support/file-dir.ts";
import { criuPath, toolPaths } from "../../support/shims.ts";

const [path = "", runc = ""] = toolPaths("containerd-shim-runc-v2", "runc");
const folder = fileDir("checkpoint");

const start = (env_PATH: string) =>
  TestPod.start(
    new ShimHandler({
      name: "runc-shim",
      path,
      options: { binary_name: runc, root: join(folder, "runc"), env_PATH },
      timeoutMs: 30_000,
      monitorBinary,
      log: pino({ level: "silent" }),
    }),
  );

/** Into a folder of its own. */
async function checkpoint(pod: TestPod, id: string): Promise<string[]> {
  const images = join(folder, id);
  mkdirSync(images);
  await (pod.sandbox as ShimSandbox).checkpoint(id, images, 30_000, within());
  return readdirSync(images);
}

describe("a checkpoint", () => {
  it("is CRIU's images of a container that runs on, also of one that is paused", async () => {
    await using pod = await start(criuPath());
    const made = await pod.shell("i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done");
    const goesOn = async () => {
      const had = made.output().length;
      await expect.poll(() => made.output().length).toBeGreaterThan(had + 10);
    };
    await goesOn();
    expect(await checkpoint(pod, made.id)).toEqual(
      expect.arrayContaining(["inventory.img", "pstree.img", "core-1.img"]),
    );
    await goesOn();
    const other = await pod.shell("sleep 1000");
    await pod.sandbox.pause(other.id, within());
    expect(await checkpoint(pod, other.id)).toContain("core-1.img");
    await pod.sandbox.resume(other.id, within());
    await pod.sandbox.kill({ containerId: other.id, signal: 9, all: true }, within());
    expect(await other.exited()).toMatchObject({ exitCode: 137 });
  });

  it("that CRIU refuses has its last complaint as reason, and the container runs on", async () => {
    await using pod = await start(criuPath());
    // More than CRIU takes of a file that has no name any more.
    const ghost = "dd if=/dev/zero of=/x bs=1M count=3 2>/dev/null; exec 3</x; busybox rm /x";
    const made = await pod.shell(`${ghost}; echo ready; sleep 1000`);
    await expect.poll(() => made.output()).toBe("ready\n");
    await expect(checkpoint(pod, made.id)).rejects.toMatchObject({
      kind: "failed-precondition",
      message: expect.stringMatching(/^checkpoint: .*ghost/i),
    });
    expect((await pod.sandbox.state(within())).containers).toMatchObject([{ phase: "running" }]);
  });

  it("without CRIU says that it is missing", async () => {
    await using pod = await start("/nonexistent");
    const made = await pod.shell("sleep 1000");
    await expect(checkpoint(pod, made.id)).rejects.toMatchObject({
      kind: "failed-precondition",
      message: expect.stringContaining("criu"),
    });
  });
});
