import { DatabaseSync } from "node:sqlite";
import { RuntimeError } from "../errors/runtime-error.ts";

/**
 * Holds `path` for this process: the kernel releases it when the process ends, however it ends.
 * SQLite's file lock is the only one that Node offers without native code.
 * @throws RuntimeError `failed-precondition` when another daemon holds it.
 */
export function lockFile(path: string, what: string): Disposable {
  const db = new DatabaseSync(path, { timeout: 0 });
  try {
    db.exec("PRAGMA journal_mode=MEMORY; PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE");
  } catch (cause) {
    db.close();
    throw new RuntimeError(
      "failed-precondition",
      `another kobako daemon uses ${what}: stop it, or choose another root`,
      {
        subject: { lock: path },
        cause,
      },
    );
  }
  return { [Symbol.dispose]: () => db.close() };
}
