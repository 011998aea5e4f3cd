/** What Status says of user namespaces is what the kernel does with the filesystems of images. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { parseFeatures } from "../../../src/runtime/oci/program.ts";
import { UserNamespaces } from "../../../src/runtime/user-namespaces.ts";
import { monitorBinary } from "../../support/monitor.ts";
import { tempDir } from "../../support/temp-dir.ts";

const inTime = () => AbortSignal.timeout(20_000);

it("they are there where layers of both filesystems can be mapped; nothing stays mounted", async () => {
  await using dir = await tempDir();
  const folders = ["layers", "snapshots"].map((name) => join(dir.path, name)) as [string, string];
  for (const folder of folders) mkdirSync(folder);
  expect(await new UserNamespaces(monitorBinary, folders).missing(inTime())).toBe("");
  expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(dir.path);
});

it("a filesystem that can't be mapped is named, and so is one that is not there", async () => {
  await using dir = await tempDir();
  const [layers, plain] = [join(dir.path, "layers"), join(dir.path, "ramfs")];
  for (const folder of [layers, plain]) mkdirSync(folder);
  execFileSync("mount", ["-t", "ramfs", "ramfs", plain]);
  try {
    const why = await new UserNamespaces(monitorBinary, [layers, plain]).missing(inTime());
    expect(why).toMatch(new RegExp(`^id-map layer "${plain}".*Invalid argument`));
  } finally {
    execFileSync("umount", [plain]);
  }
  expect(await new UserNamespaces(monitorBinary, [layers, join(dir.path, "no")]).missing(inTime())).toMatch(
    /No such file/,
  );
});

it("a caller that is gone does not take the answer from the others", async () => {
  await using dir = await tempDir();
  const folders = ["a", "b"].map((name) => join(dir.path, name)) as [string, string];
  for (const folder of folders) mkdirSync(folder);
  const probe = new UserNamespaces(monitorBinary, folders);
  await expect(probe.missing(AbortSignal.abort())).rejects.toMatchObject({ kind: "deadline-exceeded" });
  expect(await probe.missing(inTime())).toBe("");
});

it.each([
  [{ mountExtensions: { idmap: { enabled: true } } }, true],
  [{ mountExtensions: { idmap: { enabled: false } } }, false],
  [{ mountExtensions: { idmap: null } }, false],
  [{ mountExtensions: null }, false],
  [{}, false],
  [null, false],
])("a program whose features say %j maps mounts: %s", (linux, mapsMounts) => {
  const json = JSON.stringify({ ociVersionMin: "1.0.0", ociVersionMax: "1.3.0", linux });
  expect(parseFeatures(json)?.mapsMounts).toBe(mapsMounts);
});
