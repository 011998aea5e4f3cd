/** A layer store on a folder of its own, with the real kobako-unpack, and layers made on the spot. */
import { execFileSync } from "node:child_process";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { LayerStore, type LayerLimits, type LayerSource } from "../../../src/content/layer-store.ts";
import { createLogger } from "../../../src/log/log.ts";
import {
  type BuiltLayer,
  type Compression,
  type Entry,
  layerOfTar,
  tarOf,
} from "../../support/image-builder.ts";
import { tempDir } from "../../support/temp-dir.ts";

/** KOBAKO_UNPACK names another build, with sanitizers for example. */
export const unpackBinary =
  process.env.KOBAKO_UNPACK ?? join(import.meta.dirname, "../../../build/bin/kobako-unpack");
export const log = createLogger({ level: "silent" });

export interface TestStore extends AsyncDisposable {
  readonly store: LayerStore;
  /** The store's folder. */
  readonly root: string;
  /** Another store on the same folder, as a daemon that is started again has. */
  reopen(): Promise<LayerStore>;
}

export async function testStore(
  o: { under?: string; limits?: Partial<LayerLimits> } = {},
): Promise<TestStore> {
  const dir = await tempDir("layers", o.under);
  const root = join(dir.path, "layers");
  const stores: LayerStore[] = [];
  const reopen = async () => {
    const store = new LayerStore({ root, unpackBinary, log, limits: { reserveBytes: 0, ...o.limits } });
    await store.open();
    stores.push(store);
    return store;
  };
  return {
    store: await reopen(),
    root,
    reopen,
    async [Symbol.asyncDispose]() {
      for (const store of stores) await store.close();
      await dir[Symbol.asyncDispose]();
    },
  };
}

/** A source that hands out `layer` in pieces of 64 KiB. */
export function sourceOf(
  layer: BuiltLayer,
  parents: readonly string[] = [],
  o: Partial<LayerSource> = {},
): LayerSource {
  return {
    digest: layer.digest,
    sizeBytes: layer.bytes.length,
    compression: layer.mediaType.endsWith("gzip")
      ? "gzip"
      : layer.mediaType.endsWith("zstd")
        ? "zstd"
        : "none",
    diffId: layer.diffId,
    parents,
    async *open() {
      for (let at = 0; at < layer.bytes.length; at += 65536) yield layer.bytes.subarray(at, at + 65536);
    },
    ...o,
  };
}

export async function layerSource(
  entries: readonly Entry[],
  parents: readonly string[] = [],
  compression: Compression = "gzip",
): Promise<LayerSource> {
  return sourceOf(layerOfTar(await tarOf(entries), { compression }), parents);
}

/** An AbortSignal that never aborts. */
export const never = AbortSignal.any([]);

/** Every name below `root` with what it is: "path mode uid:gid nlink time content-or-target", sorted. */
export function listing(root: string): string[] {
  const lines: string[] = [];
  const walk = (name: string) => {
    const path = join(root, name);
    const s = lstatSync(path, { bigint: true });
    const what = s.isFile()
      ? readFileSync(path, "latin1")
      : s.isSymbolicLink()
        ? `-> ${readlinkSync(path)}`
        : s.isCharacterDevice() || s.isBlockDevice()
          ? `dev ${s.rdev}`
          : "";
    const links = s.isDirectory() ? "" : ` x${s.nlink}`;
    lines.push(`${name} ${s.mode.toString(8)} ${s.uid}:${s.gid}${links} ${s.mtimeMs} ${what}`.trimEnd());
    if (s.isDirectory())
      for (const child of readdirSync(path).sort()) walk(name === "" ? child : `${name}/${child}`);
  };
  walk("");
  return lines.slice(1);
}

/** Extended attributes of `path` by getfattr's names; the ones that only root sees too. */
export function xattrs(path: string): string[] {
  const script =
    "import os,sys\nfor n in sorted(os.listxattr(sys.argv[1],follow_symlinks=False)): print(n, os.getxattr(sys.argv[1],n,follow_symlinks=False).hex())";
  return execFileSync("python3", ["-c", script, path], { encoding: "utf8" }).split("\n").filter(Boolean);
}
