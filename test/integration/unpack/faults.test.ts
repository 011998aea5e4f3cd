/** What happens to the store when something else goes wrong: space, kills, cancels, power cuts, callers. */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import type { LayerSource } from "../../../src/content/layer-store.ts";
import { base256, rawEntry } from "../../corpus/layers/raw-tar.ts";
import { layerOfTar, sha256, tarOf } from "../../support/image-builder.ts";
import { loopDisk } from "../../support/loop-disk.ts";
import { waitFor } from "../../support/wait.ts";
import { layerSource, never, sourceOf, testStore } from "./store.ts";

const mib = 1 << 20;

/** Nothing of a failed unpacking is left, and the store works. */
async function expectClean(s: Awaited<ReturnType<typeof testStore>>): Promise<void> {
  await s.store.freed();
  expect(readdirSync(join(s.root, "tmp"))).toEqual([]);
  expect(readdirSync(join(s.root, "trash"))).toEqual([]);
  await s.store.unpack(await layerSource([{ name: "works", content: String(Math.random()) }]), never);
}

/** A file of `bytes` zeros as a gzip that is a thousandth of that. */
function bomb(bytes: number): LayerSource {
  const header = rawEntry({ name: "zeros", patch: [[124, base256(BigInt(bytes), 12)]] });
  const zeros = gzipSync(Buffer.alloc(16 * mib));
  const parts = [gzipSync(header), ...Array.from({ length: bytes / (16 * mib) }, () => zeros)];
  const compressed = Buffer.concat(parts);
  return {
    digest: sha256(compressed),
    sizeBytes: compressed.length,
    compression: "gzip",
    diffId: sha256("never reached"),
    parents: [],
    async *open() {
      for (const part of parts) yield part;
    },
  };
}

describe("bombs (L12)", () => {
  it("10 GiB in 10 MiB of gzip end at the limit of the ratio, the daemon's memory flat", async () => {
    await using s = await testStore({ limits: { freeBytes: 32 * mib } });
    const source = bomb(10 * 1024 * mib);
    const before = process.memoryUsage.rss();
    await expect(s.store.unpack(source, never)).rejects.toMatchObject({ kind: "resource-exhausted" });
    expect(process.memoryUsage.rss() - before).toBeLessThan(64 * mib);
    await expectClean(s);
  });

  it("10 GiB on a disk with 100 MiB end when it is full, and all space is free again", async () => {
    await using disk = await loopDisk({ sizeMib: 100 });
    await using s = await testStore({ under: disk.path });
    await expect(s.store.unpack(bomb(10 * 1024 * mib), never)).rejects.toMatchObject({
      kind: "resource-exhausted",
    });
    await expectClean(s);
  });

  it("unpacking stops before the last bytes of a disk that others need", async () => {
    await using disk = await loopDisk({ sizeMib: 100 });
    await using s = await testStore({ under: disk.path, limits: { reserveBytes: 50 * mib } });
    const tooLarge = await layerSource([{ name: "f", content: randomBytes(60 * mib) }], [], "none");
    await expect(s.store.unpack(tooLarge, never)).rejects.toMatchObject({
      kind: "resource-exhausted",
      message: expect.stringContaining("50 MiB would be left"),
    });
    await expectClean(s);
  });

  it("100 000 gzip members are read, and a zstd window of 2 GiB is refused before memory is taken", async () => {
    await using s = await testStore();
    const tar = await tarOf([{ name: "f", content: "f" }]);
    const empty = gzipSync("");
    const bytes = Buffer.concat([gzipSync(tar), ...Array.from({ length: 100_000 }, () => empty)]);
    const members = sourceOf({ ...layerOfTar(tar), bytes, digest: sha256(bytes) });
    await s.store.unpack(members, never);
    const frame = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x03, 0x00, 0x00]);
    const window = sourceOf({
      ...layerOfTar(tar, { compression: "zstd" }),
      bytes: frame,
      digest: sha256(frame),
    });
    await expect(s.store.unpack({ ...window, diffId: sha256("x") }, never)).rejects.toMatchObject({
      kind: "invalid-argument",
      message: expect.stringContaining("window"),
    });
    await expectClean(s);
  });

  it("more entries than the limit are refused, implied folders counted", async () => {
    await using s = await testStore({ limits: { entries: 100 } });
    const source = await layerSource([{ name: "a/".repeat(200) }]);
    await expect(s.store.unpack(source, never)).rejects.toMatchObject({ kind: "resource-exhausted" });
  });
});

