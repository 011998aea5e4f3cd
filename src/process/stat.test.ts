import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, it } from "vitest";
import { parentPid, processStartTime } from "./stat.ts";

it("a process has one start time for as long as it lives, and none afterwards", async () => {
  const child = spawn("/bin/cat", { stdio: ["pipe", "ignore", "ignore"] });
  const pid = child.pid ?? 0;
  const before = processStartTime(pid);
  expect(before).toMatch(/^[1-9][0-9]*$/);
  expect(processStartTime(pid)).toBe(before);
  child.stdin.end();
  await once(child, "exit");
  expect(processStartTime(pid)).toBeUndefined();
  expect(parentPid(pid)).toBeUndefined();
});

it("a process has the parent that started it, whatever its name says", async () => {
  const named = spawn("/bin/sh", ["-c", "echo ') 1 2 (' >/proc/self/comm; exec cat"], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  named.stdin.write("it runs\n");
  await once(named.stdout, "data");
  expect(parentPid(named.pid ?? 0)).toBe(process.pid);
  named.stdin.end();
  await once(named, "exit");
});
