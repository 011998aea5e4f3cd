/**
 * Snapshots: writable root filesystems on top of image layers.
 * Enters: the layers of an image, lowest first. Leaves: what an overlay mount needs; the monitor mounts it.
 * Keeps: <root>/<id>/{fs, work}, and {disk, disk.bytes} where its handler makes an image of it; <root>/.empty (below images without layers) and <root>/.trash (to be freed).
 * Never: mounts, pulls, reads a manifest, or deletes through a mount.
 */
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { chmod, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { RuntimeError } from "../errors/runtime-error.ts";
import type { Log } from "../log/log.ts";
import { hostIdOf, type IdMap } from "../oci/id-map.ts";
import { type StackedLayer, lowerFolders, rootAttributes } from "../oci/layer-stack.ts";
import { Trash } from "../process/trash.ts";
import { type Usage, UsageScans } from "./usage.ts";

/** What an overlay is mounted from. */
export interface SnapshotMount {
  /** Highest first. */
  readonly lower: string[];
  readonly upper: string;
  readonly work: string;
  /**
   * Mount options: layers carry their opaque marks as user.overlay.* (`userxattr`), and nothing that a container wrote
   * outlives a power cut, so it is not synced (`volatile`: docs/decisions/0002-volatile-snapshots.md).
   */
  readonly options: string[];
  /** Where a handler may make a filesystem image of it all: its containers then write there instead. */
  readonly disk: string;
}

/** Overlayfs's own limit. */
const maxLayers = 500;
const idPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;
const emptyName = ".empty";
const trashName = ".trash";

export class Snapshotter {
  readonly #root: string;
  readonly #trash: Trash;
  readonly #usage: UsageScans;
  readonly #ids = new Set<string>();

  constructor(o: { root: string; unpackBinary: string; log: Log }) {
    this.#root = o.root;
    this.#trash = new Trash({
      dir: join(o.root, trashName),
      unpackBinary: o.unpackBinary,
      onStuck: (path, error) =>
        o.log.warn({ error, path }, "a removed snapshot is not freed; the next start tries again"),
    });
    this.#usage = new UsageScans({ unpackBinary: o.unpackBinary, log: o.log });
  }

  /** Makes the folder (0700), reads what is there, and starts to free what a crash left. Call once, first. */
  async open(): Promise<void> {
    await mkdir(this.#root, { recursive: true, mode: 0o700 });
    await chmod(this.#root, 0o700);
    await mkdir(join(this.#root, emptyName), { recursive: true, mode: 0o755 });
    await this.#trash.open();
    for (const name of await readdir(this.#root)) if (!name.startsWith(".")) this.#ids.add(name);
  }

  /**
   * A new snapshot. Its upper folder has the owner and mode of the image's root folder, as that is what a
   * container sees as "/".
   * @param layers lowest first; none is fine.
   * @param idMap of the user namespace that it is for: the owner is then one of its ids.
   * @throws RuntimeError `already-exists`, `invalid-argument` (id, too many layers), `resource-exhausted`.
   */
  async create(id: string, layers: readonly StackedLayer[], idMap?: IdMap): Promise<SnapshotMount> {
    if (!idPattern.test(id))
      throw new RuntimeError(
        "invalid-argument",
        `snapshot id ${JSON.stringify(id.slice(0, 200))} is not valid`,
      );
    const lower = lowerFolders(layers);
    if (lower.length > maxLayers) {
      throw new RuntimeError(
        "invalid-argument",
        `image has ${lower.length} layers, at most ${maxLayers} can be mounted`,
      );
    }
    if (this.#ids.has(id)) throw new RuntimeError("already-exists", `snapshot ${id} exists`);
    this.#ids.add(id);
    try {
      this.#makeFolders(id, layers, idMap);
    } catch (error) {
      await this.#trash.take(this.#path(id)).catch(() => {});
      this.#ids.delete(id);
      throw diskError(id, error);
    }
    this.#usage.seed(this.#upper(id));
    return {
      lower: lower.length > 0 ? lower : [join(this.#root, emptyName)],
      upper: this.#upper(id),
      work: join(this.#path(id), "work"),
      options: ["userxattr", "volatile"],
      disk: this.#disk(id),
    };
  }

  /** Its container is about to begin: what is in its image by now is not what it wrote. */
  handedOver(id: string): void {
    const bytes = allocatedBytes(this.#disk(id));
    if (bytes !== undefined) writeFileSync(`${this.#disk(id)}.bytes`, String(bytes));
  }

  /** The folders of a snapshot. */
  find(id: string): { upper: string; work: string } | undefined {
    if (!this.#ids.has(id)) return undefined;
    return { upper: this.#upper(id), work: join(this.#path(id), "work") };
  }

  /** Ids of all snapshots, also of those whose creation a crash cut short. */
  list(): string[] {
    return [...this.#ids];
  }

  /**
   * Takes a snapshot away; it is freed in the background. One that is gone is success. What is still mounted in it
   * is not touched: it stays, and is logged.
   */
  async remove(id: string): Promise<void> {
    if (!this.#ids.has(id)) return;
    await this.#trash.take(this.#path(id));
    this.#ids.delete(id);
    this.#usage.forget(this.#upper(id));
  }

  /**
   * What the container wrote, as of the last scan: never waits for a disk. Asking starts a scan when the value is
   * old; how old it may get grows with what a scan of this snapshot costs.
   * @throws RuntimeError `not-found`.
   */
  async usage(id: string): Promise<Usage> {
    if (!this.#ids.has(id)) throw new RuntimeError("not-found", `snapshot ${id} is not here`);
    const bytes = allocatedBytes(this.#disk(id));
    if (bytes === undefined) return this.#usage.get(this.#upper(id));
    return { usedBytes: Math.max(0, bytes - (this.#bytesAtFirst(id) ?? bytes)), inodesUsed: 1 };
  }

  /** Resolves when everything that was removed so far is freed. */
  async freed(): Promise<void> {
    await this.#trash.emptied();
  }

  /** Stops scanning and freeing. */
  async close(): Promise<void> {
    await Promise.all([this.#usage.close(), this.#trash.close()]);
  }

  #path(id: string): string {
    return join(this.#root, id);
  }

  #upper(id: string): string {
    return join(this.#root, id, "fs");
  }

  #disk(id: string): string {
    return join(this.#root, id, "disk");
  }

  #bytesAtFirst(id: string): number | undefined {
    try {
      return Number(readFileSync(`${this.#disk(id)}.bytes`, "utf8"));
    } catch {
      return undefined; // its creation is under way, or was cut short
    }
  }

  /** Three folders at once, as the database writes its rows: five hand-overs to a thread cost a millisecond. */
  #makeFolders(id: string, layers: readonly StackedLayer[], idMap: IdMap | undefined): void {
    const upper = this.#upper(id);
    const root = rootAttributes(layers);
    mkdirSync(this.#path(id), { mode: 0o700 });
    mkdirSync(upper, { mode: 0o755 });
    mkdirSync(join(this.#path(id), "work"), { mode: 0o700 });
    const [uid, gid] = [hostIdOf(idMap, root.uid), hostIdOf(idMap, root.gid)];
    if (uid !== 0 || gid !== 0) chownSync(upper, uid, gid);
    chmodSync(upper, root.mode); // after chown, which clears set-id bits; and mkdir's went through the umask
  }
}

/** What a sparse file takes; undefined: it is not there. */
function allocatedBytes(path: string): number | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat && stat.blocks * 512; // stat(2): whatever the filesystem's blocks are
}

function diskError(id: string, cause: unknown): RuntimeError {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new RuntimeError("resource-exhausted", `no space for snapshot ${id}`, { cause });
  }
  if (code === "EEXIST") return new RuntimeError("already-exists", `snapshot ${id} exists`, { cause });
  return new RuntimeError("internal", `snapshot ${id} can't be made`, { cause });
}
