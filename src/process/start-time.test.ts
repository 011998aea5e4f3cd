import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, it } from "vitest";
import { processStartTime } from "./start-time.ts";

it("a process has one start time for as long as it lives, and none afterwards", async () => {
  const child = spawn("/bin/cat", { stdio: ["pipe", "ignore", "ignore"] });
  const pid = child.pid ?? 0;
  const before = processStartTime(pid);
  expect(before).toMatch(/^[1-9][0-9]*$/);
  expect(processStartTime(pid)).toBe(before);
  child.stdin.end();
  await once(child, "exit");
  expect(processStartTime(pid)).toBeUndefined();
});
