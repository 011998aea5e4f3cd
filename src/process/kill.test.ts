import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, it } from "vitest";
import { killNow } from "./kill.ts";

it("a process that is there ends, one that has gone is no error", async () => {
  const child = spawn("/bin/cat", { stdio: ["pipe", "ignore", "ignore"], detached: true });
  const pid = child.pid ?? 0;
  const ended = once(child, "exit");
  killNow(-pid);
  expect(await ended).toEqual([null, "SIGKILL"]);
  for (const gone of [pid, -pid]) expect(() => killNow(gone)).not.toThrow();
});