describe("a full disk (C1, C4)", () => {
  it("without inodes: resource-exhausted, everything is freed, and the store works", async () => {
    await using disk = await loopDisk({ sizeMib: 64, inodes: 200 });
    await using s = await testStore({ under: disk.path });
    const many = Array.from({ length: 500 }, (_, i) => ({ name: `f${i}`, content: "" }));
    await expect(s.store.unpack(await layerSource(many), never)).rejects.toMatchObject({
      kind: "resource-exhausted",
    });
    await expectClean(s);
  });

  it("layers that are there can be removed from a disk without one free block", async () => {
    await using disk = await loopDisk({ sizeMib: 64 });
    await using s = await testStore({ under: disk.path });
    const layer = await s.store.unpack(
      await layerSource([{ name: "f", content: randomBytes(20 * mib) }], [], "none"),
      never,
    );
    const empty = disk.fill();
    await expect(
      s.store.unpack(await layerSource([{ name: "g", content: randomBytes(mib) }]), never),
    ).rejects.toMatchObject({
      kind: "resource-exhausted",
    });
    await s.store.remove([layer.key]);
    await s.store.freed();
    await s.store.unpack(await layerSource([{ name: "g", content: randomBytes(mib) }]), never);
    empty();
  });
});

describe("cancelling and joining", () => {
  it("a cancel ends the helper at once and leaves nothing", async () => {
    await using s = await testStore();
    const cancel = new AbortController();
    const layer = layerOfTar(await tarOf([{ name: "f", content: randomBytes(mib) }]), {
      compression: "none",
    });
    let sourceEnded = false;
    const source = sourceOf(layer, [], {
      async *open(signal) {
        yield layer.bytes.subarray(0, 1000);
        cancel.abort();
        await once(signal, "abort");
        sourceEnded = true;
        signal.throwIfAborted();
      },
    });
    await expect(s.store.unpack(source, cancel.signal)).rejects.toMatchObject({ kind: "cancelled" });
    expect(sourceEnded).toBe(true);
    await expectClean(s);
  });

  it("50 callers share one download; those that cancel do not disturb the others (D12)", async () => {
    await using s = await testStore();
    const plain = await layerSource([{ name: "f", content: randomBytes(mib) }]);
    const go = Promise.withResolvers<void>();
    let opened = 0;
    const source: LayerSource = {
      ...plain,
      async *open(signal) {
        opened++;
        await go.promise;
        yield* plain.open(signal);
      },
    };
    const cancels = Array.from({ length: 50 }, () => new AbortController());
    const calls = cancels.map(({ signal }) => s.store.unpack(source, signal));
    const settled = Promise.allSettled(calls);
    for (const cancel of cancels.slice(0, 25)) cancel.abort();
    go.resolve();
    const results = await settled;
    expect(results.slice(0, 25).every((r) => r.status === "rejected" && r.reason.kind === "cancelled")).toBe(
      true,
    );
    expect(results.slice(25).every((r) => r.status === "fulfilled")).toBe(true);
    expect(opened).toBe(1);
  });

  it("when the first caller's source fails, the second one's is tried", async () => {
    await using s = await testStore();
    const plain = await layerSource([{ name: "f", content: "f" }]);
    const failing: LayerSource = {
      ...plain,
      // biome-ignore lint/correctness/useYield: it fails before its first bytes
      async *open() {
        throw new Error("no access");
      },
    };
    const [first, second] = await Promise.allSettled([
      s.store.unpack(failing, never),
      s.store.unpack(plain, never),
    ]);
    expect(first).toMatchObject({ status: "rejected", reason: { message: "no access" } });
    expect(second.status).toBe("fulfilled");
  });
});

/** A daemon's part that waits half way through a layer; killed at the end of the scope at the latest. */
async function halfUnpack(
  root: string,
): Promise<Disposable & { kill(): void; helper: string; inner: string }> {
  const script = join(import.meta.dirname, "half-unpack.ts");
  const daemon = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", script, root], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const kill = () => void daemon.kill("SIGKILL");
  try {
    const [line] = (await once(daemon.stdout, "data")) as [Buffer];
    const helper = line.toString().trim();
    const inner = await waitFor("the sandboxed process", () =>
      readFileSync(`/proc/${helper}/task/${helper}/children`, "utf8").trim(),
    );
    return { kill, helper, inner, [Symbol.dispose]: kill };
  } catch (error) {
    kill();
    throw error;
  }
}

