/**
 * CheckpointContainer: a running container as one archive, for people who look into it. It runs on.
 * Enters: a container with its connection, and the file to write. Leaves: a tar with `checkpoint/` (CRIU's images),
 * `rootfs-diff.tar` and `deleted.files` (what it wrote and removed), `spec.dump` and `config.dump`, as checkpointctl
 * reads them. Source: github.com/checkpoint-restore/checkpointctl, lib/metadata.go.
 * Keeps: <root>/checkpoints/<container id> while one is made. The container is paused meanwhile, so that memory and
 * files are of one moment: the folder is there before it is paused, and whoever finds it later lets it go on.
 * Never: reads an archive, or makes a container of one.
 */
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { link, lstat, mkdir, readdir, readFile, rm, unlink } from "node:fs/promises";
import { isAbsolute, join, normalize, relative } from "node:path";
import { setTimeout } from "node:timers/promises";
import { RuntimeError } from "../errors/runtime-error.ts";
import type { Log } from "../log/log.ts";
import { holdersOf } from "../process/holders.ts";
import { run } from "../process/spawn.ts";
import { toolPath } from "../process/tool.ts";
import type { RuntimeSandbox } from "../runtime/handler.ts";
import type { Snapshotter } from "../snapshot/snapshotter.ts";
import type { Container } from "./container.ts";

/** A kubelet that names no time waits for two minutes. */
const usualTimeoutMs = 120_000;
/** Beyond the time of the checkpoint itself: nothing else is heard meanwhile. */
const undoTimeoutMs = 30_000;
/** What an earlier daemon began may have had this long. */
const longestTimeoutMs = 600_000;
/** In its folder: where the archive is being written. */
const madeName = "made";
/** In its folder: CRIU's images. */
const imagesName = "checkpoint";
/** Between two looks at who still writes images. */
const lookMs = 20;

export interface CheckpointsDeps {
  readonly folder: string;
  readonly snapshots: Pick<Snapshotter, "find">;
  readonly cgroups: {
    /** Freezes a cgroup, or lets it go on. False: there is none. */
    freeze(path: string, frozen: boolean): boolean;
  };
  readonly log: Log;
  readonly nowNs: () => bigint;
}

export class Checkpoints {
  readonly #deps: CheckpointsDeps;
  /** By this daemon, under way. */
  readonly #saving = new Set<string>();
  /** Of an earlier one, cut short. */
  readonly #left = new Set<string>();

  constructor(deps: CheckpointsDeps) {
    this.#deps = deps;
  }

  /** Call once, first. */
  async open(): Promise<void> {
    const { folder } = this.#deps;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const id of await readdir(folder)) this.#left.add(id);
  }

