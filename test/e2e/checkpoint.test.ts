/** CheckpointContainer as a kubelet asks for it: over a handler that can, with the real CRIU, and over those that can't. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { fileDir } from "../support/file-dir.ts";
import { container, logFile, pod, type RunningPod, runPod, startContainer } from "../support/pods.ts";
import { Dice, scale } from "../support/scale.ts";
import { criuPath, shimHandlers } from "../support/shims.ts";
import { useNode } from "../support/use-node.ts";
import { waitFor } from "../support/wait.ts";

const folder = fileDir("checkpoints");
const node = useNode({ config: shimHandlers(folder, criuPath()) });

const counting = [
  "/bin/sh",
  "-c",
  "echo mine >/etc/mine; rm /bin/ls /bin/cat; i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done",
];

async function counter(
  handler: string,
): Promise<{ id: string; sandbox: RunningPod; goesOn(): Promise<void> }> {
  const { daemon, image } = node();
  const sandbox = await runPod(daemon, pod(daemon), handler);
  const settings = container(image, { metadata: { name: "counter" }, command: counting });
  const id = await startContainer(daemon, sandbox, settings);
  const size = () => {
    const path = logFile(sandbox, "counter");
    return existsSync(path) ? statSync(path).size : 0;
  };
  const goesOn = async () => {
    const had = size();
    await waitFor("more lines", () => size() > had + 200);
  };
  await goesOn();
  return { id, sandbox, goesOn };
}

const listed = (archive: string): string[] =>
  execFileSync("tar", ["-tf", archive], { encoding: "utf8" }).trim().split("\n");

const fileOf = (archive: string, name: string): Buffer =>
  execFileSync("tar", ["-xOf", archive, `./${name}`], { maxBuffer: 64 << 20 });

describe("CheckpointContainer", () => {
  it("writes an archive of a container that runs on", async () => {
    const { daemon } = node();
    const { id, goesOn } = await counter("runc-shim");
    const location = join(folder, "one.tar");
    await daemon.client.checkpointContainer({ containerId: id, location, timeout: 0n });
    await goesOn();
    expect(statSync(location).mode & 0o777).toBe(0o600);
    expect(listed(location)).toEqual(
      expect.arrayContaining([
        "./checkpoint/inventory.img",
        "./config.dump",
        "./spec.dump",
        "./rootfs-diff.tar",
        "./deleted.files",
      ]),
    );
    expect(JSON.parse(fileOf(location, "config.dump").toString())).toMatchObject({ id, name: "counter" });
    expect(JSON.parse(fileOf(location, "spec.dump").toString())).toMatchObject({
      process: { args: counting },
    });
    expect(JSON.parse(fileOf(location, "deleted.files").toString()).sort()).toEqual(["bin/cat", "bin/ls"]);
    const changed = execFileSync("tar", ["-t"], { input: fileOf(location, "rootfs-diff.tar") }).toString();
    expect(changed).toContain("./etc/mine\n");
    expect(changed).not.toMatch(/bin\/(ls|cat)$/m);
    expect(readdirSync(join(daemon.root, "checkpoints"))).toEqual([]);
    const again = daemon.client.checkpointContainer({ containerId: id, location, timeout: 60n });
    await expect(again).rejects.toMatchObject({ code: status.ALREADY_EXISTS });
    await goesOn();
    expect(readdirSync(folder).filter((name) => name.startsWith("one.tar"))).toEqual(["one.tar"]);
  });

  it.each([
    ["builtin", status.UNIMPLEMENTED, /no checkpoints/],
    ["runsc-shim", status.UNIMPLEMENTED, /containerd-shim-runsc-v1 makes no checkpoints/],
    ["block", status.UNIMPLEMENTED, /rootfs = "block"/],
  ] as const)("of %s says why not", async (handler, code, details) => {
    const { daemon } = node();
    const { id, goesOn } = await counter(handler);
    const location = join(folder, `${handler}.tar`);
    await expect(
      daemon.client.checkpointContainer({ containerId: id, location, timeout: 0n }),
    ).rejects.toMatchObject({ code, details: expect.stringMatching(details) });
    await goesOn();
    expect(existsSync(location)).toBe(false);
  });

  it.each(["", "relative.tar", "/", "/tmp/../x", "/tmp/"])("to %j is refused", async (location) => {
    const { daemon } = node();
    const { id } = await counter("runc-shim");
    await expect(
      daemon.client.checkpointContainer({ containerId: id, location, timeout: 0n }),
    ).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
  });

  it("of no container, or one that has ended, is refused, and so is a negative time", async () => {
    const { client } = node().daemon;
    const location = join(folder, "none.tar");
    const none = client.checkpointContainer({ containerId: "0".repeat(64), location, timeout: 0n });
    await expect(none).rejects.toMatchObject({ code: status.NOT_FOUND });
    const { id: containerId } = await counter("runc-shim");
    const negative = client.checkpointContainer({ containerId, location, timeout: -1n });
    await expect(negative).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
    await client.stopContainer({ containerId, timeout: 0n });
    const ended = client.checkpointContainer({ containerId, location, timeout: 0n });
    await expect(ended).rejects.toMatchObject({ code: status.FAILED_PRECONDITION });
    expect(existsSync(location)).toBe(false);
  });

  it("that a killed daemon has begun leaves a container that goes on, and no file", async () => {
    const { daemon } = node();
    const dice = new Dice();
    const { id, goesOn } = await counter("runc-shim");
    const target = join(folder, "killed");
    mkdirSync(target);
    for (let i = 0; i < scale(6, 100); i++) {
      const location = join(target, `${i}.tar`);
      const lost = daemon.client.checkpointContainer({ containerId: id, location, timeout: 0n });
      lost.catch(() => {});
      await delay(dice.between(1, 500)); // any moment of it
      await daemon.restart("SIGKILL");
      await goesOn();
      expect(readdirSync(join(daemon.root, "checkpoints"))).toEqual([]);
      expect(readdirSync(target).filter((name) => !name.endsWith(".tar"))).toEqual([]);
    }
    const location = join(target, "last.tar");
    await daemon.client.checkpointContainer({ containerId: id, location, timeout: 0n });
    expect(readFileSync(location).length).toBeGreaterThan(10_000);
  });
});
