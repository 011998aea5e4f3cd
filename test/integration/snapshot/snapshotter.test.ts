import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Snapshotter } from "../../../src/snapshot/snapshotter.ts";
import { makeCanary } from "../../support/canary.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { waitFor } from "../../support/wait.ts";
import { layerSource, log, never, testStore, unpackBinary } from "../unpack/store.ts";

async function testSnapshots(): Promise<
  AsyncDisposable & { root: string; snapshots: Snapshotter; reopen(): Promise<Snapshotter> }
> {
  const dir = await tempDir("snapshots", "/var/tmp");
  const root = join(dir.path, "snapshots");
  const opened: Snapshotter[] = [];
  const reopen = async () => {
    const snapshots = new Snapshotter({ root, unpackBinary, log });
    await snapshots.open();
    opened.push(snapshots);
    return snapshots;
  };
  return {
    root,
    snapshots: await reopen(),
    reopen,
    async [Symbol.asyncDispose]() {
      for (const snapshots of opened) await snapshots.close();
      await dir[Symbol.asyncDispose]();
    },
  };
}

describe("a snapshot", () => {
  it("mounts as an overlay over its layers, also over none and over one that comes twice (L17)", async () => {
    await using layers = await testStore({ under: "/var/tmp" });
    await using s = await testSnapshots();
    const a = await layers.store.unpack(
      await layerSource([
        { name: "./", mode: 0o711, uid: 5 },
        { name: "a", content: "a" },
      ]),
      never,
    );
    const b = await layers.store.unpack(await layerSource([{ name: "b", content: "b" }]), never);
    for (const [id, stack, names] of [
      ["none", [], []],
      ["one", [a], ["a"]],
      ["twice", [a, b, a], ["a", "b"]],
    ] as const) {
      const { lower, upper, work, options } = await s.snapshots.create(id, stack);
      const at = join(s.root, `../at-${id}`);
      mkdirSync(at);
      const mountOptions = [
        ...options,
        `lowerdir=${lower.join(":")}`,
        `upperdir=${upper}`,
        `workdir=${work}`,
      ].join(",");
      execFileSync("mount", ["-t", "overlay", "overlay", "-o", mountOptions, at]);
      try {
        expect(readdirSync(at)).toEqual([...names]);
        const root = statSync(at);
        expect([root.mode & 0o7777, root.uid]).toEqual(stack.length > 0 ? [0o711, 5] : [0o755, 0]);
      } finally {
        execFileSync("umount", [at]);
      }
    }
  });

  it("that exists is not made again, and odd ids are refused", async () => {
    await using s = await testSnapshots();
    await s.snapshots.create("a", []);
    await expect(s.snapshots.create("a", [])).rejects.toMatchObject({ kind: "already-exists" });
    for (const id of ["", "../x", "a/b", ".hidden", "x".repeat(200), "a\0b"])
      await expect(s.snapshots.create(id, [])).rejects.toMatchObject({ kind: "invalid-argument" });
    await expect(
      s.snapshots.create(
        "many",
        Array.from({ length: 501 }, (_, i) => ({ path: `/l${i}` })),
      ),
    ).rejects.toMatchObject({
      kind: "invalid-argument",
    });
  });

  it("is listed after a restart, and removed more than once without complaint", async () => {
    await using s = await testSnapshots();
    await s.snapshots.create("a", []);
    await s.snapshots.create("b", []);
    const again = await s.reopen();
    expect(again.list().sort()).toEqual(["a", "b"]);
    for (let i = 0; i < 2; i++) await again.remove("a");
    await again.freed();
    expect(again.list()).toEqual(["b"]);
    expect(readdirSync(s.root).sort()).toEqual([".empty", ".trash", "b"]);
    expect(readdirSync(join(s.root, ".trash"))).toEqual([]);
  });

  it("left by a crash in the trash is freed by the next start", async () => {
    await using s = await testSnapshots();
    mkdirSync(join(s.root, ".trash/left/deep/er"), { recursive: true });
    const again = await s.reopen();
    await again.freed();
    expect(readdirSync(join(s.root, ".trash"))).toEqual([]);
  });

  it("with a mount of something else in it: the rest goes, what is mounted is not touched (M15)", async () => {
    await using canary = await makeCanary();
    await using s = await testSnapshots();
    const { upper } = await s.snapshots.create("a", []);
    mkdirSync(join(upper, "x/mnt"), { recursive: true });
    writeFileSync(join(upper, "x/file"), "");
    execFileSync("mount", ["--bind", canary.path, join(upper, "x/mnt")]);
    try {
      await s.snapshots.remove("a");
      await s.snapshots.freed();
      expect(canary.listing()).toEqual(canary.before);
      const left = execFileSync("find", [join(s.root, ".trash"), "-xdev", "-name", "file"], {
        encoding: "utf8",
      });
      expect(left).toBe("");
    } finally {
      const mounts = execFileSync("sh", ["-c", `grep -o '${s.root}[^ ]*' /proc/self/mounts`], {
        encoding: "utf8",
      });
      for (const at of mounts.split("\n").filter(Boolean)) execFileSync("umount", [at]);
    }
    const again = await s.reopen();
    await again.freed();
    expect(readdirSync(join(s.root, ".trash"))).toEqual([]);
    expect(canary.listing()).toEqual(canary.before);
  });

  it("with 50 000 nested folders is counted and removed, the daemon's memory flat (L16)", async () => {
    await using s = await testSnapshots();
    const { upper } = await s.snapshots.create("deep", []);
    const script =
      "import os,sys\nos.chdir(sys.argv[1])\nfor i in range(50000):\n os.mkdir('d'); os.chdir('d')\nopen('f','w').write('x')";
    execFileSync("python3", ["-c", script, upper]);
    const before = process.memoryUsage.rss();
    const usage = await waitFor(
      "the scan",
      async () => {
        const u = await s.snapshots.usage("deep");
        return u.inodesUsed > 1 ? u : undefined;
      },
      { timeoutMs: 120_000 },
    );
    expect(usage.inodesUsed).toBe(50_002);
    await s.snapshots.remove("deep");
    await s.snapshots.freed();
    expect(readdirSync(join(s.root, ".trash"))).toEqual([]);
    expect(process.memoryUsage.rss() - before).toBeLessThan(64 << 20);
  }, 300_000);

  it("tells what was written: links once, at once and never more often than it is worth", async () => {
    await using s = await testSnapshots();
    const { upper } = await s.snapshots.create("a", []);
    expect(await s.snapshots.usage("a")).toEqual({ usedBytes: 4096, inodesUsed: 1 });
    await expect(s.snapshots.usage("none")).rejects.toMatchObject({ kind: "not-found" });
    writeFileSync(join(upper, "f"), Buffer.alloc(100_000, 1));
    execFileSync("ln", [join(upper, "f"), join(upper, "g")]);
    execFileSync("ln", ["-s", "/", join(upper, "root")]);
    const again = await s.reopen();
    expect(await again.usage("a")).toEqual({ usedBytes: 4096 + 102_400, inodesUsed: 3 });
  });

  it("with an image of its own is what was written to that, not what the image began with", async () => {
    await using s = await testSnapshots();
    const { disk } = await s.snapshots.create("a", []);
    writeFileSync(disk, Buffer.alloc(100_000, 1));
    expect((await s.snapshots.usage("a")).usedBytes).toBe(0); // being made
    s.snapshots.handedOver("a");
    expect((await s.snapshots.usage("a")).usedBytes).toBe(0);
    writeFileSync(disk, Buffer.alloc(40_960, 1), { flag: "a" });
    const again = await s.reopen();
    const { usedBytes } = await again.usage("a");
    expect(usedBytes).toBeGreaterThanOrEqual(40_960 - 4096);
    expect(usedBytes).toBeLessThanOrEqual(40_960 + 4096);
    await again.remove("a");
    await again.freed();
    expect(readdirSync(s.root)).not.toContain("a");
  });
});
