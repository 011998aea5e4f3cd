/** Folders for the tests of one file, which need them before the first begins. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, onTestFinished } from "vitest";

function make(name: string): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), `kobako-${name}-`));
  // A shim that is ending may make a last file while the folder goes: then it goes again.
  return {
    path,
    remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 }),
  };
}

/** A new folder, mode 0700, removed after the file's last test: call it where the file begins. */
export function fileDir(name: string): string {
  const { path, remove } = make(name);
  afterAll(remove);
  return path;
}

/** As `fileDir`, removed after the test that is running. */
export function testDir(name: string): string {
  const { path, remove } = make(name);
  onTestFinished(remove);
  return path;
}
