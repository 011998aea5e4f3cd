/**
 * Folders that are to go: renamed away at once, freed in the background by kobako-unpack.
 * Enters: folders on the same file system. Keeps: <dir>/<random>, until freed; a crash leaves them there and the
 * next open() frees them. Never: deletes in this process, follows a link, goes through a mount.
 */
import { randomBytes } from "node:crypto";
import { mkdir, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { runHelper } from "./file-helper.ts";

/** A tree that takes longer than this is left for the next start. */
const freeLimitMs = 3_600_000;

export class Trash {
  readonly #dir: string;
  readonly #binary: string;
  readonly #onStuck: (path: string, error: unknown) => void;
  readonly #closing = new AbortController();
  #freeing: Promise<void> = Promise.resolve();

  /** @param o.onStuck hears of a folder that can't be freed; the next open() tries again. */
  constructor(o: { dir: string; unpackBinary: string; onStuck: (path: string, error: unknown) => void }) {
    this.#dir = o.dir;
    this.#binary = o.unpackBinary;
    this.#onStuck = o.onStuck;
  }

  /** Makes the folder and starts to free what an earlier daemon left. */
  async open(): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#dir)) this.#free(join(this.#dir, name));
  }

  /** Takes `path` away, whatever it is; one that is not there is success. It is freed later, in order. */
  async take(path: string): Promise<void> {
    const away = join(this.#dir, randomBytes(8).toString("hex"));
    try {
      await rename(path, away);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
      throw error;
    }
    this.#free(away);
  }

  /** Resolves when all that was taken so far is freed, or could not be. */
  async emptied(): Promise<void> {
    await this.#freeing;
  }

  /** Stops freeing; what is left waits for the next open(). */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#freeing;
  }

  /** One at a time: it is not urgent, and the disk has others to serve. */
  #free(path: string): void {
    this.#freeing = this.#freeing.then(async () => {
      if (this.#closing.signal.aborted) return;
      try {
        await runHelper(this.#binary, ["--remove", path], { timeoutMs: freeLimitMs }, this.#closing.signal);
      } catch (error) {
        if (!this.#closing.signal.aborted) this.#onStuck(path, error);
      }
    });
  }
}
