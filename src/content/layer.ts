/** A layer on disk, and the small file beside it that says what it is. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { RootAttributes, StackedLayer } from "../oci/layer-stack.ts";

/** Layers from the registry, as `unpack` takes them. */
export interface LayerSource {
  /** Of the compressed bytes. */
  readonly digest: string;
  /** Of the compressed bytes; one more or less is an error. */
  readonly sizeBytes: number;
  readonly compression: "gzip" | "zstd" | "none";
  readonly diffId: string;
  /** Diff ids of the layers below, lowest first. */
  readonly parents: readonly string[];
  /** The compressed bytes, in order; resumes broken connections itself. Called at most once per attempt. */
  open(signal: AbortSignal): AsyncIterable<Uint8Array>;
}

export interface Layer extends StackedLayer {
  /** The diff id, or the chain id when the content depends on the layers below. */
  readonly key: string;
  /** The folder for `lowerdir`. Overlays on it need the mount option `userxattr`. */
  readonly path: string;
  /** Taken on disk, counted when it was unpacked. */
  readonly sizeBytes: number;
}

/** What `layer.json` holds. Fields are only ever added. */
export interface LayerRecord {
  readonly version: 1;
  readonly key: string;
  readonly diffId: string;
  /** The content was settled against the layers below (or against there being none). */
  readonly dependent: boolean;
  readonly usedBytes: number;
  readonly inodes: number;
  readonly root: RootAttributes | null;
  readonly rootOpaque: boolean;
  /** Boot in which it was unpacked: until it is synced, it is whole only as long as the kernel lives. */
  readonly bootId: string;
}

const recordName = "layer.json";
/** Made by `kobako-unpack --syncfs` after everything of the layer is on disk. */
const syncedName = "synced";
/** Our own file is some 300 bytes. */
const recordMaxBytes = 64 << 10;

export function layerOf(record: LayerRecord, folder: string): Layer {
  return {
    key: record.key,
    path: join(folder, "fs"),
    sizeBytes: record.usedBytes,
    ...(record.root ? { root: record.root } : {}),
    ...(record.rootOpaque ? { rootOpaque: true } : {}),
  };
}

/** The folder name of a layer: digests hold a colon, which mount options give a meaning. */
export function folderName(key: string): string {
  return key.replace(":", "-");
}

export async function writeRecord(folder: string, record: LayerRecord): Promise<void> {
  await writeFile(join(folder, recordName), JSON.stringify(record), { mode: 0o600, flag: "wx" });
}

/** The record in `folder`; undefined when there is none that can be read. */
export async function findRecord(folder: string): Promise<LayerRecord | undefined> {
  let value: unknown;
  try {
    const text = await readFile(join(folder, recordName), "utf8");
    if (text.length > recordMaxBytes) return undefined;
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isRecord(value) ? value : undefined;
}

/** True when the layer was written to disk as a whole. */
export async function isSynced(folder: string): Promise<boolean> {
  return await readFile(join(folder, syncedName)).then(
    () => true,
    () => false,
  );
}

function isRecord(value: unknown): value is LayerRecord {
  if (typeof value !== "object" || value === null) return false;
  const r = value as Partial<Record<keyof LayerRecord, unknown>>;
  return (
    r.version === 1 &&
    typeof r.key === "string" &&
    typeof r.diffId === "string" &&
    typeof r.dependent === "boolean" &&
    Number.isSafeInteger(r.usedBytes) &&
    Number.isSafeInteger(r.inodes) &&
    (r.root === null || isRoot(r.root)) &&
    typeof r.rootOpaque === "boolean" &&
    typeof r.bootId === "string"
  );
}

function isRoot(value: unknown): value is RootAttributes {
  if (typeof value !== "object" || value === null) return false;
  const { mode, uid, gid } = value as Partial<Record<keyof RootAttributes, unknown>>;
  return Number.isInteger(mode) && Number.isInteger(uid) && Number.isInteger(gid);
}
