/** A folder for one test, removed at its end. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface TempDir extends AsyncDisposable {
  readonly path: string;
}

/** A new folder, mode 0700, below `parent` (default: the system's folder for temporary files). */
export async function tempDir(name = "test", parent = tmpdir()): Promise<TempDir> {
  const path = await mkdtemp(join(parent, `kobako-${name}-`));
  return {
    path,
    // A program that is being killed may make a last file while the folder goes: then it goes again.
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 }),
  };
}

/** One for volatile state: in memory, as /run is on a node; machines for tests may have /run on a disk. */
export async function volatileDir(name = "run"): Promise<TempDir> {
  return await tempDir(name, "/dev/shm");
}
