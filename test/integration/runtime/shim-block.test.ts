/**
 * Root filesystems as block devices: real monitor, real loop devices, over a shim that gives them to its guest and over
 * the real ones, which mount them.
 */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { ShimHandler } from "../../../src/runtime/shim-v2/handler.ts";
import { monitorBinary, TestPod, within } from "../../contract/handler/pod.ts";
import { type FakeMode, fakeShim } from "../../support/fake-shim.ts";
import { testDir } from "../../support/file-dir.ts";
import { loopDevicesOf } from "../../support/loop-devices.ts";
import { runscShim, toolPaths } from "../../support/shims.ts";

const diskBytes = 64 << 20;

function handlerOf(path: string, options: Record<string, string> = {}, bytes = diskBytes): ShimHandler {
  const log = pino({ level: process.env.KOBAKO_TEST_LOG ?? "silent" });
  return new ShimHandler({
    name: "vm",
    path,
    options,
    timeoutMs: 20_000,
    monitorBinary,
    log,
    diskBytes: bytes,
  });
}

function fake(mode: FakeMode) {
  const { path, calls } = fakeShim(testDir("fake"), mode);
  return { handler: handlerOf(path), calls };
}

/** What the shim was told of the disks of a pod and of its one container. */
const disksOf = (calls: readonly Record<string, unknown>[]) =>
  calls
    .filter(({ method }) => method === "Create")
    .map(({ rootfs }) => (rootfs as { type: string; source: string; options: string[] }[])[0]);

describe("a root filesystem as block device", () => {
  it.each(["v2", "v3"] as const)(
    "is one ext4 mount with the image's files (task API of %s)",
    async (mode) => {
      const { handler, calls } = fake(mode);
      await using pod = await TestPod.start(handler);
      const layer = join(pod.folder, "layer");
      chmodSync(join(layer, "root"), 0o700);
      chownSync(join(layer, "tmp"), 5, 6);
      chmodSync(join(layer, "tmp"), 0o1777);
      writeFileSync(join(layer, "etc/big"), Buffer.alloc(3 << 20, "x"));
      const made = await pod.create({ command: ["/bin/true"] });
      const [sandbox, container] = disksOf(calls());
      expect([sandbox?.type, container?.type]).toEqual(["ext4", "ext4"]);
      expect(container?.source).toMatch(/^\/dev\/loop\d+$/);
      expect(container?.source).not.toBe(sandbox?.source);
      expect(container?.options).toEqual([]);
      const guest = join(made.bundle, made.id, "guest");
      expect(readdirSync(guest).sort()).toEqual(readdirSync(layer).sort()); // no lost+found, too
      expect(readFileSync(join(guest, "etc/big"))).toEqual(readFileSync(join(layer, "etc/big")));
      expect(statSync(join(guest, "root")).mode & 0o7777).toBe(0o700);
      const { uid, gid, mode: bits } = statSync(join(guest, "tmp"));
      expect([uid, gid, bits & 0o7777]).toEqual([5, 6, 0o1777]);
      expect(statSync(join(pod.folder, `${made.id}-disk`))).toMatchObject({ size: diskBytes });
      expect(statSync(join(pod.folder, `${made.id}-disk`)).blocks * 512).toBeLessThan(16 << 20);
      execFileSync("e2fsck", ["-fn", join(pod.folder, `${made.id}-disk`)], { stdio: "pipe" });
      // What is written stays with the container.
      writeFileSync(join(guest, "new"), "by the guest");
      expect(existsSync(join(layer, "new"))).toBe(false);
      await pod.sandbox.delete(made.id, within());
      await expect.poll(() => loopDevicesOf(join(pod.folder, made.id))).toEqual([]);
      await pod.sandbox.shutdown(within());
      await expect.poll(() => loopDevicesOf(pod.folder)).toEqual([]);
    },
  );

  it("has the owner and mode of the image's root folder", async () => {
    const { handler } = fake("v3");
    await using pod = await TestPod.start(handler);
    chownSync(join(pod.folder, "layer"), 7, 8);
    chmodSync(join(pod.folder, "layer"), 0o1751);
    const made = await pod.create({ command: ["/bin/true"] });
    const { uid, gid, mode } = statSync(join(made.bundle, made.id, "guest"));
    expect([uid, gid, mode & 0o7777]).toEqual([7, 8, 0o1751]);
  });

  it("keeps what the image has in a folder of the filesystem's own name", async () => {
    const { handler } = fake("v3");
    await using pod = await TestPod.start(handler);
    mkdirSync(join(pod.folder, "layer/lost+found"));
    writeFileSync(join(pod.folder, "layer/lost+found/found"), "");
    const made = await pod.create({ command: ["/bin/true"] });
    expect(readdirSync(join(made.bundle, made.id, "guest/lost+found"))).toEqual(["found"]);
  });

  it("that the image does not fit into is refused, and nothing is left", async () => {
    const { path } = fakeShim(testDir("fake"), "v3");
    await using pod = await TestPod.start(handlerOf(path, {}, 16 << 20));
    const blob = Buffer.alloc(20 << 20, "x");
    writeFileSync(join(pod.folder, "layer/blob"), blob);
    await expect(pod.create({ command: ["/bin/true"] })).rejects.toMatchObject({
      kind: "failed-precondition",
      message: expect.stringContaining("rootfs_size"),
    });
    const [left] = (await pod.sandbox.state(within())).containers;
    await pod.sandbox.delete(left?.id ?? "", within());
    expect(loopDevicesOf(join(pod.folder, left?.id ?? ""))).toEqual([]);
  });

  it("ends with a monitor and a shim that are killed", async () => {
    const { handler } = fake("v3");
    await using pod = await TestPod.start(handler);
    const made = await pod.create({ command: ["/bin/true"] });
    expect(loopDevicesOf(pod.folder)).toHaveLength(2);
    process.kill(pod.sandbox.identity.pid, "SIGKILL");
    await pod.sandbox.closed;
    await expect(handler.connect(pod.sandbox.identity, () => {}, within())).rejects.toMatchObject({
      kind: "not-found",
    });
    // A guest's mount would have ended with its VM.
    for (const id of [made.id, pod.spec.id])
      execFileSync("umount", [join(pod.runDir, id.slice(0, 16), id, "guest")]);
    await handler.endRemains(pod.runDir, within());
    await expect.poll(() => loopDevicesOf(pod.folder)).toEqual([]);
  });

  it("is kept while the daemon is away, and found by the next one", async () => {
    const { handler } = fake("v2");
    await using pod = await TestPod.start(handler);
    const made = await pod.shell("sleep 100");
    await pod.reconnect();
    expect(readdirSync(join(made.bundle, made.id, "guest"))).toContain("etc");
    await pod.sandbox.delete(made.id, within());
    await expect.poll(() => loopDevicesOf(join(pod.folder, made.id))).toEqual([]);
  });
});

