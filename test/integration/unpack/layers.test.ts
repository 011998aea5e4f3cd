/** What an honest layer becomes on disk, and what one layer owes to those below it. */
import { execFileSync } from "node:child_process";
import { lstatSync, mkdirSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Layer, LayerSource } from "../../../src/content/layer-store.ts";
import { lowerFolders } from "../../../src/oci/layer-stack.ts";
import { type Entry, layerOfTar, tarOf } from "../../support/image-builder.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { rawEntry, rawPax, rawTar } from "../../corpus/layers/raw-tar.ts";
import { type TestStore, layerSource, listing, never, sourceOf, testStore, xattrs } from "./store.ts";

const time = (iso: string) => new Date(`2020-${iso}T00:00:00Z`);

/** Unpacks layers over each other, lowest first, all at once as a pull does. */
async function unpackAll(
  s: TestStore,
  stack: readonly (readonly Entry[])[],
): Promise<{ layers: Layer[]; sources: LayerSource[] }> {
  const diffIds: string[] = [];
  const sources: LayerSource[] = [];
  for (const entries of stack) {
    const source = await layerSource(entries, [...diffIds]);
    sources.push(source);
    diffIds.push(source.diffId);
  }
  return { layers: await Promise.all(sources.map((source) => s.store.unpack(source, never))), sources };
}

/** What a container sees: a real overlay of the layers. */
async function merged<T>(layers: readonly Layer[], look: (root: string) => T): Promise<T> {
  await using dir = await tempDir("overlay", "/var/tmp");
  for (const name of ["upper", "work", "at"]) mkdirSync(join(dir.path, name));
  const at = join(dir.path, "at");
  const options = `userxattr,lowerdir=${lowerFolders(layers).join(":")},upperdir=${dir.path}/upper,workdir=${dir.path}/work`;
  execFileSync("mount", ["-t", "overlay", "overlay", "-o", options, at]);
  try {
    return look(at);
  } finally {
    execFileSync("umount", [at]);
  }
}

