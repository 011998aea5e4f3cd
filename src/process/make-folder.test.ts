import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { makeFolder } from "./make-folder.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "kobako-folder-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it("makes the parents too, and is content with what is there", async () => {
  const path = join(folder, "a/b/c");
  await Promise.all([makeFolder(path, 0o700), makeFolder(path, 0o700), makeFolder(`${path}/`, 0o700)]);
  expect((await stat(path)).isDirectory()).toBe(true);
});

it("says so where nothing can be made, instead of trying for ever", async () => {
  await expect(makeFolder("/proc/1/no/such", 0o755)).rejects.toMatchObject({ code: "ENOENT" });
});

it("a file in its place, or on the way, is ENOTDIR", async () => {
  await writeFile(join(folder, "file"), "");
  await expect(makeFolder(join(folder, "file"), 0o755)).rejects.toMatchObject({ code: "ENOTDIR" });
  await expect(makeFolder(join(folder, "file/x"), 0o755)).rejects.toMatchObject({ code: "ENOTDIR" });
});
