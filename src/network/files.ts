/** Small files of this room: JSON, replaced as a whole. Written before an exec of milliseconds, so synchronously. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { mkdir, open, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { RuntimeError } from "../errors/runtime-error.ts";
import type { JsonObject } from "../oci/document.ts";
import { parseObject } from "./conflist.ts";

const halfWritten = ".new";

/** Removes what a crash left of `writeJson` in a folder. */
export function removeHalfWritten(folder: string): void {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return; // nothing was written there yet
  }
  for (const name of names) if (name.endsWith(halfWritten)) rmSync(join(folder, name), { force: true });
}

/**
 * Temporary name beside it, then rename: readers see all or nothing. A power cut may leave less, even an empty file.
 * @throws RuntimeError.
 */
export function writeJson(path: string, value: unknown): void {
  const temporary = path + halfWritten;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(temporary, JSON.stringify(value), { mode: 0o600 });
    renameSync(temporary, path);
  } catch (cause) {
    throw notWritten(path, cause);
  }
}

/** As `writeJson`, and whole on the disk when it resolves. */
export async function writeJsonSynced(path: string, value: unknown): Promise<void> {
  const temporary = path + halfWritten;
  const folder = dirname(path);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFile(temporary, JSON.stringify(value), { mode: 0o600, flush: true });
    await rename(temporary, path);
    await using opened = await open(folder);
    await opened.sync();
  } catch (cause) {
    throw notWritten(path, cause);
  }
}

function notWritten(path: string, cause: unknown): RuntimeError {
  rmSync(path + halfWritten, { force: true });
  const full =
    cause instanceof Error && "code" in cause && (cause.code === "ENOSPC" || cause.code === "EDQUOT");
  return new RuntimeError(full ? "resource-exhausted" : "internal", `write ${path}`, { cause });
}

/**
 * undefined: no such file. @throws RuntimeError `internal` when it can't be read, `invalid-argument` when it is no JSON
 * object.
 */
export function readJson(path: string): JsonObject | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
    throw new RuntimeError("internal", `read ${path}`, { cause });
  }
  return parseObject(text, path);
}
