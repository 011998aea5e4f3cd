import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { holdersOf } from "./holders.ts";

it.each([
  ["a file below it", (folder: string) => `exec 9>${folder}/deep/file`],
  ["a folder below it", (folder: string) => `exec 9<${folder}/deep`],
  ["the folder itself", (folder: string) => `exec 9<${folder}`],
  ["its working folder there", (folder: string) => `cd ${folder}/deep`],
])("who has %s holds it, for as long as it lives", async (_, hold) => {
  const folder = mkdtempSync(join(tmpdir(), "kobako-holders-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, "held/deep"), { recursive: true });
  mkdirSync(join(folder, "held-not"));
  const child = spawn("/bin/sh", ["-c", `${hold(join(folder, "held"))}; echo ready; read x`], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  expect(holdersOf(join(folder, "held"))).toEqual([child.pid]);
  expect(holdersOf(join(folder, "held-not"))).toEqual([]);
  child.stdin.end();
  await once(child, "exit");
  expect(holdersOf(join(folder, "held"))).toEqual([]);
  expect(holdersOf(join(folder, "never"))).toEqual([]);
});
