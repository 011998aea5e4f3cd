import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { randomBytes } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import { othersOf, processesWith } from "./stray.ts";

const mark = `STRAY=${randomBytes(8).toString("hex")}`;
let child: ChildProcess | undefined;

/** Starts a shell with a child, which say that they are there. */
async function family(label: string): Promise<number> {
  const [name = "", value = ""] = mark.split("=");
  child = spawn("/bin/sh", ["-c", "sh -c 'echo up; read line'; :", label], {
    env: { PATH: "/usr/bin:/bin", [name]: value },
    stdio: ["pipe", "pipe", "inherit"],
  });
  if (child.stdout === null || child.pid === undefined) throw new Error("no shell");
  await once(child.stdout, "data");
  return child.pid;
}

async function end(): Promise<void> {
  if (child === undefined || child.exitCode !== null) return;
  const ended = once(child, "exit");
  child.stdin?.end();
  await ended;
}
afterEach(end);

describe("stray processes", () => {
  it("are found by what stands in their environment, children too, while they live", async () => {
    expect(processesWith(mark)).toEqual([]);
    const pid = await family("any");
    expect(processesWith(mark)).toHaveLength(2);
    expect(processesWith(mark)).toContain(pid);
    expect(processesWith(mark.slice(0, -1))).toEqual([]);
    await end();
    expect(processesWith(mark)).toEqual([]);
  });

  it("are found by their program and first argument, but for one's own and its children", async () => {
    const pid = await family("any");
    expect(othersOf("/elsewhere/sh", "-c", undefined)).toContain(pid);
    const others = othersOf("/elsewhere/sh", "-c", process.pid);
    expect(others).not.toContain(pid);
    expect(othersOf("/elsewhere/sh", "-c", pid)).not.toContain(pid);
    expect(othersOf("/elsewhere/sh", "other", undefined)).not.toContain(pid);
    expect(othersOf("/elsewhere/bash", "-c", undefined)).not.toContain(pid);
  });
});
