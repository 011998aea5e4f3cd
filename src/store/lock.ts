import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { RuntimeError } from "../errors/runtime-error.ts";
import { sqlite, sqliteCode } from "./sqlite-code.ts";

/** The file in a folder by which it is held. */
export const lockName = "lock";

/**
 * Holds `folder` for this process, by a file in it: the kernel releases it when the process ends, however it ends.
 * SQLite's file lock is the only one that Node offers without native code.
 * @param setting what names the folder in the configuration.
 * @throws RuntimeError `failed-precondition` when another process holds it, `unavailable` when it can't be locked.
 */
export function lockFolder(folder: string, setting: "root" | "state"): Disposable {
  const path = join(folder, lockName);
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { timeout: 0 });
    db.exec("PRAGMA journal_mode=MEMORY; PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE");
  } catch (cause) {
    db?.close();
    if (sqliteCode(cause) !== sqlite.busy)
      throw new RuntimeError("unavailable", `${path} can't be locked`, { cause });
    throw new RuntimeError(
      "failed-precondition",
      `another kobako daemon uses ${setting} ${folder}: stop it, or choose another ${setting}`,
      { subject: { lock: path }, cause },
    );
  }
  return { [Symbol.dispose]: () => db.close() };
}