const [runcShim = "", runc = ""] = toolPaths("containerd-shim-runc-v2", "runc");

const overRunc = () => handlerOf(runcShim, { binary_name: runc, root: testDir("runc") });
const overRunsc = () => {
  const { shim, config } = runscShim(testDir("runsc"));
  return handlerOf(shim, { config_path: config });
};

it("bounds what a container writes", async () => {
  await using pod = await TestPod.start(overRunc());
  const made = await pod.shell("dd if=/dev/zero of=/fill bs=1M count=100 2>&1; exit 5");
  expect(await made.exited()).toMatchObject({ exitCode: 5 });
  expect(made.output()).toMatch(/no space left/i);
});

describe.each([
  ["runc", overRunc],
  ["gVisor", overRunsc],
])("the real shim of %s", (_, make) => {
  it("mounts it: files are there, what is written stays there, and it ends with the container", async () => {
    await using pod = await TestPod.start(make());
    const made = await pod.shell("echo new >/etc/new && cat /etc/new /etc/group; exit 5");
    expect(await made.exited()).toMatchObject({ exitCode: 5 });
    expect(made.output()).toMatch(/^new\nroot:x:0:$/m);
    expect(existsSync(join(pod.folder, "layer/etc/new"))).toBe(false);
    await pod.sandbox.delete(made.id, within());
    await expect.poll(() => loopDevicesOf(join(pod.folder, made.id))).toEqual([]);
    await pod.sandbox.shutdown(within());
    await expect.poll(() => loopDevicesOf(pod.folder)).toEqual([]);
  });

  it("is dead, and so is its monitor: the next daemon ends what is left", async () => {
    const handler = make();
    await using pod = await TestPod.start(handler);
    await pod.shell("sleep 1000");
    process.kill(pod.sandbox.identity.pid, "SIGKILL");
    await pod.sandbox.closed;
    await expect(handler.connect(pod.sandbox.identity, () => {}, within())).rejects.toMatchObject({
      kind: "not-found",
    });
    await handler.endRemains(pod.runDir, within());
    await expect.poll(() => loopDevicesOf(pod.folder)).toEqual([]);
  });
});
