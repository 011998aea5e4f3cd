/**
 * Images made on the spot: layers with tar-stream, config, manifest, index, pushed over plain HTTP.
 * Honest by default. Every document and digest can be overridden, so that hostile and broken images
 * come out of the same builder (`overrides`, `rawTar`).
 * Source: image-spec 1.1 (manifest.md, config.md, image-index.md, layer.md).
 */
import { createHash } from "node:crypto";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { pack } from "tar-stream";

export type Compression = "gzip" | "zstd" | "none";

/** One entry of a layer. The name is written as it is: "../x", "/x" and "" are possible on purpose. */
export interface Entry {
  readonly name: string;
  /** Default: "file", or "directory" when the name ends in "/". */
  readonly type?:
    | "file"
    | "directory"
    | "symlink"
    | "link"
    | "character-device"
    | "block-device"
    | "fifo"
    | "contiguous-file";
  readonly content?: string | Uint8Array;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly linkname?: string;
  readonly devmajor?: number;
  readonly devminor?: number;
  readonly mtime?: Date;
  /** PAX records, e.g. {"SCHILY.xattr.user.a": "b"}. */
  readonly pax?: Readonly<Record<string, string>>;
}

export interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly bytes: Uint8Array;
}

export interface BuiltLayer extends Blob {
  readonly diffId: string;
}

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

/** The `config` object of an image configuration, with its own spelling. */
export interface ProcessConfig {
  readonly User?: string;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly WorkingDir?: string;
  readonly StopSignal?: string;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly Volumes?: Readonly<Record<string, object>>;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
}

export interface ImageOptions {
  readonly layers: readonly (readonly Entry[] | BuiltLayer)[];
  readonly config?: ProcessConfig;
  readonly platform?: Platform;
  readonly compression?: Compression;
  /** "docker": schema 2 media types. */
  readonly format?: "oci" | "docker";
  readonly created?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Merged over the documents as built; a key set to undefined is left out. */
  readonly overrides?: {
    readonly config?: Readonly<Record<string, unknown>>;
    readonly manifest?: Readonly<Record<string, unknown>>;
  };
}

export interface BuiltImage {
  readonly manifest: Blob;
  readonly config: Blob;
  readonly layers: readonly Blob[];
  /** What the runtime calls the image: the config's digest. */
  readonly id: string;
}

export interface BuiltIndex {
  readonly manifest: Blob;
  readonly images: readonly BuiltImage[];
}

export const mediaTypes = {
  oci: {
    manifest: "application/vnd.oci.image.manifest.v1+json",
    index: "application/vnd.oci.image.index.v1+json",
    config: "application/vnd.oci.image.config.v1+json",
    gzip: "application/vnd.oci.image.layer.v1.tar+gzip",
    zstd: "application/vnd.oci.image.layer.v1.tar+zstd",
    none: "application/vnd.oci.image.layer.v1.tar",
  },
  docker: {
    manifest: "application/vnd.docker.distribution.manifest.v2+json",
    index: "application/vnd.docker.distribution.manifest.list.v2+json",
    config: "application/vnd.docker.container.image.v1+json",
    gzip: "application/vnd.docker.image.rootfs.diff.tar.gzip",
    zstd: "application/vnd.docker.image.rootfs.diff.tar.zstd",
    none: "application/vnd.docker.image.rootfs.diff.tar",
  },
} as const;

/** The platform of this machine in OCI's words. */
export const thisPlatform: Platform = {
  os: "linux",
  architecture: process.arch === "x64" ? "amd64" : process.arch,
};

export function sha256(bytes: Uint8Array | string): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function jsonBlob(mediaType: string, value: unknown): Blob {
  const bytes = Buffer.from(JSON.stringify(value));
  return { mediaType, digest: sha256(bytes), bytes };
}

/** A tar stream of `entries`, in their order, times at 2026-01-01 unless given: equal input, equal digest. */
export async function tarOf(entries: readonly Entry[]): Promise<Uint8Array> {
  const archive = pack();
  const chunks: Uint8Array[] = [];
  const read = (async () => {
    for await (const chunk of archive) chunks.push(chunk as Uint8Array);
  })();
  for (const entry of entries) {
    const content = entry.content ?? "";
    const type = entry.type ?? (entry.name.endsWith("/") ? "directory" : "file");
    const body = typeof content === "string" ? Buffer.from(content) : Buffer.from(content);
    archive.entry(
      {
        name: entry.name,
        type,
        mode: entry.mode ?? (type === "directory" ? 0o755 : 0o644),
        uid: entry.uid ?? 0,
        gid: entry.gid ?? 0,
        mtime: entry.mtime ?? new Date("2026-01-01T00:00:00Z"),
        size: type === "file" || type === "contiguous-file" ? body.length : 0,
        ...(entry.linkname !== undefined ? { linkname: entry.linkname } : {}),
        ...(entry.devmajor !== undefined ? { devmajor: entry.devmajor } : {}),
        ...(entry.devminor !== undefined ? { devminor: entry.devminor } : {}),
        ...(entry.pax !== undefined ? { pax: { ...entry.pax } } : {}),
      },
      body,
    );
  }
  archive.finalize();
  await read;
  return Buffer.concat(chunks);
}

