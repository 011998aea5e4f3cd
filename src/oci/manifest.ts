/**
 * Manifests and indexes: OCI image-spec 1.1 and Docker schema 2. One document has one reading: a body that could be
 * two kinds, or is unlike its content type, is refused (CVE-2021-41190).
 * Source: image-spec manifest.md, image-index.md; distribution manifest-v2-2.md.
 */
import { RuntimeError } from "../errors/runtime-error.ts";
import { parseDigest } from "./digest.ts";
import { type Fields, parseDocument } from "./document.ts";
import type { Platform } from "./platform.ts";

/** Largest manifest, index or config that is read, bytes. */
export const maxDocumentBytes = 4 << 20;
/** Most layers of an image: what one overlay mount takes. */
export const maxLayers = 500;
const maxIndexEntries = 1000;

export const mediaType = {
  ociIndex: "application/vnd.oci.image.index.v1+json",
  ociManifest: "application/vnd.oci.image.manifest.v1+json",
  dockerList: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  ociConfig: "application/vnd.oci.image.config.v1+json",
  dockerConfig: "application/vnd.docker.container.image.v1+json",
} as const;

/** What a client offers to read, in its order of preference. */
export const manifestAccept: readonly string[] = [
  mediaType.ociIndex,
  mediaType.ociManifest,
  mediaType.dockerList,
  mediaType.dockerManifest,
];

const kindOfMediaType: Readonly<Record<string, "index" | "manifest" | "schema1">> = {
  [mediaType.ociIndex]: "index",
  [mediaType.dockerList]: "index",
  [mediaType.ociManifest]: "manifest",
  [mediaType.dockerManifest]: "manifest",
  "application/vnd.docker.distribution.manifest.v1+json": "schema1",
  "application/vnd.docker.distribution.manifest.v1+prettyjws": "schema1",
};

export type Compression = "gzip" | "zstd" | "none";

const compressionOfMediaType: Readonly<Record<string, Compression>> = {
  "application/vnd.oci.image.layer.v1.tar": "none",
  "application/vnd.oci.image.layer.v1.tar+gzip": "gzip",
  "application/vnd.oci.image.layer.v1.tar+zstd": "zstd",
  "application/vnd.oci.image.layer.nondistributable.v1.tar": "none",
  "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": "gzip",
  "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": "zstd",
  "application/vnd.docker.image.rootfs.diff.tar": "none",
  "application/vnd.docker.image.rootfs.diff.tar.gzip": "gzip",
  "application/vnd.docker.image.rootfs.diff.tar.zstd": "zstd",
  "application/vnd.docker.image.rootfs.foreign.diff.tar": "none",
  "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": "gzip",
};

/** A pointer to content. Its `urls` are not read: content comes from the registry that was asked. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly platform: Platform | undefined;
}

export interface LayerDescriptor extends Descriptor {
  readonly compression: Compression;
}

export interface Manifest {
  readonly kind: "manifest";
  readonly config: Descriptor;
  /** Lowest first. */
  readonly layers: readonly LayerDescriptor[];
}

export interface Index {
  readonly kind: "index";
  readonly manifests: readonly Descriptor[];
}

