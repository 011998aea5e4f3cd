import { describe, expect, it } from "vitest";
import { Catalog } from "./catalog.ts";
import { imageOf, type Image, namesOf, withNames, withoutName, withoutTag } from "./image.ts";
import { sha256 } from "../oci/digest.ts";
import { parseReference } from "../oci/reference.ts";

const digest = (c: string) => `sha256:${c.repeat(64)}`;

function image(id: string, repoTags: string[], repoDigests: string[] = []): Image {
  const record = {
    id: sha256("{}"),
    repoTags,
    repoDigests,
    sizeBytes: 1n,
    pinned: false,
    layers: [],
    configJson: "{}",
    pulledAtNs: 1n,
  };
  return { ...imageOf(record), id };
}

const a = image(
  `sha256:abcdef1${"0".repeat(57)}`,
  ["docker.io/library/busybox:latest", "docker.io/library/busybox:1.36"],
  [`docker.io/library/busybox@${digest("d")}`],
);
const b = image(`sha256:abcdef2${"0".repeat(57)}`, [
  "registry.k8s.io/abcdef1:latest",
  "docker.io/library/abcdef2:latest",
]);

function catalog(): Catalog {
  const made = new Catalog();
  made.put(a);
  made.put(b);
  return made;
}

describe("an image is found by", () => {
  it.each([
    ["its id", a.id, a],
    ["its id without the algorithm", a.id.slice(7), a],
    ["the beginning of its id", "abcdef1", a],
    ["the beginning with the algorithm", "sha256:abcdef10", a],
    ["its name", "busybox", a],
    ["a full name and tag", "docker.io/library/busybox:1.36", a],
    ["a short name and tag", "library/busybox:1.36", a],
    ["a digest", `busybox@${digest("d")}`, a],
    ["a digest beside a tag that does not matter", `busybox:none@${digest("d")}`, a],
    ["a name that looks like the beginning of an id", "abcdef2", b],
    ["an unknown tag: not", "busybox:2", undefined],
    ["a digest of another repository: not", `alpine@${digest("d")}`, undefined],
    ["fewer than six digits: not", "abcde", undefined],
    ["what is no reference: not", "../../x", undefined],
    ["an unknown id: not", digest("f"), undefined],
    ["nothing: not", "", undefined],
  ])("%s", (_, ref, expected) => {
    expect(catalog().find(ref)).toBe(expected);
  });

  it("the beginning of two ids is refused as ambiguous", () => {
    expect(() => catalog().find("abcdef")).toThrow(expect.objectContaining({ kind: "invalid-argument" }));
  });

  it("a name follows the image that was put last under it", () => {
    const made = catalog();
    made.put({ ...a, repoTags: [] });
    expect(made.find("busybox")).toBeUndefined();
    expect(made.find(a.id)?.repoTags).toEqual([]);
    expect(made.byManifest(digest("d"))?.id).toBe(a.id);
    made.remove(a.id);
    expect(made.list()).toEqual([b]);
    expect(made.byManifest(digest("d"))).toBeUndefined();
  });
});

describe("names", () => {
  const names = (repoTags: string[], repoDigests: string[]) => ({ repoTags, repoDigests });

  it("of a pull by tag are the tag and the digest, of one by digest the digest alone", () => {
    expect(namesOf(parseReference("busybox"), digest("1"))).toEqual({
      tag: "docker.io/library/busybox:latest",
      digest: `docker.io/library/busybox@${digest("1")}`,
    });
    expect(namesOf(parseReference(`busybox:1@${digest("1")}`), digest("1")).tag).toBeUndefined();
  });

  it("are added once", () => {
    const first = withNames(names([], []), { tag: "a.b/c:1", digest: `a.b/c@${digest("1")}` });
    expect(first).toEqual(names(["a.b/c:1"], [`a.b/c@${digest("1")}`]));
    expect(withNames(first, { tag: "a.b/c:1", digest: `a.b/c@${digest("1")}` })).toBe(first);
    expect(withNames(first, { tag: undefined, digest: `d.e/f@${digest("1")}` }).repoDigests).toHaveLength(2);
  });

  it("a tag that is taken away leaves the others, the last of a repository takes its digests along", () => {
    const image = names(["a.b/c:1", "a.b/c:2", "d.e/f:1"], [`a.b/c@${digest("1")}`, `d.e/f@${digest("1")}`]);
    const left = withoutName(image, "a.b/c:1");
    expect(left).toEqual(names(["a.b/c:2", "d.e/f:1"], image.repoDigests));
    expect(withoutName(left, "a.b/c:2")).toEqual(names(["d.e/f:1"], [`d.e/f@${digest("1")}`]));
    expect(withoutName(withoutName(left, "a.b/c:2"), "d.e/f:1")).toEqual(names([], []));
  });

  it("a digest that is taken away stands for its repository", () => {
    const image = names(["a.b/c:1", "d.e/f:1"], [`a.b/c@${digest("1")}`, `d.e/f@${digest("1")}`]);
    expect(withoutName(image, `a.b/c@${digest("1")}`)).toEqual(names(["d.e/f:1"], [`d.e/f@${digest("1")}`]));
  });

  it("a tag that moves on leaves the digest as a name", () => {
    expect(withoutTag(names(["a.b/c:1"], [`a.b/c@${digest("1")}`]), "a.b/c:1")).toEqual(
      names([], [`a.b/c@${digest("1")}`]),
    );
  });
});

it("a record whose configuration is not the one of its id is no image", () => {
  const record = {
    id: digest("0"),
    repoTags: [],
    repoDigests: [],
    sizeBytes: 1n,
    pinned: false,
    layers: [],
    configJson: "{}",
    pulledAtNs: 1n,
  };
  expect(() => imageOf(record)).toThrow("image config has digest");
});
