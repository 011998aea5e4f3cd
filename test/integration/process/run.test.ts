/** Programs run to their end: by a fork of our own, and by kobako-spawner. One contract. */
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunOptions, run, useSpawner } from "../../../src/process/spawn.ts";
import { within } from "../../support/slowness.ts";

const spawner = join(import.meta.dirname, "../../../build/bin/kobako-spawner");
const signal = () => AbortSignal.timeout(20_000);
const sh = (script: string, options: RunOptions = {}) => run("/bin/sh", ["-c", script], options, signal());

/** Gone, or a zombie until its new parent reaps it. */
function isDead(pid: string): boolean {
  try {
    const state = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.[0];
    return state === "Z" || state === "X";
  } catch {
    return true;
  }
}

describe.each(["forked", "spawned"])("run, %s", (how) => {
  let used: Disposable | undefined;
  beforeAll(() => {
    if (how === "spawned") used = useSpawner(spawner, "test");
  });
  afterAll(() => used?.[Symbol.dispose]());

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
    await expect(run("/usr/bin/no-such-program", [], {}, signal())).rejects.toMatchObject({
      kind: "failed-precondition",
      message: "program /usr/bin/no-such-program can't be started (ENOENT)",
    });
    await expect(run("/etc/passwd", [], {}, signal())).rejects.toMatchObject({ kind: "failed-precondition" });
  });

  it("kills the whole group at the time limit", async () => {
    const before = performance.now();
    await expect(sh("sleep 60 & sleep 60", { timeoutMs: 100 })).rejects.toMatchObject({
      kind: "deadline-exceeded",
    });
    expect(performance.now() - before).toBeLessThan(within(5000));
  });

  it("kills what a child leaves behind in its group, and does not wait for its pipes", async () => {
    const before = performance.now();
    const result = await sh("sleep 60 & echo $!");
    expect(result.code).toBe(0);
    expect(performance.now() - before).toBeLessThan(within(5000));
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

  it("survives a child that does not read its input", async () => {
    expect(await sh("exit 0", { stdin: "x".repeat(1 << 20) })).toMatchObject({ code: 0 });
  });

  it("kills the whole group when the caller gives up", async () => {
    const abort = new AbortController();
    const folder = mkdtempSync(join(tmpdir(), "run-"));
    try {
      const pids = join(folder, "pids");
      const given = run("/bin/sh", ["-c", `sleep 60 & echo $! > ${pids}; wait`], {}, abort.signal);
      await expect.poll(() => existsSync(pids) && readFileSync(pids, "utf8") !== "").toBe(true);
      abort.abort();
      await expect(given).rejects.toMatchObject({ kind: "cancelled" });
      await expect.poll(() => isDead(readFileSync(pids, "utf8").trim())).toBe(true);
    } finally {
      rmSync(folder, { recursive: true });
    }
    await expect(run("/bin/true", [], {}, abort.signal)).rejects.toMatchObject({ kind: "cancelled" });
  });

  it("waits for the output of what stays behind, and leaves it alive", async () => {
    const begun = performance.now();
    const { code, stdout } = await sh("(sleep 0.8; echo late) & echo $$", { staysBehind: true });
    expect([code, stdout.toString().split("\n")[1]]).toEqual([0, "late"]);
    expect(performance.now() - begun).toBeGreaterThan(700);
  });

  it("appends standard error to a file, and to no link", async () => {
    const folder = mkdtempSync(join(tmpdir(), "run-"));
    try {
      const file = join(folder, "err");
      for (const word of ["one", "two"]) {
        const { stderr } = await sh(`echo ${word} >&2`, { stderrFile: file });
        expect(stderr.length).toBe(0);
      }
      expect(readFileSync(file, "utf8")).toBe("one\ntwo\n");
      const link = join(folder, "link");
      writeFileSync(join(folder, "target"), "");
      symlinkSync("target", link);
      await expect(sh("echo x >&2", { stderrFile: link })).rejects.toThrow();
      expect(readFileSync(join(folder, "target"), "utf8")).toBe("");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("runs many at a time, each with its own answer", async () => {
    const results = await Promise.all(
      Array.from({ length: 40 }, (_, i) => sh(`cat; exit ${i}`, { stdin: `${i}`.repeat(1000) })),
    );
    for (const [i, { code, stdout }] of results.entries())
      expect([code, stdout.toString()]).toEqual([i, `${i}`.repeat(1000)]);
  });
});

describe("the spawner", () => {
  it("is started again when it died, and what was under way fails", async () => {
    using _ = useSpawner(spawner, "test");
    const { stdout } = await sh("echo $PPID");
    const long = sh("sleep 5; true");
    await delay(50);
    process.kill(Number(stdout.toString()), "SIGKILL");
    await expect(long).rejects.toMatchObject({ kind: "unavailable" });
    expect((await sh("exit 7")).code).toBe(7);
  });

  it("ends with its daemon", async () => {
    const used = useSpawner(spawner, "test");
    const pid = (await sh("echo $PPID")).stdout.toString().trim();
    used[Symbol.dispose]();
    await expect.poll(() => isDead(pid)).toBe(true);
  });
});
