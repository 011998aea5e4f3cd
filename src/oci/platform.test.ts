import { describe, expect, it } from "vitest";
import type { Descriptor } from "./manifest.ts";
import { formatPlatform, hostPlatform, type Platform, platformDistance, selectPlatform } from "./platform.ts";

function platform(text: string): Platform {
  const [os = "", architecture = "", variant = ""] = text.split("/");
  return { os, architecture, variant };
}

function offer(...platforms: (string | undefined)[]): Descriptor[] {
  return platforms.map((text, i) => ({
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    digest: `sha256:${i}`,
    sizeBytes: 1,
    platform: text === undefined ? undefined : platform(text),
  }));
}

describe("a platform has one spelling", () => {
  it.each([
    ["linux/x86_64", "linux/amd64"],
    ["linux/amd64/v1", "linux/amd64"],
    ["linux/amd64/v3", "linux/amd64/v3"],
    ["Linux/AArch64", "linux/arm64"],
    ["linux/arm64/8", "linux/arm64"],
    ["linux/arm64/v9", "linux/arm64/v9"],
    ["linux/arm", "linux/arm"],
    ["linux/armel", "linux/arm/v6"],
    ["linux/armhf", "linux/arm"],
    ["linux/i386", "linux/386"],
    ["linux/constructor", "linux/constructor"],
    ["", "unknown/unknown"],
  ])("%s is %s", (written, shown) => {
    expect(formatPlatform(platform(written))).toBe(shown);
  });
});

describe("the choice among what an index offers", () => {
  it.each([
    ["linux/amd64", ["linux/arm64", "linux/amd64"], 1],
    ["linux/amd64", ["linux/amd64", "linux/amd64"], 0],
    ["linux/amd64", ["windows/amd64", "linux/amd64"], 1],
    ["linux/amd64", ["linux/amd64/v2", "linux/amd64"], 1],
    ["linux/amd64/v3", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], 1],
    ["linux/amd64", ["linux/386", "linux/amd64"], 1],
    ["linux/amd64", ["linux/386"], 0],
    ["linux/arm/v7", ["linux/arm/v5", "linux/arm/v6", "linux/arm/v8"], 1],
    ["linux/arm64", ["linux/arm/v7", "linux/arm64/v8"], 1],
    ["linux/arm64", ["linux/arm/v5", "linux/arm/v7"], 1],
    ["linux/amd64", ["unknown/unknown", "linux/amd64"], 1],
    ["linux/amd64", [undefined, "linux/amd64"], 1],
    ["linux/amd64", ["linux/arm64", undefined], 1],
  ])("%s of %j", (wanted, offered, index) => {
    expect(selectPlatform(offer(...offered), platform(wanted), "x").digest).toBe(`sha256:${index}`);
  });

  it("names the wanted and the offered platforms when none fits, attestations left out", () => {
    const offered = offer("linux/arm64", "windows/amd64", "unknown/unknown", "linux/arm/v6");
    expect(() => selectPlatform(offered, platform("linux/s390x"), "docker.io/library/x:1")).toThrow(
      "docker.io/library/x:1 is not offered for linux/s390x, only for linux/arm64, windows/amd64, linux/arm/v6",
    );
  });

  it("refuses an empty index", () => {
    expect(() => selectPlatform([], platform("linux/amd64"), "x")).toThrow(/only for no platform/);
  });

  it("does not run a 64-bit image on a 32-bit machine", () => {
    expect(platformDistance(platform("linux/386"), platform("linux/amd64"))).toBeUndefined();
    expect(platformDistance(platform("linux/arm/v7"), platform("linux/arm64"))).toBeUndefined();
  });

  it("knows this machine", () => {
    expect(formatPlatform(hostPlatform())).toMatch(/^linux\/(amd64|arm64|arm|386)/);
  });
});