  /**
   * @param timeoutMs 0: two minutes; more than ten count as ten
   * @throws RuntimeError `unimplemented` where the handler can't, `already-exists` for a file that is there,
   * `failed-precondition` while another one of it is made, or in the runtime's words.
   */
  async save(
    container: Container,
    connection: RuntimeSandbox,
    location: string,
    timeoutMs: number,
    caller: AbortSignal,
  ): Promise<void> {
    const { id } = container;
    if (connection.checkpoint === undefined)
      throw new RuntimeError(
        "unimplemented",
        'this handler makes no checkpoints: one of type "shim-v2" over containerd-shim-runc-v2 does',
      );
    if (!isAbsolute(location) || normalize(location) !== location || location.endsWith("/"))
      throw new RuntimeError(
        "invalid-argument",
        `location ${JSON.stringify(location.slice(0, 200))} must be the absolute path of a file`,
      );
    if (this.#saving.has(id))
      throw new RuntimeError("failed-precondition", `container ${id} is being checkpointed`);
    const tar = toolPath("tar", "a checkpoint");
    const limitMs = Math.min(timeoutMs > 0 ? timeoutMs : usualTimeoutMs, longestTimeoutMs);
    const signal = AbortSignal.any([caller, AbortSignal.timeout(limitMs)]);
    const pack = async (file: string, folder: string, ...more: string[]): Promise<void> => {
      const args = [
        "--create",
        "--file",
        file,
        "--numeric-owner",
        "--sparse",
        ...more,
        "--directory",
        folder,
        ".",
      ];
      const { code, stderr } = await run(tar, args, { timeoutMs: limitMs }, signal);
      if (code !== 0) throw new RuntimeError("internal", `tar: ${stderr.toString().trim().slice(0, 500)}`);
    };

    await using undo = new AsyncDisposableStack();
    this.#saving.add(id);
    undo.defer(() => void this.#saving.delete(id));
    const folder = join(this.#deps.folder, id);
    const images = join(folder, imagesName);
    let refused = false;
    undo.defer(async () => {
      // What does not go on stays known, to the next daemon.
      if (refused || (await this.#letGoOn(container, connection, limitMs)))
        await rm(folder, { recursive: true, force: true });
    });
    mkdirSync(images, { recursive: true, mode: 0o700 });
    await connection.pause(id, signal).catch((error: unknown) => {
      refused = isRefusal(error); // somebody else has paused it
      throw error;
    });
    await connection.checkpoint(id, images, limitMs, signal);
    const upper = this.#deps.snapshots.find(id)?.upper;
    if (upper !== undefined) {
      const deleted = await whiteouts(upper);
      const names = join(folder, "deleted");
      // One with a newline can't be named here: its mark stays in the archive.
      const marks = deleted.filter((name) => !name.includes("\n")).map((name) => `./${name}\n`);
      writeFileSync(names, marks.join(""));
      const exclude = ["--anchored", "--no-wildcards", "--exclude-from", names];
      await pack(join(folder, "rootfs-diff.tar"), upper, "--xattrs", ...exclude);
      await unlink(names);
      writeFileSync(join(folder, "deleted.files"), JSON.stringify(deleted));
    }
    await connection.resume(id, signal);
    copyFileSync(join(container.bundle, "config.json"), join(folder, "spec.dump"));
    writeFileSync(join(folder, "config.dump"), JSON.stringify(this.#describe(container)));

    const made = `${location}.${id.slice(0, 16)}`;
    // Before it is there, so that a later daemon removes it.
    writeFileSync(join(folder, madeName), made);
    undo.defer(() => rm(made, { force: true }));
    // The archive holds the container's memory.
    writeFileSync(made, "", { flag: "wx", mode: 0o600 });
    await pack(made, folder, `--exclude=./${madeName}`);
    await link(made, location).catch((cause: NodeJS.ErrnoException) => {
      throw cause.code === "EEXIST"
        ? new RuntimeError("already-exists", `${location} exists`)
        : new RuntimeError("internal", `put the checkpoint at ${location}`, { cause });
    });
  }

  /** After a connection was made: what an earlier daemon paused for a checkpoint goes on, once that is made. */
  undo(container: Container, connection: RuntimeSandbox): void {
    const { id } = container;
    if (!this.#left.delete(id)) return;
    this.#saving.add(id);
    const work = async (): Promise<void> => {
      if (await this.#letGoOn(container, connection, longestTimeoutMs)) await this.#forget(id);
    };
    work()
      .catch((error: unknown) => this.#deps.log.error({ container: id, error }, "remove half a checkpoint"))
      .finally(() => this.#saving.delete(id));
  }

  /** Removes what is left of checkpoints whose container is not `known`. */
  async sweep(known: (id: string) => boolean): Promise<void> {
    for (const id of this.#left) {
      if (known(id)) continue;
      await this.#forget(id);
      this.#left.delete(id);
    }
  }

  async #forget(id: string): Promise<void> {
    const folder = join(this.#deps.folder, id);
    const made = await readFile(join(folder, madeName), "utf8").catch(() => "");
    if (made.endsWith(`.${id.slice(0, 16)}`)) await rm(made, { force: true });
    await rm(folder, { recursive: true, force: true });
  }

  /** False: it did not, which is told. */
  async #letGoOn(container: Container, connection: RuntimeSandbox, checkpointMs: number): Promise<boolean> {
    const { id } = container;
    const signal = AbortSignal.timeout(checkpointMs + undoTimeoutMs);
    try {
      // A CRIU whose runc was killed works on, and freezes again what it found frozen.
      while (holdersOf(join(this.#deps.folder, id, imagesName)).length > 0)
        await setTimeout(lookMs, undefined, { signal });
      await this.#resume(container, connection, signal);
      return true;
    } catch (error) {
      this.#deps.log.error({ container: id, error }, "a container stays paused after a checkpoint");
      return false;
    }
  }

  /**
   * Runc's shim lets nothing go on that it does not know as paused, nor runc what is not frozen. After a pause or a
   * checkpoint that was cut short each may be the one without the other.
   */
  async #resume({ id, cgroup }: Container, connection: RuntimeSandbox, signal: AbortSignal): Promise<void> {
    const { cgroups } = this.#deps;
    if (await resumed(id, connection, signal)) return;
    if (!cgroups.freeze(cgroup, true)) return; // it has ended
    if (!(await resumed(id, connection, signal))) cgroups.freeze(cgroup, false);
  }

  #describe({ id, config, imageId, imageRef, createdAtNs }: Container): object {
    const time = (ns: bigint) => new Date(Number(ns / 1_000_000n)).toISOString();
    return {
      id,
      name: config.metadata.name,
      rootfsImage: imageId,
      rootfsImageRef: imageRef,
      rootfsImageName: config.image,
      runtime: "kobako",
      createdTime: time(createdAtNs),
      checkpointedTime: time(this.#deps.nowNs()),
      restoredTime: "0001-01-01T00:00:00Z", // never, as Go says it
      restored: false,
    };
  }
}

/** False: it is said not to be paused, or to have ended. */
async function resumed(id: string, connection: RuntimeSandbox, signal: AbortSignal): Promise<boolean> {
  for (;;) {
    try {
      await connection.resume(id, signal);
      return true;
    } catch (error) {
      if (isRefusal(error)) return false;
      // It does not get through to runc's shim while that makes a checkpoint, for a daemon that was killed meanwhile.
      if (!(error instanceof RuntimeError) || error.kind !== "deadline-exceeded" || signal.aborted)
        throw error;
    }
  }
}

function isRefusal(error: unknown): boolean {
  return (
    error instanceof RuntimeError && (error.kind === "failed-precondition" || error.kind === "not-found")
  );
}

/** What a container has removed: an overlay's marks for that are devices 0:0. Names that are no UTF-8 are left out. */
async function whiteouts(upper: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(upper, { recursive: true, withFileTypes: true })) {
    if (!entry.isCharacterDevice()) continue;
    const path = join(entry.parentPath, entry.name);
    const stat = await lstat(path).catch(() => undefined);
    if (stat?.rdev === 0) found.push(relative(upper, path));
  }
  return found;
}