/** The media type of a Content-Type header, without parameters; "" when it says nothing about the document. */
export function documentType(contentType: string | undefined): string {
  const type = (contentType ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
  return /^(application\/(json|octet-stream)|text\/plain|binary\/octet-stream)$/.test(type) ? "" : type;
}

/**
 * Reads a manifest or an index whose digest has been verified.
 * @param contentType of the response or of the descriptor that led here; it must not contradict the document.
 * @throws RuntimeError `invalid-argument` naming the field or the two readings.
 */
export function parseManifest(bytes: Uint8Array, contentType: string | undefined): Manifest | Index {
  const top = parseDocument(bytes, "manifest");
  top.refuseLookalikes(["mediaType", "schemaVersion", "manifests", "layers", "config", "fsLayers"]);
  const inside = top.string("mediaType") ?? "";
  const outside = documentType(contentType);
  if (inside !== "" && outside !== "" && inside !== outside) {
    throw new RuntimeError(
      "invalid-argument",
      `manifest calls itself ${quote(inside)} but was sent as ${quote(outside)}`,
    );
  }
  const kind = kindOf(top, inside || outside);
  return kind === "index" ? index(top) : manifest(top);
}

function kindOf(top: Fields, type: string): "index" | "manifest" {
  const version = top.number("schemaVersion");
  const known = Object.hasOwn(kindOfMediaType, type) ? kindOfMediaType[type] : undefined;
  if (version === 1 || known === "schema1" || top.has("fsLayers")) {
    throw new RuntimeError(
      "invalid-argument",
      "manifest is Docker schema 1, which cannot be verified and is not supported; push the image again with a current tool",
    );
  }
  if (version !== 2) throw new RuntimeError("invalid-argument", "manifest: schemaVersion must be 2");
  if (type !== "" && !known) {
    throw new RuntimeError("invalid-argument", `manifest type ${quote(type)} is not a container image`);
  }
  const looksLikeIndex = top.has("manifests");
  const looksLikeManifest = top.has("layers") || top.has("config");
  if (looksLikeIndex && looksLikeManifest) {
    throw new RuntimeError("invalid-argument", "manifest has both layers and manifests: two readings");
  }
  const kind = looksLikeIndex ? "index" : looksLikeManifest ? "manifest" : known;
  if (!kind) throw new RuntimeError("invalid-argument", "manifest has neither layers nor manifests");
  if (known && known !== kind) {
    throw new RuntimeError(
      "invalid-argument",
      `manifest of type ${quote(type)} has the fields of ${kind === "index" ? "an index" : "a manifest"}`,
    );
  }
  return kind;
}

function index(top: Fields): Index {
  const manifests = top.objects("manifests", maxIndexEntries) ?? [];
  // Other kinds of content may stand in an index (artifacts, attestations of other tools): they are no choice.
  return {
    kind: "index",
    manifests: manifests.map(descriptor).filter((entry) => Object.hasOwn(kindOfMediaType, entry.mediaType)),
  };
}

function manifest(top: Fields): Manifest {
  const config = top.object("config");
  if (!config) throw new RuntimeError("invalid-argument", "manifest has no config");
  const described = descriptor(config);
  if (described.mediaType !== mediaType.ociConfig && described.mediaType !== mediaType.dockerConfig) {
    throw new RuntimeError(
      "invalid-argument",
      `manifest is not of a container image: its config is ${quote(described.mediaType)}`,
    );
  }
  if (described.sizeBytes > maxDocumentBytes) {
    throw new RuntimeError(
      "invalid-argument",
      `image config of ${described.sizeBytes} bytes is over the limit of ${maxDocumentBytes}`,
    );
  }
  return { kind: "manifest", config: described, layers: (top.objects("layers", maxLayers) ?? []).map(layer) };
}

function layer(fields: Fields): LayerDescriptor {
  const described = descriptor(fields);
  const type = described.mediaType;
  const compression = Object.hasOwn(compressionOfMediaType, type) ? compressionOfMediaType[type] : undefined;
  if (!compression) {
    const why = type.endsWith("+encrypted") ? "is encrypted, which is not supported" : "is not a layer type";
    throw new RuntimeError("invalid-argument", `${fields.where}: ${quote(type)} ${why}`);
  }
  return { ...described, compression };
}

function descriptor(fields: Fields): Descriptor {
  const type = fields.string("mediaType");
  if (type === undefined) throw new RuntimeError("invalid-argument", `${fields.where} has no mediaType`);
  const sizeBytes = fields.size("size");
  if (sizeBytes === undefined) throw new RuntimeError("invalid-argument", `${fields.where} has no size`);
  const digest = fields.string("digest") ?? "";
  const { algorithm } = parseDigest(digest, `${fields.where}: digest`);
  if (algorithm !== "sha256" && !Object.hasOwn(kindOfMediaType, type)) {
    // Images and layers are named by what they hash to, and have one name only.
    throw new RuntimeError("invalid-argument", `${fields.where}: config and layers must have sha256 digests`);
  }
  const platform = fields.object("platform");
  return {
    mediaType: type,
    digest,
    sizeBytes,
    platform: platform && {
      os: platform.text("os"),
      architecture: platform.text("architecture"),
      variant: platform.text("variant"),
    },
  };
}

function quote(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}...` : text);
}
