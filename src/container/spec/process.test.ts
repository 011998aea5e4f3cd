import { describe, expect, it } from "vitest";
import { defaultPath, processArgs, processCwd, processEnv } from "./process.ts";

const invalid = (part: RegExp) =>
  expect.objectContaining({ kind: "invalid-argument", message: expect.stringMatching(part) });

describe("processArgs", () => {
  const image = { entrypoint: ["/entry"], cmd: ["cmd"] };
  it.each([
    ["the image's entrypoint and cmd", [], [], image, ["/entry", "cmd"]],
    ["args instead of the image's cmd", [], ["a"], image, ["/entry", "a"]],
    ["a command instead of entrypoint and cmd", ["/c"], [], image, ["/c"]],
    ["command and args", ["/c"], ["a"], image, ["/c", "a"]],
    ["the cmd of an image without an entrypoint", [], [], { entrypoint: [], cmd: ["sh"] }, ["sh"]],
    ["an empty entrypoint for none", [], [], { entrypoint: [""], cmd: ["sh"] }, ["sh"]],
    ["empty arguments as they are", ["/c"], ["", "a"], image, ["/c", "", "a"]],
  ])("takes %s", (_, command, args, from, expected) => {
    expect(processArgs(command, args, from)).toEqual(expected);
  });

  it("refuses to run nothing, an empty name, or a NUL", () => {
    expect(() => processArgs([], [], { entrypoint: [], cmd: [] })).toThrow(invalid(/nothing to run/));
    expect(() => processArgs([], [], { entrypoint: [""], cmd: [] })).toThrow(invalid(/nothing to run/));
    expect(() => processArgs([""], [], image)).toThrow(invalid(/empty name/));
    expect(() => processArgs(["/c", "a\0b"], [], image)).toThrow(invalid(/NUL/));
  });
});

describe("processEnv", () => {
  const env = (image: string[], request: Record<string, string | Uint8Array> = {}, more = {}) =>
    processEnv({
      image,
      request: Object.entries(request).map(([key, value]) => ({ key, value: Buffer.from(value) })),
      hostname: "h",
      home: "/home/u",
      tty: false,
      ...more,
    });

  it("has defaults for what nobody set", () => {
    expect(env([])).toEqual([`PATH=${defaultPath}`, "HOSTNAME=h", "HOME=/home/u"]);
    expect(env([], {}, { tty: true })).toContain("TERM=xterm");
    expect(env([], {}, { home: "" })).toContain("HOME=/");
  });

  it("lets the request win over the image, and the image over the defaults", () => {
    expect(env(["PATH=/i", "A=i", "B=i", "HOME=/i"], { A: "r", HOSTNAME: "r" })).toEqual([
      "PATH=/i",
      "HOSTNAME=r",
      "A=r",
      "B=i",
      "HOME=/i",
    ]);
  });

  it("drops image entries that have no value or no name: nothing is taken from the daemon (F5)", () => {
    process.env.KOBAKO_SECRET = "s";
    const result = env(["KOBAKO_SECRET", "*", "=x", "A", "", "OK=1", "EMPTY="]);
    process.env.KOBAKO_SECRET = "";
    expect(result).toEqual([`PATH=${defaultPath}`, "HOSTNAME=h", "OK=1", "EMPTY=", "HOME=/home/u"]);
  });

  it("keeps values whole: line breaks, equals signs, other scripts", () => {
    expect(env(["A=b=c\nd"], { B: "ünï\r\n=", HOME: "/x:\ny" })).toEqual([
      `PATH=${defaultPath}`,
      "HOSTNAME=h",
      "A=b=c\nd",
      "B=ünï\r\n=",
      "HOME=/x:\ny",
    ]);
  });

  it("gives switches of other programs to the container alone (C7, I8)", () => {
    const before = { ...process.env };
    env(["LD_PRELOAD=/x.so"], { NODE_OPTIONS: "--inspect", __proto__x: "1" });
    expect({ ...process.env }).toEqual(before);
  });

  it("refuses what an environment or JSON can't hold, by name", () => {
    expect(() => env([], { "": "x" })).toThrow(invalid(/expected a name/));
    expect(() => env([], { "A=B": "x" })).toThrow(invalid(/"A=B"/));
    expect(() => env([], { A: "x\0y" })).toThrow(invalid(/"A" holds a NUL/));
    expect(() => env(["A=x\0y"])).toThrow(invalid(/NUL/));
    expect(() => env([], { A: Buffer.from([0xff, 0xfe]) })).toThrow(invalid(/"A".*UTF-8/));
  });
});

describe("processCwd", () => {
  it.each([
    ["", "", "/"],
    ["", "/srv", "/srv"],
    ["/req", "/srv", "/req"],
    ["", "app", "/app"],
    ["/a/./b//c/", "", "/a/b/c"],
    ["/../../etc", "", "/etc"],
    ["/", "/srv", "/"],
  ])("of request %j and image %j is %j", (requested, image, expected) => {
    expect(processCwd(requested, image)).toBe(expected);
  });

  it("refuses a NUL", () => {
    expect(() => processCwd("/a\0", "")).toThrow(invalid(/NUL/));
  });
});