describe("one layer", () => {
  it("keeps types, modes with set-id bits, owners, times, links and devices (L10)", async () => {
    await using s = await testStore();
    const source = await layerSource([
      { name: "./", mode: 0o711, uid: 3, gid: 4 },
      { name: "bin/", mode: 0o1777, mtime: time("01-01") },
      { name: "bin/su", content: "su", mode: 0o4755, mtime: time("01-02") },
      { name: "bin/wall", content: "wall", mode: 0o2755, gid: 5, mtime: time("01-03") },
      { name: "bin/own", content: "", mode: 0o4711, uid: 1000, gid: 1000, mtime: time("01-04") },
      { name: "bin/link", type: "symlink", linkname: "/bin/su", uid: 7, mtime: time("01-05") },
      { name: "bin/hard", type: "link", linkname: "bin/su", mode: 0o600 },
      { name: "dev/", mode: 0o755, mtime: time("01-06") },
      {
        name: "dev/null",
        type: "character-device",
        devmajor: 1,
        devminor: 3,
        mode: 0o666,
        mtime: time("01-07"),
      },
      {
        name: "dev/disk",
        type: "block-device",
        devmajor: 8,
        devminor: 1,
        mode: 0o660,
        gid: 6,
        mtime: time("01-08"),
      },
      { name: "dev/pipe", type: "fifo", mode: 0o620, mtime: time("01-09") },
    ]);
    const layer = await s.store.unpack(source, never);
    const at = (iso: string) => time(iso).getTime();
    expect(listing(layer.path)).toEqual([
      `bin 41777 0:0 ${at("01-01")}`,
      `bin/hard 104755 0:0 x2 ${at("01-02")} su`,
      `bin/link 120777 7:0 x1 ${at("01-05")} -> /bin/su`,
      `bin/own 104711 1000:1000 x1 ${at("01-04")}`,
      `bin/su 104755 0:0 x2 ${at("01-02")} su`,
      `bin/wall 102755 0:5 x1 ${at("01-03")} wall`,
      `dev 40755 0:0 ${at("01-06")}`,
      `dev/disk 60660 0:6 x1 ${at("01-08")} dev ${(8 << 8) | 1}`,
      `dev/null 20666 0:0 x1 ${at("01-07")} dev ${(1 << 8) | 3}`,
      `dev/pipe 10620 0:0 x1 ${at("01-09")}`,
    ]);
    expect(layer.root).toEqual({ mode: 0o711, uid: 3, gid: 4 });
    expect(layer.key).toBe(source.diffId);
  });

  it("keeps file capabilities, ACLs and user attributes, and leaves all others out (L9, L10)", async () => {
    await using s = await testStore();
    const capability = Buffer.from("0100000200040000000000000000000000000000", "hex");
    const tar = rawTar(
      rawPax({
        "SCHILY.xattr.security.capability": capability,
        "SCHILY.xattr.user.note": Buffer.from([1, 0, 2]),
        "SCHILY.xattr.trusted.overlay.metacopy": "",
        "SCHILY.xattr.user.overlay.redirect": "/etc/shadow",
      }),
      rawEntry({ name: "ping", mode: 0o755 }, "ping"),
    );
    const layer = await s.store.unpack(sourceOf(layerOfTar(tar)), never);
    expect(xattrs(join(layer.path, "ping"))).toEqual([
      `security.capability ${capability.toString("hex")}`,
      "user.note 010002",
    ]);
  });

  it.each(["gzip", "zstd", "none"] as const)("is the same from %s", async (compression) => {
    await using s = await testStore();
    const content = "kobako ".repeat(200_000);
    const source = await layerSource(
      [
        { name: "f", content },
        { name: "g", content: "g" },
      ],
      [],
      compression,
    );
    const layer = await s.store.unpack(source, never);
    expect(readFileSync(join(layer.path, "f"), "utf8")).toBe(content);
    expect(layer.sizeBytes).toBeGreaterThanOrEqual(content.length);
    expect(layer.sizeBytes).toBeLessThan(content.length + 65536);
  });

  it("of many gzip members or zstd frames is read to its end", async () => {
    const { gzipSync, zstdCompressSync } = await import("node:zlib");
    const tar = await tarOf([{ name: "f", content: "x".repeat(100_000) }]);
    for (const [compression, pack] of [
      ["gzip", gzipSync],
      ["zstd", zstdCompressSync],
    ] as const) {
      await using s = await testStore();
      const parts: Buffer[] = [];
      for (let at = 0; at < tar.length; at += 1000)
        parts.push(pack(tar.subarray(at, at + 1000)), pack(Buffer.alloc(0)));
      const whole = { ...layerOfTar(tar, { compression }), bytes: Buffer.concat(parts) };
      const digest = layerOfTar(Buffer.concat(parts), { compression: "none" }).digest;
      const layer = await s.store.unpack({ ...sourceOf({ ...whole, digest }) }, never);
      expect(statSync(join(layer.path, "f")).size).toBe(100_000);
    }
  });

  it("that lists a name twice has the later one, also in place of a full folder", async () => {
    await using s = await testStore();
    const source = await layerSource([
      { name: "a/b/c/", mode: 0o700 },
      { name: "a/b/c/f", content: "f" },
      { name: "a", content: "now a file" },
      { name: "l", type: "symlink", linkname: "a" },
      { name: "l", content: "now a file too" },
    ]);
    const layer = await s.store.unpack(source, never);
    expect(listing(layer.path).map((line) => line.split(" ")[0])).toEqual(["a", "l"]);
    expect(readFileSync(join(layer.path, "a"), "utf8")).toBe("now a file");
  });

  it.each([
    ["a wrong digest", { digest: `sha256:${"0".repeat(64)}` }],
    ["a wrong diff id (L14)", { diffId: `sha256:${"0".repeat(64)}` }],
    ["a size that is too small", { sizeBytes: 100 }],
    ["a size that is too large", { sizeBytes: 1_000_000 }],
    ["a wrong compression", { compression: "zstd" }],
  ] as const)("with %s is refused and leaves nothing (L14)", async (_, wrong) => {
    await using s = await testStore();
    const source = { ...(await layerSource([{ name: "f", content: "f".repeat(10_000) }])), ...wrong };
    await expect(s.store.unpack(source, never)).rejects.toMatchObject({ kind: "invalid-argument" });
    await s.store.freed();
    expect(readdirSync(s.root).sort()).toEqual(["tmp", "trash"]);
    expect(readdirSync(join(s.root, "tmp"))).toEqual([]);
    expect(await s.store.usage()).toMatchObject({ usedBytes: 0, inodesUsed: 0 });
  });

  it("of which one byte was changed or that was cut short is refused, wherever", async () => {
    const built = layerOfTar(
      await tarOf([
        { name: "f", content: Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 7919) % 251)) },
      ]),
    );
    for (let at = 0; at < built.bytes.length; at += 97) {
      await using s = await testStore();
      const bytes = Buffer.from(built.bytes);
      bytes[at] = (bytes[at] ?? 0) ^ 0x10;
      await expect(s.store.unpack(sourceOf({ ...built, bytes }), never)).rejects.toMatchObject({
        kind: "invalid-argument",
      });
      const cut = sourceOf({ ...built, bytes: built.bytes.subarray(0, at) });
      await expect(s.store.unpack({ ...cut, sizeBytes: built.bytes.length }, never)).rejects.toMatchObject({
        kind: "invalid-argument",
      });
    }
  });
});

