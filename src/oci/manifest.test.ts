import { describe, expect, it } from "vitest";
import { maxLayers, mediaType, parseManifest } from "./manifest.ts";

const digest = `sha256:${"0".repeat(64)}`;
const oci = {
  schemaVersion: 2,
  mediaType: mediaType.ociManifest as string | undefined,
  config: { mediaType: mediaType.ociConfig, digest, size: 10 },
  layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest, size: 20 }],
};
const docker = {
  schemaVersion: 2,
  mediaType: mediaType.dockerManifest,
  config: { mediaType: mediaType.dockerConfig, digest, size: 10 },
  layers: [{ mediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip", digest, size: 20 }],
};
const index = {
  schemaVersion: 2,
  mediaType: mediaType.ociIndex,
  manifests: [
    {
      mediaType: mediaType.ociManifest,
      digest,
      size: 5,
      platform: { os: "linux", architecture: "arm64", variant: "v8" },
    },
  ],
};

function parse(value: unknown, contentType?: string) {
  return parseManifest(Buffer.from(typeof value === "string" ? value : JSON.stringify(value)), contentType);
}

describe("a manifest", () => {
  it("of OCI or Docker schema 2 gives its config and layers", () => {
    expect(parse(oci, mediaType.ociManifest)).toMatchObject({
      kind: "manifest",
      config: { digest, sizeBytes: 10 },
      layers: [{ digest, sizeBytes: 20, compression: "gzip" }],
    });
    expect(parse(docker, mediaType.dockerManifest)).toMatchObject({ layers: [{ compression: "gzip" }] });
  });

  it("may leave its type to the header, or to its shape when the header is generic", () => {
    const bare = { ...oci, mediaType: undefined };
    expect(parse(bare, `${mediaType.ociManifest}; charset=utf-8`).kind).toBe("manifest");
    expect(parse(bare, "application/json").kind).toBe("manifest");
    expect(parse(bare).kind).toBe("manifest");
    expect(parse({ ...index, mediaType: undefined }).kind).toBe("index");
  });

  it.each([
    ["application/vnd.oci.image.layer.v1.tar", "none"],
    ["application/vnd.oci.image.layer.v1.tar+zstd", "zstd"],
    ["application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "gzip"],
    ["application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "gzip"],
    ["application/vnd.docker.image.rootfs.diff.tar", "none"],
  ])("knows the layer type %s", (type, compression) => {
    expect(parse({ ...oci, layers: [{ mediaType: type, digest, size: 1 }] })).toMatchObject({
      layers: [{ compression }],
    });
  });

  it("does not read the urls of a layer", () => {
    const layers = [{ ...oci.layers[0], urls: ["http://evil.example/x"] }];
    expect(JSON.stringify(parse({ ...oci, layers }))).not.toContain("evil");
  });

  it("may have no layers", () => {
    expect(parse({ ...oci, layers: [] })).toMatchObject({ layers: [] });
  });
});

describe("an index", () => {
  it("lists manifests with their platforms and leaves other content out", () => {
    const artifact = { mediaType: "application/vnd.example+json", digest, size: 5 };
    expect(parse({ ...index, manifests: [artifact, ...index.manifests] })).toMatchObject({
      kind: "index",
      manifests: [{ digest, platform: { os: "linux", architecture: "arm64", variant: "v8" } }],
    });
  });
});

describe("one document has one meaning; refused are", () => {
  it.each([
    ["layers and manifests together", { ...oci, manifests: index.manifests }, undefined, "two readings"],
    ["a body unlike its header", oci, mediaType.dockerManifest, "was sent as"],
    [
      "an index sent as a manifest",
      { ...index, mediaType: undefined },
      mediaType.ociManifest,
      "has the fields of an index",
    ],
    [
      "a manifest that calls itself an index",
      { ...oci, mediaType: mediaType.ociIndex },
      undefined,
      "has the fields of a manifest",
    ],
    [
      "keys in another case, which Go reads as these",
      { ...oci, Layers: [] },
      undefined,
      'spells "layers" as "Layers"',
    ],
    [
      "a swapped config type",
      { ...oci, config: { ...oci.config, mediaType: mediaType.ociManifest } },
      undefined,
      "its config is",
    ],
    [
      "an artifact",
      { ...oci, config: { ...oci.config, mediaType: "application/vnd.cncf.helm.config.v1+json" } },
      undefined,
      "not of a container image",
    ],
    ["an unknown type", { ...oci, mediaType: "application/x" }, undefined, "is not a container image"],
    ["a page of HTML", "<html>", "text/html", "is not valid JSON"],
    ["JSON that is no object", "[]", undefined, "is not a JSON object"],
    ["a deep nest", `${"[".repeat(1 << 20)}`, undefined, "is not valid JSON"],
    ["schema 1", { schemaVersion: 1, fsLayers: [] }, undefined, "Docker schema 1"],
    [
      "schema 1 by its type",
      { schemaVersion: 2, mediaType: undefined, layers: [] },
      "application/vnd.docker.distribution.manifest.v1+prettyjws",
      "Docker schema 1",
    ],
    ["a schema of the future", { ...oci, schemaVersion: 3 }, undefined, "schemaVersion must be 2"],
    ["no config", { ...oci, config: undefined }, undefined, "has no config"],
    [
      "a config over the limit",
      { ...oci, config: { ...oci.config, size: 5 << 20 } },
      undefined,
      "over the limit",
    ],
    [
      "a digest that is a path",
      { ...oci, layers: [{ ...oci.layers[0], digest: "sha256:../../x" }] },
      undefined,
      "manifest.layers[0]: digest",
    ],
    ["a negative size", { ...oci, layers: [{ ...oci.layers[0], size: -1 }] }, undefined, "size must be"],
    ["a broken size", { ...oci, layers: [{ ...oci.layers[0], size: 1.5 }] }, undefined, "size must be"],
    ["a huge size", { ...oci, layers: [{ ...oci.layers[0], size: 2 ** 60 }] }, undefined, "size must be"],
    ["a size in quotes", { ...oci, layers: [{ ...oci.layers[0], size: "20" }] }, undefined, "size must be"],
    ["no size", { ...oci, layers: [{ ...oci.layers[0], size: undefined }] }, undefined, "has no size"],
    [
      "a layer of another kind",
      { ...oci, layers: [{ ...oci.layers[0], mediaType: "text/plain" }] },
      undefined,
      "is not a layer type",
    ],
    [
      "an encrypted layer",
      {
        ...oci,
        layers: [{ ...oci.layers[0], mediaType: "application/vnd.oci.image.layer.v1.tar+gzip+encrypted" }],
      },
      undefined,
      "is encrypted",
    ],
    [
      "too many layers",
      { ...oci, layers: Array(maxLayers + 1).fill(oci.layers[0]) },
      undefined,
      "at most 500",
    ],
    ["layers that are no list", { ...oci, layers: {} }, undefined, "layers must be an array"],
  ])("%s", (_, value, contentType, message) => {
    expect(() => parse(value, contentType)).toThrow(message);
    expect(() => parse(value, contentType)).toThrow(expect.objectContaining({ kind: "invalid-argument" }));
  });
});
