/**
 * Layers: the unpacked, read-only folders that images are made of, stored once each.
 * Enters: compressed layers with their digests. Leaves: folders for overlay mounts.
 * Keeps: <root>/<key with - for :>/{fs, layer.json, synced}; <root>/tmp (under work) and <root>/trash (to be freed).
 * Never: reads an image's bytes itself, knows an image, answers for a layer that a power cut may have hurt.
 *
 * A layer is unpacked in tmp and renamed into place when it is verified. It is trusted in the boot that made it;
 * after another boot only when sync() had finished for it (`synced`): else it is garbage, as tmp is.
 */
import { randomBytes } from "node:crypto";
import { chmod, mkdir, readdir, readFile, rename, rmdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { RuntimeError, errorKind } from "../errors/runtime-error.ts";
import type { Log } from "../log/log.ts";
import { chainId } from "../oci/chain-id.ts";
import { lowerFolders } from "../oci/layer-stack.ts";
import { runHelper } from "../process/file-helper.ts";
import { Trash } from "../process/trash.ts";
import {
  type Layer,
  type LayerRecord,
  type LayerSource,
  findRecord,
  folderName,
  isSynced,
  layerOf,
  writeRecord,
} from "./layer.ts";
import { mountpointOf } from "./mountpoint.ts";
import { Shared } from "./shared.ts";
import { type LayerLimits, type Unpacked, settleIn, unpackInto } from "./unpack.ts";

export type { Layer, LayerSource } from "./layer.ts";
export type { LayerLimits } from "./unpack.ts";

const defaultLimits: LayerLimits = {
  outputBytes: 128 * 2 ** 30,
  entries: 4_000_000,
  freeBytes: 2 ** 30,
  ratio: 200,
  reserveBytes: 64 * 2 ** 20,
};
/** How long a layer that depends on others waits for one of them that nobody is fetching. */
const absentParentMs = 60_000;
const syncLimitMs = 600_000;

interface Stored {
  readonly layer: Layer;
  readonly record: LayerRecord;
}

export class LayerStore {
  readonly #root: string;
  readonly #binary: string;
  readonly #log: Log;
  readonly #limits: LayerLimits;
  readonly #trash: Trash;
  readonly #stored = new Map<string, Stored>();
  /** Unpacking now, by diff id. */
  readonly #underWay = new Map<string, Shared<Layer>>();
  readonly #unsynced = new Set<string>();
  #syncing: Promise<void> | undefined;
  /** Settles when what was removed so far has left its place. */
  #taken: Promise<unknown> = Promise.resolve();
  /** Replaced when a layer arrives or an unpacking ends: who waits for a parent looks again. */
  #change = Promise.withResolvers<void>();
  #usedBytes = 0;
  #inodesUsed = 0;
  #bootId = "";
  #mountpoint = "/";

  constructor(o: { root: string; unpackBinary: string; log: Log; limits?: Partial<LayerLimits> }) {
    this.#root = o.root;
    this.#binary = o.unpackBinary;
    this.#log = o.log;
    this.#limits = { ...defaultLimits, ...o.limits };
    this.#trash = new Trash({
      dir: join(o.root, "trash"),
      unpackBinary: o.unpackBinary,
      onStuck: (path, error) =>
        o.log.warn({ error, path }, "a removed layer is not freed; the next start tries again"),
    });
  }

  /**
   * Makes the folders (0700, corrected when they are open to others), reads what is there, and starts to free what
   * a crash left. Call once, before anything else.
   */
  async open(): Promise<void> {
    await mkdir(this.#root, { recursive: true, mode: 0o700 });
    await chmod(this.#root, 0o700);
    await mkdir(this.#tmp, { recursive: true, mode: 0o700 });
    this.#bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
    this.#mountpoint = await mountpointOf(this.#root);
    await this.#trash.open();
    for (const name of await readdir(this.#tmp)) await this.#trash.take(join(this.#tmp, name));
    for (const name of await readdir(this.#root)) {
      if (name !== "tmp" && name !== "trash") await this.#load(name);
    }
  }

  /** The layer of that key (a diff id for most), as it stands in an image's record. */
  find(key: string): Layer | undefined {
    return this.#stored.get(key)?.layer;
  }

  /**
   * The layer that serves `diffId` above `parents` (diff ids, lowest first). Unlike `find`, never a layer whose
   * content was settled against other layers.
   */
  match(diffId: string, parents: readonly string[]): Layer | undefined {
    const own = this.#stored.get(diffId);
    if (own && (!own.record.dependent || parents.length === 0)) return own.layer;
    return parents.length === 0 ? undefined : this.#stored.get(chainId([...parents, diffId]))?.layer;
  }

  list(): readonly Layer[] {
    return [...this.#stored.values()].map(({ layer }) => layer);
  }

  /**
   * The layer of `source`, unpacked when it is not here. Calls for one diff id at the same time share the work;
   * it ends when the last of them gives up. On failure nothing stays, and for a full disk the space is free again
   * when this returns.
   * @param onProgress hears how many compressed bytes were taken in all.
   * @throws RuntimeError `invalid-argument` (corrupt, or not what the digests say), `resource-exhausted` (no space,
   * a limit), `cancelled`, `deadline-exceeded`, or what `source` throws.
   */
  async unpack(
    source: LayerSource,
    signal: AbortSignal,
    onProgress?: (bytes: number) => void,
  ): Promise<Layer> {
    for (;;) {
      throwIfAborted(source, signal);
      const here = this.match(source.diffId, source.parents);
      if (here) return here;
      const shared = this.#underWay.get(source.diffId);
      if (!shared) return await this.#start(source, signal, onProgress);
      try {
        await shared.join(signal, onProgress);
      } catch (error) {
        throwIfAborted(source, signal);
        // It was another caller's source (and credentials, and layers below) that failed: now ours is tried.
        this.#log.debug({ error, diffId: source.diffId }, "a shared unpacking failed");
      }
    }
  }

  /**
   * Writes all layers that came so far to disk (syncfs, in a helper process). What is not new costs nothing.
   * @throws RuntimeError `internal` when the disk refuses: then nothing may be recorded.
   */
  async sync(): Promise<void> {
    const wanted = [...this.#unsynced];
    while (wanted.some((key) => this.#unsynced.has(key))) {
      if (this.#syncing) {
        await this.#syncing.catch(() => {}); // if it failed, the next round is ours
        continue;
      }
      const keys = [...this.#unsynced];
      this.#syncing = this.#syncNow(keys).finally(() => {
        this.#syncing = undefined;
      });
      await this.#syncing;
    }
  }

  /**
   * Takes layers away: gone for find() when this returns, freed in the background. Unknown keys are ignored.
   * The caller knows that no image and no snapshot needs them.
   */
  async remove(keys: readonly string[]): Promise<void> {
    const folders: string[] = [];
    // All of them before the first wait: a pull that found one meanwhile would lose it.
    for (const key of keys) {
      const stored = this.#stored.get(key);
      if (!stored) continue;
      this.#forget(stored);
      folders.push(join(this.#root, folderName(key)));
    }
    const taken = Promise.all(folders.map((folder) => this.#trash.take(folder)));
    this.#taken = Promise.allSettled([this.#taken, taken]);
    await taken;
  }

  /**
   * Looks whether the folders of these layers are still on disk, and forgets those that are not: `unpack` brings them back.
   * @returns whether all are here.
   */
  async verify(keys: readonly string[]): Promise<boolean> {
    const lost: string[] = [];
    for (const key of new Set(keys)) {
      const stored = this.#stored.get(key);
      if (!stored || (await isFolder(stored.layer.path)) || this.#stored.get(key) !== stored) continue;
      this.#log.warn({ path: stored.layer.path }, "a layer is gone from the disk");
      lost.push(key);
    }
    await this.remove(lost);
    return keys.every((key) => this.#stored.has(key));
  }

  /** Space that all layers take, by what was counted when each was unpacked. */
  async usage(): Promise<{ usedBytes: number; inodesUsed: number; mountpoint: string }> {
    return { usedBytes: this.#usedBytes, inodesUsed: this.#inodesUsed, mountpoint: this.#mountpoint };
  }

  /** Resolves when everything that was removed so far is freed. */
  async freed(): Promise<void> {
    await this.#trash.emptied();
  }

  /** Ends what is under way and stops freeing: what is left is the next start's. */
  async close(): Promise<void> {
    for (const shared of this.#underWay.values())
      shared.cancel(new RuntimeError("cancelled", "the layer store is closed"));
    await Promise.allSettled([...this.#underWay.values()].map(({ settled }) => settled));
    await this.#trash.close();
  }

  get #tmp(): string {
    return join(this.#root, "tmp");
  }

  async #load(name: string): Promise<void> {
    const folder = join(this.#root, name);
    const record = await findRecord(folder);
    const hasFiles = await isFolder(join(folder, "fs")).catch(() => false);
    const synced = await isSynced(folder);
    if (record && folderName(record.key) === name && hasFiles && (synced || record.bootId === this.#bootId)) {
      this.#remember(record, folder);
      if (!synced) this.#unsynced.add(record.key);
      return;
    }
    this.#log.warn({ folder, synced, hasRecord: record !== undefined }, "an incomplete layer is removed");
    await this.#trash.take(folder);
  }

  #remember(record: LayerRecord, folder: string): Layer {
    const layer = layerOf(record, folder);
    this.#stored.set(record.key, { layer, record });
    this.#usedBytes += record.usedBytes;
    this.#inodesUsed += record.inodes;
    this.#changed();
    return layer;
  }

  #forget({ record }: Stored): void {
    this.#stored.delete(record.key);
    this.#unsynced.delete(record.key);
    this.#usedBytes -= record.usedBytes;
    this.#inodesUsed -= record.inodes;
  }

  #changed(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }

  async #start(
    source: LayerSource,
    signal: AbortSignal,
    onProgress?: (bytes: number) => void,
  ): Promise<Layer> {
    const shared = new Shared<Layer>((inner, report) => this.#unpack(source, inner, report));
    this.#underWay.set(source.diffId, shared);
    const over = () => {
      this.#underWay.delete(source.diffId);
      this.#changed();
    };
    shared.settled.then(over, over);
    try {
      return await shared.join(signal, onProgress);
    } catch (error) {
      throwIfAborted(source, signal);
      throw error;
    }
  }

  async #unpack(
    source: LayerSource,
    signal: AbortSignal,
    onProgress: (bytes: number) => void,
  ): Promise<Layer> {
    const dir = join(this.#tmp, randomBytes(8).toString("hex"));
    try {
      await mkdir(dir, { mode: 0o700 });
      const unpacked = await unpackInto(this.#binary, dir, source, this.#limits, signal, onProgress);
      return await this.#commit(source, dir, await this.#settled(source, dir, unpacked, signal));
    } catch (cause) {
      const error = withoutSpace(cause) ?? cause;
      await this.#trash.take(dir);
      if (errorKind(error) === "resource-exhausted") await this.#trash.emptied();
      throw error;
    }
  }

  /** Unpacked, and complete: what depends on the layers below is settled when they have come. */
  async #settled(
    source: LayerSource,
    dir: string,
    unpacked: Unpacked,
    signal: AbortSignal,
  ): Promise<Unpacked> {
    if (unpacked.pending === 0 || source.parents.length === 0) return unpacked;
    const parents = await this.#parents(source, signal);
    const added = await settleIn(this.#binary, dir, lowerFolders(parents), signal);
    await rmdir(join(dir, "lower"));
    return {
      ...unpacked,
      usedBytes: unpacked.usedBytes + added.usedBytes,
      inodes: unpacked.inodes + added.inodes,
    };
  }

  async #commit(source: LayerSource, dir: string, unpacked: Unpacked): Promise<Layer> {
    const { diffId, parents } = source;
    const dependent = unpacked.pending > 0;
    const key = dependent && parents.length > 0 ? chainId([...parents, diffId]) : diffId;
    const record: LayerRecord = {
      version: 1,
      key,
      diffId,
      dependent,
      usedBytes: unpacked.usedBytes,
      inodes: unpacked.inodes,
      root: unpacked.root,
      rootOpaque: unpacked.rootOpaque,
      bootId: this.#bootId,
    };
    await writeRecord(dir, record);
    const folder = join(this.#root, folderName(key));
    await this.#taken; // what a removal has not taken away yet is in the way, or is taken away with ours
    await rename(dir, folder);
    this.#unsynced.add(key);
    return this.#remember(record, folder);
  }

  /** The layers below `source`, lowest first, each waited for as long as somebody unpacks it. */
  async #parents(source: LayerSource, signal: AbortSignal): Promise<Layer[]> {
    const found: Layer[] = [];
    for (const [i, diffId] of source.parents.entries()) {
      found.push(await this.#parent(diffId, source.parents.slice(0, i), signal));
    }
    return found;
  }

  async #parent(diffId: string, below: readonly string[], signal: AbortSignal): Promise<Layer> {
    const absent = AbortSignal.timeout(absentParentMs);
    for (;;) {
      const layer = this.match(diffId, below);
      if (layer) return layer;
      const patience = this.#underWay.has(diffId) ? signal : AbortSignal.any([signal, absent]);
      await changeOrAbort(this.#change.promise, patience);
      if (absent.aborted && !signal.aborted && !this.#underWay.has(diffId) && !this.match(diffId, below)) {
        throw new RuntimeError(
          "failed-precondition",
          `layer ${diffId} is needed below and nobody fetches it`,
        );
      }
    }
  }

  async #syncNow(keys: readonly string[]): Promise<void> {
    const args = ["--syncfs", this.#root, ...keys.map(folderName)];
    await runHelper(this.#binary, args, { timeoutMs: syncLimitMs }, new AbortController().signal);
    for (const key of keys) this.#unsynced.delete(key);
  }
}

/** @throws what is no answer, such as an I/O error. */
async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return false;
    throw error;
  }
}

function throwIfAborted(source: LayerSource, signal: AbortSignal): void {
  if (!signal.aborted) return;
  const kind = errorKind(signal.reason) === "deadline-exceeded" ? "deadline-exceeded" : "cancelled";
  throw new RuntimeError(kind, `unpacking of layer ${source.digest} was given up`, { cause: signal.reason });
}

/** The error of a disk or quota that is full, as one of ours. */
function withoutSpace(cause: unknown): RuntimeError | undefined {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (code !== "ENOSPC" && code !== "EDQUOT") return undefined;
  return new RuntimeError("resource-exhausted", "no space for a layer", { cause });
}

/** Resolves with `change` or when `signal` aborts, whichever comes first; throws only when aborted by a caller. */
async function changeOrAbort(change: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = () => resolve();
  if (signal.aborted) return;
  signal.addEventListener("abort", done, { once: true });
  try {
    await Promise.race([change, promise]);
  } finally {
    signal.removeEventListener("abort", done);
  }
}