describe("layers on each other, as an overlay shows them", () => {
  it("a whiteout hides one name of the layers below (image-spec layer.md, Whiteouts)", async () => {
    await using s = await testStore();
    const { layers } = await unpackAll(s, [
      [
        { name: "d/" },
        { name: "d/gone", content: "1" },
        { name: "d/stays", content: "1" },
        { name: "tree/" },
        { name: "tree/f" },
      ],
      [{ name: "d/" }, { name: "d/.wh.gone" }, { name: ".wh.tree" }],
    ]);
    expect(await merged(layers, (root) => [readdirSync(root), readdirSync(join(root, "d"))])).toEqual([
      ["d"],
      ["stays"],
    ]);
  });

  it.each(["first", "in the middle", "last"])(
    "an opaque mark that comes %s hides what is below and no sibling (L8)",
    async (place) => {
      await using s = await testStore();
      const mark = { name: "d/.wh..wh..opq" };
      const [a, b] = [
        { name: "d/a", content: "new" },
        { name: "d/b", content: "new" },
      ];
      const list = { first: [mark, a, b], "in the middle": [a, mark, b], last: [a, b, mark] }[place] ?? [];
      const { layers } = await unpackAll(s, [
        [
          { name: "d/" },
          { name: "d/a", content: "old" },
          { name: "d/old", content: "old" },
          { name: "d/sub/" },
          { name: "d/sub/old" },
        ],
        [{ name: "d/" }, ...list, { name: "d/sub/new" }],
      ]);
      const seen = await merged(layers, (root) =>
        listing(join(root, "d")).map((line) => line.replace(/ .* /, " ")),
      );
      expect(seen.map((line) => line.split(" ")[0])).toEqual(["a", "b", "sub", "sub/new"]);
      expect(seen[0]).toBe("a new");
    },
  );

  it("an opaque mark in the root hides all layers below", async () => {
    await using s = await testStore();
    const { layers } = await unpackAll(s, [
      [{ name: "old", content: "" }],
      [{ name: ".wh..wh..opq" }, { name: "new", content: "" }],
    ]);
    expect(await merged(layers, (root) => readdirSync(root))).toEqual(["new"]);
  });

  it("a name that a layer removes and makes again is the new one alone", async () => {
    await using s = await testStore();
    const old = [
      { name: "d/" },
      { name: "d/old", content: "" },
      { name: "e/" },
      { name: "e/old", content: "" },
    ];
    const { layers } = await unpackAll(s, [
      old,
      [
        { name: ".wh.d" },
        { name: "d/" },
        { name: "d/new", content: "" },
        { name: "e/" },
        { name: "e/new", content: "" },
        { name: ".wh.e" },
      ],
    ]);
    expect(
      await merged(layers, (root) => [readdirSync(join(root, "d")), readdirSync(join(root, "e"))]),
    ).toEqual([["new"], ["new"]]);
  });
});

