/**
 * Layers that attack the one who unpacks them, one per line of the security bar (rows L1 to L13).
 * `canary`: an absolute path outside of every root. The outcome is a clean refusal, or a tree that is inside:
 * the names that must then be there, relative to the layer root.
 */
import { type Entry, tarOf } from "../../support/image-builder.ts";
import { base256, rawEntry, rawPax, rawTar } from "./raw-tar.ts";

export interface HostileLayer {
  readonly row: string;
  readonly what: string;
  readonly tar: Uint8Array;
  /** "refused", or names that lie inside. */
  readonly outcome: "refused" | readonly string[];
}

const file = (name: string, content = "hostile") => ({ name, type: "file", content }) as const;
const symlink = (name: string, linkname: string) => ({ name, type: "symlink", linkname }) as const;
const hardlink = (name: string, linkname: string) => ({ name, type: "link", linkname }) as const;
const folder = (name: string) => ({ name, type: "directory" }) as const;

export async function hostileLayers(canary: string): Promise<HostileLayer[]> {
  const inside = canary.slice(1);
  const layers: HostileLayer[] = [];
  const entries = async (
    row: string,
    what: string,
    list: readonly Entry[],
    outcome: HostileLayer["outcome"],
  ) => {
    layers.push({ row, what, tar: await tarOf(list), outcome });
  };
  const raw = (row: string, what: string, tar: Uint8Array, outcome: HostileLayer["outcome"]) => {
    layers.push({ row, what, tar, outcome });
  };

  for (const name of ["../x", "/x", "a/../../x", "./../x", "a//..//../x", "../../../../x"])
    await entries("L1", `a name "${name}"`, [file(name)], ["x"]);

  const link = symlink("d", canary);
  await entries(
    "L2",
    "a file below a link to outside",
    [link, file("d/etc/passwd")],
    [`${inside}/etc/passwd`],
  );
  await entries("L2", "a folder below such a link", [link, folder("d/new/")], [`${inside}/new`]);
  await entries("L2", "a whiteout below such a link", [link, file("d/.wh.setuid", "")], [`${inside}/setuid`]);
  await entries(
    "L2",
    "a hard link below such a link",
    [file("f"), link, hardlink("d/f", "f")],
    [`${inside}/f`],
  );
  await entries(
    "L2",
    "a device below such a link",
    [link, { name: "d/null", type: "character-device", devmajor: 1, devminor: 3 }],
    [`${inside}/null`],
  );
  await entries(
    "L2",
    "a relative link that climbs",
    [symlink("a/b/d", "../../../../../.."), file("a/b/d/x")],
    ["x"],
  );
  await entries("L2", "a file over a link", [link, file("d")], ["d"]);
  await entries("L2", "a folder over a link", [link, folder("d/"), file("d/x")], ["d/x"]);
  await entries("L2", "links in a circle", [symlink("a", "b"), symlink("b", "a"), file("a/x")], "refused");
  await entries("L2", "a link to itself as a folder", [symlink("a", "a/a"), file("a/x")], "refused");
  await entries(
    "L2",
    "a legal link to a folder",
    [folder("usr/lib/"), symlink("lib", "usr/lib"), file("lib/x")],
    ["usr/lib/x"],
  );
  await entries("L2", "a file used as a folder", [file("f"), file("f/x")], "refused");

  for (const name of [".", "/", "./", ""]) {
    await entries("L3", `a link named "${name}"`, [symlink(name, canary), file("x")], "refused");
    await entries("L3", `a file named "${name}"`, [{ name, type: "file", content: "x" }], "refused");
    await entries("L3", `a hard link named "${name}"`, [file("f"), hardlink(name, "f")], "refused");
  }
  await entries("L3", "a whiteout of the root", [file(".wh..", "")], "refused");

  for (const target of [
    "/etc/passwd",
    "../../etc/passwd",
    `${canary}/etc/passwd`,
    "d/etc/passwd",
    ".",
    "/",
    "",
  ])
    await entries("L4", `a hard link to "${target}"`, [link, hardlink("h", target)], "refused");
  await entries("L4", "a hard link to a link", [symlink("s", "/etc/passwd"), hardlink("h", "s")], ["s", "h"]);
  await entries("L4", "a hard link to a folder", [folder("d/"), hardlink("h", "d")], "refused");
  await entries(
    "L4",
    "a hard link to what a whiteout hides",
    [file(".wh.f", ""), hardlink("h", "f")],
    "refused",
  );

  const opened = { mode: 0o777, mtime: new Date(0) } as const;
  await entries("L5", "a folder entry over a link", [link, { ...folder("d/"), ...opened }], ["d"]);
  await entries("L5", "a file entry over a link", [link, { ...file("d"), ...opened }], ["d"]);
  await entries(
    "L5",
    "a hard link entry with a mode",
    [link, { ...hardlink("h", "d"), ...opened }],
    ["d", "h"],
  );

  for (const name of [".wh.", ".wh..", ".wh...", ".wh.a/b", "d/.wh.../x"])
    await entries("L7", `a whiteout "${name}"`, [link, file(name, "")], "refused");
  await entries(
    "L7",
    "AUFS's own files",
    [folder(".wh..wh.plnk/"), file(".wh..wh.plnk/1.2"), file(".wh..wh.aufs", ""), file("x")],
    ["x"],
  );

  const pax = (records: Record<string, string>) =>
    rawTar(rawPax(records), rawEntry({ name: "d", type: "5", mode: 0o755 }));
  for (const name of [
    "trusted.overlay.opaque",
    "user.overlay.opaque",
    "user.overlay.redirect",
    "user.overlay.metacopy",
    "user.overlay.whiteout",
    "user.overlay.overlay.opaque",
    "trusted.anything",
    "security.selinux",
    "security.evil",
    "system.other",
    "user.",
  ])
    raw("L9", `an attribute ${name}`, pax({ [`SCHILY.xattr.${name}`]: "y" }), ["d"]);

  const next = rawEntry({ name: "x" }, "content");
  raw(
    "L13",
    "a PAX size before a long name",
    rawTar(
      rawPax({ size: "7" }),
      rawEntry({ name: "l", type: "L" }, "long-name\0"),
      rawEntry({ name: "short", size: 0 }, ""),
      Buffer.from("content".padEnd(512, "\0")),
    ),
    ["long-name"],
  );
  raw(
    "L13",
    "a size in base 256",
    rawTar(rawEntry({ name: "x", patch: [[124, base256(7n, 12)]] }, "content")),
    ["x"],
  );
  raw(
    "L13",
    "a negative size",
    rawTar(rawEntry({ name: "x", patch: [[124, Buffer.alloc(12, 0xff)]] }, "")),
    "refused",
  );
  raw(
    "L13",
    "a size of 2^62 bytes",
    rawTar(rawEntry({ name: "x", patch: [[124, base256(1n << 62n, 12)]] }, "")),
    "refused",
  );
  raw(
    "L13",
    "a size beyond 64 bits",
    rawTar(rawEntry({ name: "x", patch: [[124, base256((1n << 94n) - 1n, 12)]] }, "")),
    "refused",
  );
  raw(
    "L13",
    "a PAX header of 100 MiB",
    rawTar(rawEntry({ name: "p", type: "x", size: 100 << 20 }), next),
    "refused",
  );
  raw("L13", "a PAX path with a NUL", rawTar(rawPax({ path: "a\0b" }), next), "refused");
  raw("L13", "a name that is cut by a NUL", rawTar(rawEntry({ name: "a\0b" }, "content")), ["a"]);
  raw(
    "L13",
    "PAX keys that poison objects",
    rawTar(
      rawPax({ __proto__x: "1", constructor: "1", hasOwnProperty: "1", "SCHILY.xattr.__proto__": "1" }),
      next,
    ),
    ["x"],
  );
  raw(
    "L13",
    "a PAX record of a wrong length",
    rawTar(rawEntry({ name: "p", type: "x" }, "99 path=x\n"), next),
    "refused",
  );
  raw(
    "L13",
    "a PAX record without a key",
    rawTar(rawEntry({ name: "p", type: "x" }, "5 =x\n"), next),
    "refused",
  );
  raw("L13", "a PAX size that is no number", rawTar(rawPax({ size: "1e3" }), next), "refused");
  raw("L13", "a PAX uid of -1", rawTar(rawPax({ uid: "-1" }), next), "refused");
  raw("L13", "a PAX uid of 2^32-1", rawTar(rawPax({ uid: "4294967295" }), next), "refused");
  raw("L13", "a global PAX header is not applied", rawTar(rawPax({ path: "../../global" }, "g"), next), [
    "x",
  ]);
  raw(
    "L13",
    "a sparse file (GNU)",
    rawTar(rawEntry({ name: "x", type: "S", magic: "ustar  \0" }, "content")),
    "refused",
  );
  raw("L13", "a sparse file (PAX)", rawTar(rawPax({ "GNU.sparse.major": "1" }), next), "refused");
  raw("L13", "an unknown type", rawTar(rawEntry({ name: "x", type: "Z" })), "refused");
  raw("L13", "a wrong checksum", rawTar(rawEntry({ name: "x", checksumError: 1 })), "refused");
  raw("L13", "an end within a file", rawEntry({ name: "x", size: 5000 }, "short"), "refused");
  raw("L13", "an end within a header", Buffer.concat([next, Buffer.alloc(100, 1)]), "refused");
  raw("L13", "an entry after one zero block", Buffer.concat([next, Buffer.alloc(512), next]), "refused");
  raw(
    "L13",
    "a folder that claims to have content",
    rawTar(rawEntry({ name: "d", type: "5", size: 512 }), next),
    ["d", "x"],
  );
  raw("L13", "a name with a prefix", rawTar(rawEntry({ name: "x", prefix: "a/b" }, "content")), ["a/b/x"]);
  raw("L13", "a path of 5000 bytes", rawTar(rawPax({ path: "a/".repeat(2500) }), next), "refused");
  raw("L13", "a name of 300 bytes", rawTar(rawPax({ path: "n".repeat(300) }), next), "refused");
  raw("L13", "a file without its padding at the end", rawEntry({ name: "x" }, "content").subarray(0, 519), [
    "x",
  ]);
  raw("L13", "nothing at all", Buffer.alloc(0), []);
  raw("L13", "what is no archive", Buffer.alloc(2048, "not a tar "), "refused");
  return layers;
}
