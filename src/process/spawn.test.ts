import { describe, expect, it } from "vitest";
import { closeSync, openSync, readFileSync } from "node:fs";
import { launch, run } from "./spawn.ts";

const signal = () => AbortSignal.timeout(20_000);
const sh = (script: string, options = {}) => run("/bin/sh", ["-c", script], options, signal());

/** Gone, or a zombie until its new parent reaps it. */
function isDead(pid: string): boolean {
  try {
    const state = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.[0];
    return state === "Z" || state === "X";
  } catch {
    return true;
  }
}

describe("run", () => {
  it("gives exit code, signal and both outputs of a child", async () => {
    const result = await sh("cat; echo err >&2; exit 3", { stdin: "in" });
    expect(result).toMatchObject({ code: 3, signal: null });
    expect(result.stdout.toString()).toBe("in");
    expect(result.stderr.toString()).toBe("err\n");
    expect(await sh("kill -TERM $$")).toMatchObject({ code: null, signal: "SIGTERM" });
  });

  it("gives the child nothing of the daemon's environment, and / as its folder", async () => {
    const result = await run("/usr/bin/env", [], { env: { A: "1" } }, signal());
    expect(result.stdout.toString()).toBe("A=1\n");
    expect((await run("/bin/pwd", [], {}, signal())).stdout.toString()).toBe("/\n");
  });

  it("refuses a path that is not absolute and names a program that is missing", async () => {
    await expect(run("sh", [], {}, signal())).rejects.toMatchObject({ kind: "invalid-argument" });
    await expect(run("/nonexistent", [], {}, signal())).rejects.toMatchObject({
      kind: "failed-precondition",
      message: "program /nonexistent can't be started (ENOENT)",
    });
    await expect(run("/etc/passwd", [], {}, signal())).rejects.toMatchObject({ kind: "failed-precondition" });
  });

  it("kills the whole group at the time limit", async () => {
    const before = performance.now();
    await expect(sh("sleep 60 & sleep 60", { timeoutMs: 100 })).rejects.toMatchObject({
      kind: "deadline-exceeded",
    });
    expect(performance.now() - before).toBeLessThan(5000);
  });

  it("kills the whole group when the caller gives up", async () => {
    const abort = new AbortController();
    const child = await launch("/bin/sh", ["-c", "sleep 60 & echo $!; wait"], {}, abort.signal);
    const [first] = await child.stdout.take(1).toArray();
    abort.abort();
    await expect(child.ended).rejects.toMatchObject({ kind: "cancelled" });
    await expect.poll(() => isDead(String(first).trim())).toBe(true);
    await expect(run("/bin/true", [], {}, abort.signal)).rejects.toMatchObject({ kind: "cancelled" });
  });

  it("kills what a child leaves behind in its group, and does not wait for its pipes", async () => {
    const before = performance.now();
    const result = await sh("sleep 60 & echo $!");
    expect(result.code).toBe(0);
    expect(performance.now() - before).toBeLessThan(5000);
    await expect.poll(() => isDead(result.stdout.toString().trim())).toBe(true);
  });

  it("caps what a child writes: stdout is an error, stderr is cut", async () => {
    await expect(sh("cat /dev/zero", { maxOutputBytes: 1000 })).rejects.toMatchObject({
      kind: "resource-exhausted",
    });
    await expect(sh("head -c 1001 /dev/zero", { maxOutputBytes: 1000 })).rejects.toMatchObject({
      kind: "resource-exhausted",
    });
    const cut = await sh("head -c 5000 /dev/zero >&2", { maxOutputBytes: 1000 });
    expect(cut.stderr.length).toBe(1000);
  });

  it("hands over the descriptors named, and no others", async () => {
    const fd = openSync("/etc/hostname", "r");
    try {
      const result = await sh("ls /proc/$$/fd; cat <&3", { fds: [fd] });
      const [listed, content] = [
        /^(\d+\n)+/.exec(String(result.stdout))?.[0] ?? "",
        readFileSync(fd, "utf8"),
      ];
      // Beyond 15: what the test's own parent left open without close-on-exec.
      expect(listed.split("\n").filter((n) => n !== "" && Number(n) < 16)).toEqual(["0", "1", "2", "3"]);
      expect(content).toBe("");
    } finally {
      closeSync(fd);
    }
  });

  it("survives a child that does not read its input", async () => {
    expect(await sh("exit 0", { stdin: "x".repeat(1 << 20) })).toMatchObject({ code: 0 });
  });
});