describe("a daemon that dies", () => {
  it("with -9 half way: the helper goes with it, the next start frees what it left (A10)", async () => {
    await using s = await testStore();
    for (let round = 0; round < 3; round++) {
      using daemon = await halfUnpack(s.root);
      const { helper, inner } = daemon;
      expect(readdirSync(join(s.root, "tmp"))).toHaveLength(1);
      daemon.kill();
      await waitFor("helper to end", () => !existsSync(`/proc/${helper}`) && !existsSync(`/proc/${inner}`), {
        timeoutMs: 5000,
      });
      const store = await s.reopen();
      await store.freed();
      expect(readdirSync(join(s.root, "tmp"))).toEqual([]);
      expect(readdirSync(join(s.root, "trash"))).toEqual([]);
      expect(store.list()).toEqual([]);
    }
  });

  it("the helper works in a sandbox: own namespaces, six capabilities, seccomp, one folder as root", async ({
    skip,
  }) => {
    const other = process.env.KOBAKO_UNPACK !== undefined;
    skip(other, "a build with sanitizers has no filter: their runtime makes calls of its own");
    await using s = await testStore();
    using daemon = await halfUnpack(s.root);
    const { inner } = daemon;
    await waitFor("the filter", () => readFileSync(`/proc/${inner}/status`, "utf8").includes("Seccomp:\t2"));
    const status = readFileSync(`/proc/${inner}/status`, "utf8");
    // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, MKNOD, SETFCAP
    for (const set of ["CapPrm", "CapEff", "CapBnd"]) expect(status).toContain(`${set}:\t000000008800001b`);
    for (const set of ["CapInh", "CapAmb"]) expect(status).toContain(`${set}:\t0000000000000000`);
    expect(status).toContain("NoNewPrivs:\t1");
    for (const ns of ["mnt", "net", "pid", "ipc", "uts"]) {
      expect(readlinkSync(`/proc/${inner}/ns/${ns}`)).not.toBe(readlinkSync(`/proc/self/ns/${ns}`));
    }
    expect(readlinkSync(`/proc/${inner}/ns/user`)).toBe(readlinkSync("/proc/self/ns/user"));
    expect(readdirSync(`/proc/${inner}/root`)).toEqual(["fs"]);
    expect(readFileSync(`/proc/${inner}/mountinfo`, "utf8").trim().split("\n")).toHaveLength(1);
    expect(readFileSync(`/proc/${inner}/environ`, "utf8")).toBe("");
    daemon.kill();
    await waitFor("helper to end", () => !existsSync(`/proc/${inner}`), { timeoutMs: 5000 });
  });

  it("and starts in another boot: layers that were not synced are gone, synced ones are there (C8, C11)", async () => {
    await using s = await testStore();
    const [synced, unsynced] = [
      await layerSource([{ name: "a", content: "a" }]),
      await layerSource([{ name: "b", content: "b" }]),
    ];
    const kept = await s.store.unpack(synced, never);
    await s.store.sync();
    await s.store.unpack(unsynced, never);
    const again = await s.reopen();
    expect(again.list()).toHaveLength(2);
    for (const name of readdirSync(s.root).filter((n) => n.startsWith("sha256-"))) {
      const file = join(s.root, name, "layer.json");
      writeFileSync(file, readFileSync(file, "utf8").replace(/"bootId":"[^"]*"/, '"bootId":"another"'));
    }
    const rebooted = await s.reopen();
    expect(rebooted.list()).toEqual([kept]);
    await rebooted.freed();
    expect(readdirSync(s.root).filter((n) => n.startsWith("sha256-"))).toHaveLength(1);
    expect((await rebooted.usage()).usedBytes).toBe(kept.sizeBytes);
  });

  it("finds a layer folder that was emptied, or whose record is damaged, and does not answer for it (C12, C15)", async () => {
    await using s = await testStore();
    const a = await s.store.unpack(await layerSource([{ name: "a", content: "a" }]), never);
    const b = await s.store.unpack(await layerSource([{ name: "b", content: "b" }]), never);
    const c = await s.store.unpack(await layerSource([{ name: "c", content: "c" }]), never);
    rmSync(a.path, { recursive: true });
    writeFileSync(join(b.path, "../layer.json"), '{"version":1,"key":');
    const again = await s.reopen();
    expect(again.list()).toEqual([c]);
  });
});

it("removal takes a layer away at once, frees it behind, and the counted space returns", async () => {
  await using s = await testStore();
  expect(await s.store.usage()).toMatchObject({ usedBytes: 0, inodesUsed: 0 });
  const a = await s.store.unpack(await layerSource([{ name: "a", content: "a".repeat(10_000) }]), never);
  const b = await s.store.unpack(await layerSource([{ name: "b", content: "b" }]), never);
  const both = await s.store.usage();
  expect(both).toMatchObject({ usedBytes: a.sizeBytes + b.sizeBytes, inodesUsed: 4 });
  expect(both.mountpoint.startsWith("/")).toBe(true);
  await s.store.remove([a.key, "sha256:unknown"]);
  expect(s.store.find(a.key)).toBeUndefined();
  expect(existsSync(a.path)).toBe(false);
  expect(await s.store.usage()).toMatchObject({ usedBytes: b.sizeBytes, inodesUsed: 2 });
  await s.store.freed();
  expect(readdirSync(join(s.root, "trash"))).toEqual([]);
});

it("removal of several forgets all of them at once: who asks for one meanwhile unpacks it again, and keeps it", async () => {
  await using s = await testStore();
  const sources = await Promise.all(["a", "b", "c"].map((name) => layerSource([{ name, content: name }])));
  const layers = await Promise.all(sources.map((source) => s.store.unpack(source, never)));
  const removed = s.store.remove(layers.map(({ key }) => key));
  expect(s.store.list()).toEqual([]);
  expect(layers.map(({ key }) => s.store.match(key, []))).toEqual([undefined, undefined, undefined]);
  const again = await Promise.all(sources.map((source) => s.store.unpack(source, never)));
  await removed;
  await s.store.freed();
  expect(again.map(({ path }) => readdirSync(path))).toEqual([["a"], ["b"], ["c"]]);
});