/** Compresses `tar` and names it. `diffId` may lie. */
export function layerOfTar(
  tar: Uint8Array,
  o: { compression?: Compression; format?: "oci" | "docker"; diffId?: string } = {},
): BuiltLayer {
  const { compression = "gzip", format = "oci" } = o;
  const bytes = compression === "gzip" ? gzipSync(tar) : compression === "zstd" ? zstdCompressSync(tar) : tar;
  return {
    mediaType: mediaTypes[format][compression],
    digest: sha256(bytes),
    bytes,
    diffId: o.diffId ?? sha256(tar),
  };
}

export async function buildLayer(
  entries: readonly Entry[],
  o: { compression?: Compression; format?: "oci" | "docker"; diffId?: string } = {},
): Promise<BuiltLayer> {
  return layerOfTar(await tarOf(entries), o);
}

function descriptor(blob: Blob): { mediaType: string; digest: string; size: number } {
  return { mediaType: blob.mediaType, digest: blob.digest, size: blob.bytes.length };
}

function isLayer(value: readonly Entry[] | BuiltLayer): value is BuiltLayer {
  return !Array.isArray(value);
}

export async function buildImage(o: ImageOptions): Promise<BuiltImage> {
  const format = o.format ?? "oci";
  const layers: BuiltLayer[] = [];
  for (const layer of o.layers) {
    layers.push(
      isLayer(layer) ? layer : await buildLayer(layer, { compression: o.compression ?? "gzip", format }),
    );
  }
  const platform = o.platform ?? thisPlatform;
  const config = jsonBlob(mediaTypes[format].config, {
    created: o.created ?? "2026-01-01T00:00:00Z",
    ...platform,
    config: o.config ?? {},
    rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.diffId) },
    history: layers.map(() => ({ created: "2026-01-01T00:00:00Z", created_by: "test" })),
    ...o.overrides?.config,
  });
  const manifest = jsonBlob(mediaTypes[format].manifest, {
    schemaVersion: 2,
    mediaType: mediaTypes[format].manifest,
    config: descriptor(config),
    layers: layers.map(descriptor),
    ...(o.annotations ? { annotations: o.annotations } : {}),
    ...o.overrides?.manifest,
  });
  return { manifest, config, layers, id: config.digest };
}

/** A multi-platform index (or Docker manifest list) over `images`. */
export function buildIndex(
  images: readonly { image: BuiltImage; platform: Platform }[],
  o: { format?: "oci" | "docker"; overrides?: Readonly<Record<string, unknown>> } = {},
): BuiltIndex {
  const type = mediaTypes[o.format ?? "oci"].index;
  return {
    manifest: jsonBlob(type, {
      schemaVersion: 2,
      mediaType: type,
      manifests: images.map(({ image, platform }) => ({ ...descriptor(image.manifest), platform })),
      ...o.overrides,
    }),
    images: images.map(({ image }) => image),
  };
}

async function expectStatus(response: Response, what: string, ...codes: number[]): Promise<Response> {
  if (!codes.includes(response.status))
    throw new Error(`${what}: HTTP ${response.status} ${(await response.text()).slice(0, 500)}`);
  return response;
}

async function pushBlob(registry: string, repository: string, blob: Blob, headers: Record<string, string>) {
  const base = `${registry}/v2/${repository}/blobs`;
  const head = await fetch(`${base}/${blob.digest}`, { method: "HEAD", headers });
  if (head.status === 200) return;
  const start = await expectStatus(
    await fetch(`${base}/uploads/`, { method: "POST", headers }),
    `upload to ${repository}`,
    202,
  );
  await start.arrayBuffer();
  const location = new URL(start.headers.get("location") ?? "", registry);
  location.searchParams.set("digest", blob.digest);
  const put = await fetch(location, {
    method: "PUT",
    body: Buffer.from(blob.bytes),
    headers: { ...headers, "content-type": "application/octet-stream" },
  });
  await (await expectStatus(put, `upload of ${blob.digest}`, 201)).arrayBuffer();
}

/**
 * Pushes an image or an index with all its images to `registry` ("http://127.0.0.1:5000") under
 * `repository` and each of `tags`. Blobs that are there already are left alone.
 */
export async function push(
  registry: string,
  repository: string,
  tags: string | readonly string[],
  what: BuiltImage | BuiltIndex,
  headers: Record<string, string> = {},
): Promise<void> {
  const manifests = `${registry}/v2/${repository}/manifests`;
  const putManifest = async (blob: Blob, tag: string) => {
    const put = await fetch(`${manifests}/${tag}`, {
      method: "PUT",
      body: Buffer.from(blob.bytes),
      headers: { ...headers, "content-type": blob.mediaType },
    });
    await (await expectStatus(put, `manifest ${repository}:${tag}`, 201)).arrayBuffer();
  };
  for (const image of "images" in what ? what.images : [what]) {
    for (const blob of new Map([image.config, ...image.layers].map((b) => [b.digest, b])).values())
      await pushBlob(registry, repository, blob, headers);
    if ("images" in what) await putManifest(image.manifest, image.manifest.digest);
  }
  for (const tag of typeof tags === "string" ? [tags] : tags) await putManifest(what.manifest, tag);
}
