import { describe, expect, it } from "vitest";
import { DigestVerifier, findDigest, parseDigest, sha256, verifyDigest } from "./digest.ts";

const hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"; // of nothing

describe("parseDigest", () => {
  it("reads sha256 and sha512 in lower-case hex", () => {
    expect(parseDigest(`sha256:${hex}`)).toEqual({ algorithm: "sha256", hex });
    expect(parseDigest(`sha512:${hex}${hex}`).algorithm).toBe("sha512");
  });

  it.each([
    ["a path instead of hex", "sha256:../../x"],
    ["a path after the hex", `sha256:${hex}/../../x`],
    ["63 digits", `sha256:${hex.slice(1)}`],
    ["65 digits", `sha256:${hex}0`],
    ["upper case", `sha256:${hex.toUpperCase()}`],
    ["an upper-case algorithm", `SHA256:${hex}`],
    ["an unknown algorithm", `md5:${hex.slice(32)}`],
    ["an algorithm that is a property of every object", `constructor:${hex}`],
    ["__proto__", `__proto__:${hex}`],
    ["no algorithm", `:${hex}`],
    ["no colon", hex],
    ["nothing", ""],
    ["a newline at the end", `sha256:${hex}\n`],
    ["a blank before", ` sha256:${hex}`],
    ["sha512 with the length of sha256", `sha512:${hex}`],
  ])("refuses %s", (_, text) => {
    expect(findDigest(text)).toBeUndefined();
    expect(() => parseDigest(text, "layer 3")).toThrow(/^layer 3 .* is not sha256 or sha512/);
  });

  it("does not repeat a long text in its error", () => {
    expect(() => parseDigest("x".repeat(100_000))).toThrow(
      expect.objectContaining({ kind: "invalid-argument" }),
    );
    expect(() => parseDigest("x".repeat(100_000))).not.toThrow(/x{200}/);
  });
});

describe("verification", () => {
  it("accepts the content that the digest names", () => {
    verifyDigest(new Uint8Array(), `sha256:${hex}`, "blob");
    verifyDigest(Buffer.from("abc"), sha256("abc"), "blob");
  });

  it("names both digests of another content", () => {
    const verifier = new DigestVerifier(`sha256:${hex}`);
    verifier.update(Buffer.from("a"));
    expect(() => verifier.check("blob")).toThrow(`blob has digest ${sha256("a")}, expected sha256:${hex}`);
  });
});
