/** Pulls from the reference to layers on disk, and what is left of those that fail. */
import { execFileSync } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import type { PullProgress } from "../../../src/image/images.ts";
import {
  buildImage,
  buildIndex,
  buildLayer,
  sha256,
  tarOf,
  layerOfTar,
} from "../../support/image-builder.ts";
import { Registry, registryPassword, registryUser } from "../../support/registry.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { errorOf, soon } from "../registry/client.ts";
import { ScriptedRegistry } from "../registry/scripted-registry.ts";
import { ImagesFixture } from "./images-fixture.ts";

const three = () =>
  buildImage({
    layers: [
      [{ name: "a", content: "one" }],
      [{ name: "b", content: "two" }],
      [{ name: "c", content: "three" }],
    ],
    config: {
      User: "1000:1000",
      Env: ["A=b"],
      Entrypoint: ["/a"],
      Cmd: ["-x"],
      WorkingDir: "/w",
      StopSignal: "SIGQUIT",
    },
  });

/** Blobs that were asked for, once per request. */
function blobs(registry: ScriptedRegistry): string[] {
  return registry.seen("/blobs/").map(({ url }) => url.replace(/.*\/blobs\//, ""));
}

describe("a pull", () => {
  it.each(["gzip", "zstd", "none"] as const)(
    "brings an image of %s layers from a real registry",
    async (compression) => {
      await using registry = await Registry.start({ auth: true });
      await using node = await ImagesFixture.open();
      const built = await buildImage({
        layers: [[{ name: "etc/x", content: "hello" }], [{ name: "y" }]],
        compression,
      });
      const ref = await registry.push("team/app", "v1", built);
      const states = new Map<string, PullProgress[]>();
      const image = await node.images.pull(
        ref,
        {
          auth: { username: registryUser, password: registryPassword },
          onProgress: (p) => states.set(p.digest, [...(states.get(p.digest) ?? []), p]),
        },
        soon(),
      );
      expect(image).toMatchObject({
        id: built.id,
        repoTags: [ref],
        repoDigests: [`${registry.host}/team/app@${built.manifest.digest}`],
        pinned: false,
      });
      expect(image.sizeBytes).toBeGreaterThan(0n);
      expect(image.layers).toHaveLength(2);
      const [lowest = ""] = image.layers;
      const folder = node.layers.list().find(({ key }) => key === lowest)?.path ?? "";
      expect(await readFile(join(folder, "etc/x"), "utf8")).toBe("hello");
      for (const layer of built.layers) {
        const reports = states.get(layer.digest) ?? [];
        expect(reports[0]).toMatchObject({ state: "waiting", bytes: 0, totalBytes: layer.bytes.byteLength });
        expect(reports.at(-1)).toMatchObject({ state: "done", bytes: layer.bytes.byteLength });
        expect(reports.map(({ state }) => state)).toContain("extracting");
      }
      const filesystem = await node.images.fsInfo();
      expect(filesystem.usedBytes).toBeGreaterThan(0n);
      expect(filesystem.inodesUsed).toBeGreaterThan(0n);
    },
  );

  it("gives the configuration that a container starts with", async () => {
    await using registry = await ScriptedRegistry.start();
    await using node = await ImagesFixture.open();
    const image = await node.images.pull(registry.add("a", "v1", await three()), {}, soon());
    expect(image.user).toBe("1000:1000");
    expect(image.config).toMatchObject({
      env: ["A=b"],
      entrypoint: ["/a"],
      cmd: ["-x"],
      workingDir: "/w",
      stopSignal: "SIGQUIT",
    });
  });

  it("takes from an index what suits this machine", async () => {
    await using registry = await ScriptedRegistry.start();
    await using node = await ImagesFixture.open({
      platform: { os: "linux", architecture: "arm64", variant: "" },
    });
    const images = await Promise.all(
      ["amd64", "arm64", "s390x"].map(async (architecture) => {
        const platform = { os: "linux", architecture };
        return { image: await buildImage({ layers: [[{ name: architecture }]], platform }), platform };
      }),
    );
    const index = buildIndex(images);
    const image = await node.images.pull(registry.add("a", "v1", index), {}, soon());
    expect(image.id).toBe(images[1]?.image.id);
    expect(image.repoDigests).toEqual([`${registry.host}/a@${index.manifest.digest}`]);
  });

  it("takes for a handler of another platform that platform's image, also when the index is known", async () => {
    await using registry = await ScriptedRegistry.start();
    await using node = await ImagesFixture.open({
      platform: (handler) => ({
        os: "linux",
        architecture: handler === "emulated" ? "s390x" : "arm64",
        variant: "",
      }),
    });
    const images = await Promise.all(
      ["arm64", "s390x"].map(async (architecture) => {
        const platform = { os: "linux", architecture };
        return { image: await buildImage({ layers: [[{ name: architecture }]], platform }), platform };
      }),
    );
    const ref = registry.add("a", "v1", buildIndex(images));
    for (const [runtimeHandler, place] of [
      ["", 0],
      ["emulated", 1],
      ["runc", 0],
    ] as const)
      expect((await node.images.pull(ref, { runtimeHandler }, soon())).id).toBe(images[place]?.image.id);
  });

  it("of what is here asks for its digest and nothing else", async () => {
    await using registry = await ScriptedRegistry.start();
    await using node = await ImagesFixture.open();
    const ref = registry.add("a", "v1", await three());
    const first = await node.images.pull(ref, {}, soon());
    registry.requests.length = 0;
    const states: string[] = [];
    const again = await node.images.pull(ref, { onProgress: ({ state }) => states.push(state) }, soon());
    expect(again).toEqual(first);
    expect(registry.requests.map(({ method, url }) => `${method} ${url}`)).toEqual([
      "HEAD /v2/a/manifests/v1",
    ]);
    expect(new Set(states)).toEqual(new Set(["waiting", "exists"]));
  });

  it("fetches a layer that two images share once", async () => {
    await using registry = await ScriptedRegistry.start();
    await using node = await ImagesFixture.open();
    const shared = await buildLayer([{ name: "shared", content: "x" }]);
    const refs = await Promise.all(
      ["a", "b"].map(async (name) =>
        registry.add(name, "v1", await buildImage({ layers: [shared, [{ name }]] })),
      ),
    );
    for (const ref of refs) await node.images.pull(ref, {}, soon());
    expect(blobs(registry).filter((digest) => digest === shared.digest)).toHaveLength(1);
    expect(node.layers.list()).toHaveLength(3);
  });

  it("of an image without layers, or with one layer twice, works", async () => {
    await using registry = await ScriptedRegistry.start();
    await using node = await ImagesFixture.open();
    const none = await node.images.pull(
      registry.add("none", "v1", await buildImage({ layers: [] })),
      {},
      soon(),
    );
    expect(none.layers).toEqual([]);
    expect(none.sizeBytes).toBeGreaterThan(0n);
    const layer = await buildLayer([{ name: "x" }]);
    const twice = await node.images.pull(
      registry.add("twice", "v1", await buildImage({ layers: [layer, layer] })),
      {},
      soon(),
    );
    expect(twice.layers).toEqual([layer.diffId, layer.diffId]);
    expect(blobs(registry).filter((digest) => digest === layer.digest)).toHaveLength(1);
  });

  it("never asks the urls of a layer, nor takes a name from the image", async () => {
    await using elsewhere = await ScriptedRegistry.start();
    await using registry = await ScriptedRegistry.start();
    await using node = await ImagesFixture.open();
    const layer = await buildLayer([{ name: "x" }]);
    const urls = [`${elsewhere.url}/layer`];
    const image = await buildImage({
      layers: [layer],
      annotations: { "org.opencontainers.image.ref.name": "docker.io/library/busybox:latest" },
      overrides: {
        manifest: {
          layers: [{ mediaType: layer.mediaType, digest: layer.digest, size: layer.bytes.byteLength, urls }],
        },
      },
    });
    const ref = registry.add("a", "v1", image);
    const pulled = await node.images.pull(ref, { auth: { username: "u", password: "p" } }, soon());
    expect(pulled.repoTags).toEqual([ref]);
    expect(node.images.find("busybox")).toBeUndefined();
    expect(elsewhere.requests).toEqual([]);
  });

  it("writes the record only after the layers are on disk, and answers after the record is", async () => {
    await using registry = await ScriptedRegistry.start();
    await using node = await ImagesFixture.open();
    const order: string[] = [];
    const sync = node.layers.sync.bind(node.layers);
    vi.spyOn(node.layers, "sync").mockImplementation(async () => {
      await sync();
      order.push(`synced ${node.layers.list().length} layers, ${node.images.list().length} images`);
    });
    await node.images.pull(registry.add("a", "v1", await three()), {}, soon());
    expect(order).toEqual(["synced 3 layers, 0 images"]);
    await using restarted = await ImagesFixture.open({ root: node.root });
    expect(restarted.images.list()).toEqual(node.images.list());
  });
});

describe("tags", () => {
  it("of one image are one image", async () => {
    await using registry = await ScriptedRegistry.start();
    await using node = await ImagesFixture.open();
    const built = await three();
    const refs = ["v1", "v2", "v3"].map((tag) => registry.add("a", tag, built));
    for (const ref of refs) await node.images.pull(ref, {}, soon());
    const [image, ...others] = node.images.list();
    expect(others).toEqual([]);
    expect(image?.repoTags).toEqual(refs);
    expect(image?.repoDigests).toHaveLength(1);
    for (const ref of [
      ...refs,
      built.id,
      built.id.slice(7, 20),
      `${registry.host}/a@${built.manifest.digest}`,
    ]) {
      expect(node.images.find(ref)?.id).toBe(built.id);
      expect(node.images.list(ref)).toHaveLength(1);
    }
  });

  it("that move leave the old image under its digest, also after a restart", async () => {
    await using registry = await ScriptedRegistry.start();
    await using node = await ImagesFixture.open();
    const [old, next] = [await three(), await buildImage({ layers: [[{ name: "new" }]] })];
    const ref = registry.add("a", "v1", old);
    await node.images.pull(ref, {}, soon());
    registry.add("a", "v1", next);
    await node.images.pull(ref, {}, soon());
    await using restarted = await ImagesFixture.open({ root: node.root });
    for (const { images } of [node, restarted]) {
      expect(images.get(ref).id).toBe(next.id);
      expect(images.get(old.id)).toMatchObject({
        repoTags: [],
        repoDigests: [`${registry.host}/a@${old.manifest.digest}`],
      });
    }
  });

  it("are taken away one by one, and with the last the image and its own layers", async () => {
    await using registry = await ScriptedRegistry.start();
    await using node = await ImagesFixture.open();
    const shared = await buildLayer([{ name: "shared" }]);
    const other = await node.images.pull(
      registry.add("other", "v1", await buildImage({ layers: [shared] })),
      {},
      soon(),
    );
    const built = await buildImage({ layers: [shared, [{ name: "own" }]] });
    const refs = ["v1", "v2"].map((tag) => registry.add("a", tag, built));
    for (const ref of refs) await node.images.pull(ref, {}, soon());
    await node.images.remove(refs[0] ?? "");
    expect(node.images.find(refs[0] ?? "")).toBeUndefined();
    expect(node.images.get(built.id).repoTags).toEqual([refs[1]]);
    await node.images.remove(refs[1] ?? "");
    expect(node.images.list().map(({ id }) => id)).toEqual([other.id]);
    expect(node.layerKeys()).toEqual([shared.diffId]);
    await node.images.remove(refs[1] ?? ""); // again: done
    await node.images.remove(other.id);
    expect(node.layerKeys()).toEqual([]);
  });

  it("can go while a container uses the image; the image cannot", async () => {
    await using registry = await ScriptedRegistry.start();
    await using node = await ImagesFixture.open();
    const built = await three();
    const refs = ["v1", "v2"].map((tag) => registry.add("a", tag, built));
    for (const ref of refs) await node.images.pull(ref, {}, soon());
    node.used.add(built.id);
    await node.images.remove(refs[0] ?? "");
    for (const ref of [refs[1] ?? "", built.id]) {
      expect(await errorOf(node.images.remove(ref))).toMatchObject({ kind: "failed-precondition" });
    }
    expect(node.layers.list()).toHaveLength(3);
    node.used.clear();
    await node.images.remove(built.id);
    expect(node.images.list()).toEqual([]);
  });
});

describe("an image that is refused leaves no image", () => {
  it("of another platform: both platforms are named", async () => {
    await using registry = await ScriptedRegistry.start();
    await using node = await ImagesFixture.open({
      platform: { os: "linux", architecture: "amd64", variant: "" },
    });
    const platform = { os: "linux", architecture: "arm64" };
    const image = await buildImage({ layers: [[{ name: "x" }]], platform });
    const refs = [
      registry.add("single", "v1", image),
      registry.add("index", "v1", buildIndex([{ image, platform }])),
    ];
    for (const ref of refs) {
      const error = await errorOf(node.images.pull(ref, {}, soon()));
      expect(error).toMatchObject({ kind: "invalid-argument" });
      expect(error.message).toBe(`${ref} is not offered for linux/amd64, only for linux/arm64`);
    }
    expect(blobs(registry)).toEqual([image.config.digest]);
    expect(node.images.list()).toEqual([]);
  });

  it("whose indexes are nested too deep, or hold themselves", async () => {
    await using registry = await ScriptedRegistry.start();
    await using node = await ImagesFixture.open();
    const platform = { os: "linux", architecture: process.arch === "x64" ? "amd64" : process.arch };
    const image = await buildImage({ layers: [[{ name: "x" }]] });
    const inner = buildIndex([{ image, platform }]);
    const nest = (index: typeof inner) =>
      buildIndex([{ image: { ...image, manifest: index.manifest }, platform }]);
    registry.add("a", "inner", inner);
    const twice = nest(inner);
    expect((await node.images.pull(registry.add("a", "two", twice), {}, soon())).id).toBe(image.id);
    await node.images.remove(image.id);
    const error = await errorOf(node.images.pull(registry.add("a", "three", nest(twice)), {}, soon()));
    expect(error.message).toContain("index of indexes deeper than 2");
  });

  it("whose layer has another digest, size or diff id; the next pull of the mended image works", async () => {
    await using registry = await ScriptedRegistry.start();
    await using node = await ImagesFixture.open();
    const built = await three();
    const ref = registry.add("a", "v1", built);
    const [layer] = built.layers;
    const content = Buffer.from(layer?.bytes ?? []);
    const bad: Record<string, Buffer> = {
      altered: Buffer.from(content.map((byte, i) => (i === content.length >> 1 ? byte ^ 1 : byte))),
      longer: Buffer.concat([content, Buffer.alloc(10)]),
      shorter: content.subarray(0, -10),
    };
    for (const [how, bytes] of Object.entries(bad)) {
      registry.script = ({ url }, response) => {
        if (!url.includes(layer?.digest ?? "")) return false;
        response.end(bytes);
        return true;
      };
      const error = await errorOf(node.images.pull(ref, {}, soon()));
      expect([how, error.kind]).toEqual([how, "invalid-argument"]);
      expect(node.images.list()).toEqual([]);
    }
    registry.script = () => false;
    expect((await node.images.pull(ref, {}, soon())).id).toBe(built.id);

    const tar = await tarOf([{ name: "x" }]);
    const lying = await buildImage({ layers: [layerOfTar(tar, { diffId: sha256("other") })] });
    expect(await errorOf(node.images.pull(registry.add("b", "v1", lying), {}, soon()))).toMatchObject({
      kind: "invalid-argument",
    });
    expect(node.images.find(lying.id)).toBeUndefined();
  });

  it("whose config has more or fewer diff ids than layers", async () => {
    await using registry = await ScriptedRegistry.start();
    await using node = await ImagesFixture.open();
    const layer = await buildLayer([{ name: "x" }]);
    for (const diff_ids of [[], [layer.diffId, layer.diffId]]) {
      const built = await buildImage({
        layers: [layer],
        overrides: { config: { rootfs: { type: "layers", diff_ids } } },
      });
      const error = await errorOf(node.images.pull(registry.add("a", "v1", built), {}, soon()));
      expect(error.message).toContain(`has 1 layers and ${diff_ids.length} diff ids`);
    }
  });

  it("that the registry refuses or does not have", async () => {
    await using registry = await Registry.start({ auth: true });
    await using node = await ImagesFixture.open();
    const ref = await registry.push("private", "v1", await three());
    const auth = { username: registryUser, password: registryPassword };
    await node.images.pull(ref, { auth }, soon());
    const byDigest = node.images.get(ref).repoDigests[0] ?? "";
    for (const name of [ref, byDigest]) {
      expect((await errorOf(node.images.pull(name, {}, soon()))).kind).toBe("unauthenticated"); // although it is here
      await node.images.pull(name, { auth }, soon());
    }
    expect((await errorOf(node.images.pull(`${registry.host}/none`, { auth }, soon()))).kind).toBe(
      "not-found",
    );
    expect((await errorOf(node.images.pull("UPPER", {}, soon()))).kind).toBe("invalid-argument");
  });
});

describe("pulls at the same time", () => {
  it("fifty of one image, half of them cancelled: one download, the others succeed", async () => {
    await using registry = await ScriptedRegistry.start();
    await using node = await ImagesFixture.open();
    const built = await three();
    const ref = registry.add("a", "v1", built);
    const gate = Promise.withResolvers<void>();
    registry.script = async ({ url }) => {
      if (url.includes(built.layers[2]?.digest ?? "")) await gate.promise;
      return false;
    };
    const controllers = Array.from({ length: 50 }, () => new AbortController());
    const pulls = controllers.map(({ signal }) => node.images.pull(ref, {}, signal));
    await registry.until(built.layers[2]?.digest ?? "");
    for (const [i, controller] of controllers.entries()) if (i % 2 === 0) controller.abort();
    gate.resolve();
    const results = await Promise.allSettled(pulls);
    expect(results.map(({ status }) => status)).toEqual(
      controllers.map((_, i) => (i % 2 === 0 ? "rejected" : "fulfilled")),
    );
    expect(blobs(registry).sort()).toEqual(
      [built.config.digest, ...built.layers.map(({ digest }) => digest)].sort(),
    );
  });

  it("of two images that share a layer: cancelling one leaves the other whole", async () => {
    await using registry = await ScriptedRegistry.start();
    await using node = await ImagesFixture.open();
    const shared = await buildLayer([{ name: "shared", content: "x".repeat(1000) }]);
    const refs = await Promise.all(
      ["a", "b"].map(async (name) =>
        registry.add(name, "v1", await buildImage({ layers: [shared, [{ name }]] })),
      ),
    );
    const gate = Promise.withResolvers<void>();
    registry.script = async ({ url }) => {
      if (url.includes(shared.digest)) await gate.promise;
      return false;
    };
    const first = new AbortController();
    const pulls = [node.images.pull(refs[0] ?? "", {}, first.signal)];
    await registry.until(shared.digest);
    pulls.push(node.images.pull(refs[1] ?? "", {}, soon()));
    await vi.waitFor(() => expect(node.layers.list()).toHaveLength(2)); // both have all but the shared one
    first.abort();
    gate.resolve();
    const [cancelled, whole] = await Promise.allSettled(pulls);
    expect(cancelled?.status).toBe("rejected");
    expect(whole).toMatchObject({ status: "fulfilled" });
  });

  it("cancelled by all end within a second, and what was fetched is not fetched again", async () => {
    await using registry = await ScriptedRegistry.start();
    await using node = await ImagesFixture.open();
    const built = await three();
    const ref = registry.add("a", "v1", built);
    registry.script = ({ url }) => url.includes(built.layers[2]?.digest ?? "");
    const controller = new AbortController();
    const pull = node.images.pull(ref, {}, controller.signal);
    await vi.waitFor(() => expect(node.layers.list()).toHaveLength(2));
    const started = performance.now();
    controller.abort();
    expect((await errorOf(pull)).name).toBe("AbortError");
    expect(performance.now() - started).toBeLessThan(1000);
    expect(node.images.list()).toEqual([]);
    registry.script = () => false;
    registry.requests.length = 0;
    await node.images.pull(ref, {}, soon());
    expect(blobs(registry).sort()).toEqual([built.config.digest, built.layers[2]?.digest].sort());
  });
});

describe("what is lost on disk", () => {
  it("a layer that was removed by hand takes its image off the list, and a pull fetches that layer alone", async () => {
    await using registry = await ScriptedRegistry.start();
    await using node = await ImagesFixture.open();
    const built = await three();
    const ref = registry.add("a", "v1", built);
    const image = await node.images.pull(ref, {}, soon());
    const path = node.layers.list().find(({ key }) => key === image.layers[1])?.path ?? "";
    await rm(dirname(path), { recursive: true });
    await using restarted = await ImagesFixture.open({ root: node.root });
    expect(restarted.images.list()).toEqual([]);
    registry.requests.length = 0;
    expect((await restarted.images.pull(ref, {}, soon())).repoTags).toEqual([ref]);
    expect(blobs(registry)).toEqual([built.config.digest, built.layers[1]?.digest]);
  });

  it.each([
    ["a layer's folder", (path: string) => dirname(path)],
    ["a layer's files", (path: string) => path],
  ])("%s, removed by hand while the daemon runs: a pull fetches that layer alone", async (_name, lost) => {
    await using registry = await ScriptedRegistry.start();
    await using node = await ImagesFixture.open();
    const built = await three();
    const ref = registry.add("a", "v1", built);
    const image = await node.images.pull(ref, {}, soon());
    const path = node.layers.find(image.layers[1] ?? "")?.path ?? "";
    await rm(lost(path), { recursive: true });
    registry.requests.length = 0;
    expect(await node.images.pull(ref, {}, soon())).toMatchObject({ repoTags: [ref], layers: image.layers });
    expect(blobs(registry)).toEqual([built.config.digest, built.layers[1]?.digest]);
    expect(await readFile(join(path, "b"), "utf8")).toBe("two");
  });

  it("a layer that can't be fetched again takes its image off the list, until it can", async () => {
    await using registry = await ScriptedRegistry.start();
    await using node = await ImagesFixture.open();
    const built = await three();
    const ref = registry.add("a", "v1", built);
    const image = await node.images.pull(ref, {}, soon());
    await rm(node.layers.find(image.layers[1] ?? "")?.path ?? "", { recursive: true });
    registry.script = ({ url }, response) => {
      if (!url.includes("/blobs/")) return false;
      response.writeHead(404).end();
      return true;
    };
    expect((await errorOf(node.images.pull(ref, {}, soon()))).kind).toBe("not-found");
    expect(node.images.list()).toEqual([]);
    registry.script = () => false;
    await node.images.pull(ref, {}, soon());
    expect(node.images.list()).toMatchObject([{ id: image.id, repoTags: [ref] }]);
  });

  it("a layer that another image shares is fetched for that one", async () => {
    await using registry = await ScriptedRegistry.start();
    await using node = await ImagesFixture.open();
    const shared = await buildLayer([{ name: "shared", content: "x" }]);
    const [first = "", second = ""] = await Promise.all(
      ["a", "b"].map(async (name) =>
        registry.add(name, "v1", await buildImage({ layers: [shared, [{ name }]] })),
      ),
    );
    await node.images.pull(first, {}, soon());
    const path = node.layers.find(shared.diffId)?.path ?? "";
    await rm(dirname(path), { recursive: true });
    await node.images.pull(second, {}, soon());
    expect(await readFile(join(path, "shared"), "utf8")).toBe("x");
  });

  it("layers that no image has are gone after their time of grace", async () => {
    await using registry = await ScriptedRegistry.start();
    await using node = await ImagesFixture.open({ orphanGraceMs: 0 });
    const built = await three();
    const ref = registry.add("a", "v1", built);
    registry.script = ({ url }, response) => {
      if (!url.includes(built.layers[2]?.digest ?? "")) return false;
      response.writeHead(404).end();
      return true;
    };
    expect((await errorOf(node.images.pull(ref, {}, soon()))).kind).toBe("not-found");
    expect(node.layerKeys()).toEqual([]);
  });
});

it("a full disk refuses the image, gives its space back and leaves the others whole", async () => {
  await using registry = await ScriptedRegistry.start();
  await using folder = await tempDir("full");
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=80m,mode=0700", "tmpfs", folder.path]);
  try {
    // The store leaves 64 MiB of a file system alone.
    await using node = await ImagesFixture.open({ root: folder.path });
    const noise = () => randomFillSync(Buffer.alloc(8 << 20));
    const small = registry.add("small", "v1", await three());
    await node.images.pull(small, {}, soon());
    const large = await buildImage({
      layers: Array.from({ length: 12 }, (_, i) => [{ name: `${i}`, content: noise() }]),
      compression: "none",
    });
    const error = await errorOf(node.images.pull(registry.add("large", "v1", large), {}, soon()));
    expect(error.kind).toBe("resource-exhausted");
    expect(node.images.list().map(({ repoTags }) => repoTags)).toEqual([[small]]);
    expect(node.layers.list()).toHaveLength(3);
    const fits = await buildImage({ layers: [[{ name: "f", content: noise() }]], compression: "none" });
    await vi.waitFor(
      async () => await node.images.pull(registry.add("fits", "v1", fits), {}, soon()),
      10_000,
    );
  } finally {
    execFileSync("umount", ["-l", folder.path]);
  }
});
