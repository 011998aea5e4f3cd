import { describe, expect, it } from "vitest";
import { parsePlace } from "./cp.ts";

describe("a place of kobako cp", () => {
  it.each([
    ["web:/etc/hosts", "web", "/etc/hosts"],
    ["web:etc/", "web", "etc/"],
    ["pod/web:/a:b", "pod/web", "/a:b"],
    ["0123abc:/x", "0123abc", "/x"],
    ["/a:b", undefined, "/a:b"],
    ["./a:b", undefined, "/here/a:b"],
    ["file", undefined, "/here/file"],
    ["folder/", undefined, "/here/folder/"],
    ["folder/.", undefined, "/here/folder/."],
    [".", undefined, "/here/."],
    ["..", undefined, "/"],
    ["../x", undefined, "/x"],
  ])("%s", (argument, container, path) => {
    expect(parsePlace(argument, "/here")).toEqual({ container, path });
  });

  it.each(["web:", ""])("%j is none", (argument) => {
    expect(() => parsePlace(argument, "/here")).toThrow(/path/);
  });
});