describe("a layer that implies what is below it", () => {
  it("has the attributes that the folder has below, and is keyed by its chain id", async () => {
    await using s = await testStore();
    const { layers, sources } = await unpackAll(s, [
      [
        { name: "srv/", mode: 0o1770, uid: 10, gid: 20, mtime: time("03-01") },
        { name: "srv/www/", mode: 0o700, uid: 11, mtime: time("03-02") },
      ],
      [{ name: "srv/www/page", content: "page" }],
    ]);
    const [base, top] = layers as [Layer, Layer];
    const lines = listing(top.path);
    expect(lines[0]).toBe(`srv 41770 10:20 ${time("03-01").getTime()}`);
    expect(lines[1]).toBe(`srv/www 40700 11:0 ${time("03-02").getTime()}`);
    expect(base.key).toBe(sources[0]?.diffId);
    expect(top.key).not.toBe(sources[1]?.diffId);
    expect(s.store.find(top.key)).toEqual(top);
    expect(s.store.match(sources[1]?.diffId ?? "", sources[1]?.parents ?? [])).toEqual(top);
  });

  it("is unpacked again above other layers, and not when it depends on none", async () => {
    await using s = await testStore();
    const folder = (mode: number) => layerSource([{ name: "d/", mode }]);
    const [open, closed] = [await folder(0o755), await folder(0o700)];
    for (const source of [open, closed]) await s.store.unpack(source, never);
    const implied = await tarOf([{ name: "d/f", content: "f" }]);
    const above = (parent: LayerSource) =>
      s.store.unpack(sourceOf(layerOfTar(implied), [parent.diffId]), never);
    const [a, b, again] = [await above(open), await above(closed), await above(open)];
    expect(statSync(join(a.path, "d")).mode & 0o777).toBe(0o755);
    expect(statSync(join(b.path, "d")).mode & 0o777).toBe(0o700);
    expect(again).toEqual(a);
    const free = await tarOf([{ name: "g", content: "g" }]);
    const one = await s.store.unpack(sourceOf(layerOfTar(free), [open.diffId]), never);
    expect(await s.store.unpack(sourceOf(layerOfTar(free), [closed.diffId]), never)).toEqual(one);
  });

  it("puts files where a link of a lower layer leads (lib -> usr/lib)", async () => {
    await using s = await testStore();
    const { layers } = await unpackAll(s, [
      [
        { name: "usr/", mtime: time("04-01") },
        { name: "usr/lib/", mode: 0o751, mtime: time("04-02") },
        { name: "usr/lib/old", content: "" },
        { name: "lib", type: "symlink", linkname: "usr/lib" },
      ],
      [{ name: "etc/conf", content: "" }],
      [
        { name: "lib/new", content: "new" },
        { name: "lib/sub/deep", content: "deep" },
        { name: "lib/.wh.old" },
      ],
    ]);
    const top = layers[2] as Layer;
    expect(listing(top.path).map((line) => line.split(" ")[0])).toEqual([
      "usr",
      "usr/lib",
      "usr/lib/new",
      "usr/lib/old",
      "usr/lib/sub",
      "usr/lib/sub/deep",
    ]);
    expect(statSync(join(top.path, "usr/lib")).mode & 0o777).toBe(0o751);
    expect(statSync(join(top.path, "usr")).mtime).toEqual(time("04-01"));
    const seen = await merged(layers, (root) => [
      lstatSync(join(root, "lib")).isSymbolicLink(),
      readFileSync(join(root, "lib/sub/deep"), "utf8"),
      readdirSync(join(root, "usr/lib")),
    ]);
    expect(seen).toEqual([true, "deep", ["new", "sub"]]);
  });

  it("follows links below links, absolute and relative, and merges with what it lists itself", async () => {
    await using s = await testStore();
    const { layers } = await unpackAll(s, [
      [
        { name: "real/", mode: 0o750 },
        { name: "one", type: "symlink", linkname: "/two" },
        { name: "two", type: "symlink", linkname: "x/../real" },
      ],
      [
        { name: "one/sub/f", content: "1" },
        { name: "real/" },
        { name: "real/sub/" },
        { name: "real/sub/g", content: "2" },
      ],
    ]);
    const seen = await merged(layers, (root) => [
      readdirSync(root).sort(),
      readdirSync(join(root, "real/sub")).sort(),
    ]);
    expect(seen).toEqual([
      ["one", "real", "two"],
      ["f", "g"],
    ]);
  });

  it("keeps to its own folder when it lists one over a link below", async () => {
    await using s = await testStore();
    const { layers } = await unpackAll(s, [
      [{ name: "real/" }, { name: "d", type: "symlink", linkname: "real" }],
      [{ name: "d/" }, { name: "d/sub/f", content: "" }],
    ]);
    expect(
      await merged(layers, (root) => [
        lstatSync(join(root, "d")).isDirectory(),
        readdirSync(join(root, "real")),
      ]),
    ).toEqual([true, []]);
  });

  it("may link to a file of a lower layer: both names are one file with the attributes from below", async () => {
    await using s = await testStore();
    const { layers } = await unpackAll(s, [
      [
        { name: "bin/", mode: 0o711 },
        { name: "bin/tool", content: "tool", mode: 0o4755, uid: 3, mtime: time("05-01") },
      ],
      [
        { name: "copy", type: "link", linkname: "bin/tool" },
        { name: "again", type: "link", linkname: "copy" },
      ],
    ]);
    const top = layers[1] as Layer;
    const file = `104755 3:0 x3 ${time("05-01").getTime()} tool`;
    const lines = listing(top.path);
    expect(lines.filter((line) => line.endsWith(file)).map((line) => line.split(" ")[0])).toEqual([
      "again",
      "bin/tool",
      "copy",
    ]);
    expect(lines.find((line) => line.startsWith("bin "))).toContain(" 40711 ");
  });

  it("is refused when it links to a file that nobody has, and the layers below stay", async () => {
    await using s = await testStore();
    const base = await layerSource([{ name: "d/f", content: "" }]);
    const below = await s.store.unpack(base, never);
    for (const linkname of ["d/none", "d", "none/f"]) {
      const source = await layerSource([{ name: "h", type: "link", linkname }], [base.diffId]);
      await expect(s.store.unpack(source, never)).rejects.toMatchObject({ kind: "invalid-argument" });
    }
    expect(s.store.list()).toEqual([below]);
  });

  it("has what the layers below show, not what their whiteouts hide", async () => {
    await using s = await testStore();
    const { layers } = await unpackAll(s, [
      [
        { name: "d/", mode: 0o700 },
        { name: "e/", mode: 0o700 },
        { name: "e/sub/", mode: 0o700 },
      ],
      [{ name: ".wh.d" }, { name: "e/" }, { name: "e/.wh..wh..opq" }],
      [
        { name: "d/f", content: "" },
        { name: "e/sub/f", content: "" },
      ],
    ]);
    const top = layers[2] as Layer;
    expect(statSync(join(top.path, "d")).mode & 0o777).toBe(0o755);
    expect(statSync(join(top.path, "e/sub")).mode & 0o777).toBe(0o755);
  });

  it("waits for the layers below, whichever order they come in", async () => {
    await using s = await testStore();
    const base = await layerSource([{ name: "d/", mode: 0o700 }]);
    const above = await layerSource([{ name: "d/f", content: "" }], [base.diffId]);
    const late = Promise.withResolvers<void>();
    const slowBase: LayerSource = {
      ...base,
      async *open(signal) {
        await late.promise;
        yield* base.open(signal);
      },
    };
    const bottom = s.store.unpack(slowBase, never);
    const top = s.store.unpack(above, never, (bytes) => {
      if (bytes === above.sizeBytes) late.resolve();
    });
    await bottom;
    expect(statSync(join((await top).path, "d")).mode & 0o777).toBe(0o700);
  });
});
