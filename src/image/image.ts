/**
 * An image as the rest of the runtime knows it, its record on disk, and the rules of its names. Pure.
 * Tags and digests come from pull requests alone, never from the image (containerd CVE-2026-50195).
 */
import { RuntimeError } from "../errors/runtime-error.ts";
import { verifyDigest } from "../oci/digest.ts";
import { type ImageConfig, parseImageConfig } from "../oci/image-config.ts";
import { formatReference, parseReference, type Reference, repositoryName } from "../oci/reference.ts";

export interface Image {
  /** `sha256:` and the digest of the configuration. */
  readonly id: string;
  /** `registry/repository:tag`, all of them as pulled. */
  readonly repoTags: readonly string[];
  /** `registry/repository@digest` of what was pulled: the index where there is one. */
  readonly repoDigests: readonly string[];
  /** On disk, unpacked. Never 0: clients take that for unknown. */
  readonly sizeBytes: bigint;
  /** As the configuration writes it. */
  readonly user: string;
  /** Not to be removed to make room. */
  readonly pinned: boolean;
  /** Keys of the layers, lowest first. */
  readonly layers: readonly string[];
  readonly config: ImageConfig;
  readonly pulledAtNs: bigint;
}

/** What is kept on disk. No secrets: how it was pulled is not part of it. */
export interface ImageRecord {
  readonly id: string;
  readonly repoTags: readonly string[];
  readonly repoDigests: readonly string[];
  readonly sizeBytes: bigint;
  readonly pinned: boolean;
  readonly layers: readonly string[];
  /** The configuration document byte for byte, so that `id` verifies it. */
  readonly configJson: string;
  readonly pulledAtNs: bigint;
}

/** Where records are kept; implemented by the store. */
export interface ImageRecords {
  all(): readonly ImageRecord[];
  /** Adds or replaces the record with this id. */
  put(record: ImageRecord): void;
  remove(id: string): void;
  /** Returns when everything put and removed so far survives a power cut. */
  sync(): Promise<void>;
}

/**
 * The image of a record.
 * @throws RuntimeError `invalid-argument` when the configuration is not the one that the id names.
 */
export function imageOf(record: ImageRecord): Image {
  const bytes = Buffer.from(record.configJson, "utf8");
  verifyDigest(bytes, record.id, "image config");
  const { config } = parseImageConfig(bytes);
  return {
    id: record.id,
    repoTags: record.repoTags,
    repoDigests: record.repoDigests,
    sizeBytes: record.sizeBytes,
    user: config.user,
    pinned: record.pinned,
    layers: record.layers,
    config,
    pulledAtNs: record.pulledAtNs,
  };
}

/** The names that a pull of `reference` gives, when it stands for `digest`. */
export function namesOf(reference: Reference, digest: string): { tag: string | undefined; digest: string } {
  return {
    tag: reference.tag === undefined ? undefined : formatReference(reference),
    digest: `${repositoryName(reference)}@${digest}`,
  };
}

type Names = Pick<ImageRecord, "repoTags" | "repoDigests">;

/**
 * What is left when `name` is taken away: a tag goes, with the last tag of a repository its digests go, and a digest
 * stands for everything under its repository. Nothing left: the image itself goes.
 * @param name as in `repoTags` or `repoDigests`.
 */
export function withoutName<T extends Names>(image: T, name: string): T {
  const repository = repositoryName(parseReference(name));
  const isOf = (other: string) => repositoryName(parseReference(other)) === repository;
  const isDigest = image.repoDigests.includes(name);
  const repoTags = image.repoTags.filter((tag) => tag !== name && !(isDigest && isOf(tag)));
  const keepsDigests = repoTags.some(isOf);
  return {
    ...image,
    repoTags,
    repoDigests: image.repoDigests.filter((digest) => keepsDigests || !isOf(digest)),
  };
}

/** `image` without a tag that has moved on to another image; its digests stay as its names. */
export function withoutTag<T extends Names>(image: T, tag: string): T {
  return { ...image, repoTags: image.repoTags.filter((other) => other !== tag) };
}

/** `image` with the names of one more pull; the same object when it has them. */
export function withNames<T extends Names>(image: T, names: { tag: string | undefined; digest: string }): T {
  const repoTags =
    names.tag === undefined || image.repoTags.includes(names.tag)
      ? image.repoTags
      : [...image.repoTags, names.tag];
  const repoDigests = image.repoDigests.includes(names.digest)
    ? image.repoDigests
    : [...image.repoDigests, names.digest];
  if (repoTags === image.repoTags && repoDigests === image.repoDigests) return image;
  return { ...image, repoTags, repoDigests };
}

/** @throws RuntimeError `not-found`. */
export function noSuchImage(ref: string): RuntimeError {
  return new RuntimeError("not-found", `image ${JSON.stringify(ref)} is not here`, {
    subject: { image: ref },
  });
}
