/** Small files of this room: JSON, replaced as a whole. Written before an exec of milliseconds, so synchronously. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { RuntimeError, errorText } from "../errors/runtime-error.ts";
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

/** Temporary name beside it, then rename: readers see all or nothing. @throws RuntimeError. */
export function writeJson(path: string, value: unknown): void {
  const temporary = path + halfWritten;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(temporary, JSON.stringify(value), { mode: 0o600 });
    renameSync(temporary, path);
  } catch (cause) {
    rmSync(temporary, { force: true });
    const full =
      cause instanceof Error && "code" in cause && (cause.code === "ENOSPC" || cause.code === "EDQUOT");
    throw new RuntimeError(full ? "resource-exhausted" : "internal", `write ${path}`, { cause });
  }
}

/** undefined: no such file. @throws RuntimeError `internal` when it can't be read or is no JSON object. */
export function readJson(path: string): JsonObject | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
    throw new RuntimeError("internal", `read ${path}`, { cause });
  }
  try {
    return parseObject(text, path);
  } catch (cause) {
    throw new RuntimeError("internal", errorText(cause));
  }
}
