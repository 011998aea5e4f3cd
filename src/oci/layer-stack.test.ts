import { describe, expect, it } from "vitest";
import { lowerFolders, rootAttributes } from "./layer-stack.ts";

const root = (mode: number) => ({ mode, uid: 0, gid: 0 });

describe("layers as folders of an overlay", () => {
  it("the highest layer comes first", () => {
    expect(lowerFolders([{ path: "/a" }, { path: "/b" }])).toEqual(["/b", "/a"]);
  });

  it("a layer that comes twice counts where it is highest", () => {
    expect(lowerFolders([{ path: "/a" }, { path: "/b" }, { path: "/a" }])).toEqual(["/a", "/b"]);
  });

  it("nothing below a layer with an opaque root is used", () => {
    expect(lowerFolders([{ path: "/a" }, { path: "/b", rootOpaque: true }, { path: "/c" }])).toEqual([
      "/c",
      "/b",
    ]);
  });

  it("the root folder is as the highest layer that lists it says", () => {
    const layers = [{ path: "/a", root: root(0o700) }, { path: "/b", root: root(0o711) }, { path: "/c" }];
    expect(rootAttributes(layers)).toEqual(root(0o711));
  });

  it("the root folder is root's with 0755 when no layer lists it, or only hidden ones do", () => {
    expect(rootAttributes([])).toEqual(root(0o755));
    expect(
      rootAttributes([
        { path: "/a", root: root(0o700) },
        { path: "/b", rootOpaque: true },
      ]),
    ).toEqual(root(0o755));
  });
});
