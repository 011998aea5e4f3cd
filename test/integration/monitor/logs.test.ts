/** Container logs as a kubelet reads them, on good and on bad disks. */
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { memoryKiB, MonitorPod } from "../../support/monitor.ts";
import { waitFor } from "../../support/wait.ts";

const line = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) (stdout|stderr) ([FP]) ([\s\S]*)$/;

/** Lines joined as a kubelet does: parts up to the one marked F. */
function readLog(path: string): { stdout: string; stderr: string; stamps: string[] } {
  const streams = { stdout: "", stderr: "" };
  const stamps: string[] = [];
  for (const text of readFileSync(path, "latin1").split("\n").slice(0, -1)) {
    const match = line.exec(text);
    if (!match) throw new Error(`not a log line: ${JSON.stringify(text.slice(0, 200))}`);
    const [, stamp = "", stream, tag, content = ""] = match;
    if (content.length > 16384) throw new Error(`content of ${content.length} bytes`);
    stamps.push(stamp);
    streams[stream as "stdout" | "stderr"] += tag === "F" ? `${content}\n` : content;
  }
  return { ...streams, stamps };
}

/** A small disk for the logs of a pod; ends the pod first, which holds files on it. */
function mountTmpfs(
  path: string,
  size: string,
  pod: MonitorPod,
): AsyncDisposable & { readonly path: string } {
  mkdirSync(path);
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", path]);
  return {
    path,
    async [Symbol.asyncDispose]() {
      process.kill(pod.pid, "SIGTERM");
      await waitFor("the disk to be free", () => {
        try {
          execFileSync("umount", [path], { stdio: "ignore" });
          return true;
        } catch {
          return undefined;
        }
      });
    },
  };
}

/** Lets a container go on that waits for this file. */
async function touchGo(pod: MonitorPod, container: string): Promise<void> {
  const exec = await pod.connect();
  await exec.request("exec", {
    container,
    process: { args: ["/bin/touch", "/tmp/go"], env: [], cwd: "/", user: { uid: 0, gid: 0 } },
  });
  await exec.collect();
}

describe("a log", () => {
  it("has each line once, in order, with its stream and a stamp that never steps back (O10)", async () => {
    await using pod = await MonitorPod.start();
    const connection = await pod.subscribe();
    const id = await pod.shell(connection, "seq 1 100000; seq 1 1000 >&2; printf 'no newline'");
    await connection.event("exit", id);
    const { stdout, stderr, stamps } = readLog(pod.logPath(id));
    const numbers = (n: number) => Array.from({ length: n }, (_, i) => `${i + 1}\n`).join("");
    expect(stdout).toBe(`${numbers(100_000)}no newline`);
    expect(stderr).toBe(numbers(1000));
    expect(stamps.toSorted()).toEqual(stamps);
    expect(statSync(pod.logPath(id)).mode & 0o7777).toBe(0o640);
  });

  it("is complete when the exit is told", async () => {
    await using pod = await MonitorPod.start();
    const connection = await pod.subscribe();
    for (let round = 0; round < 20; round++) {
      const id = await pod.shell(connection, "seq 1 5000; echo end; printf tail");
      await connection.event("exit", id);
      expect(readLog(pod.logPath(id)).stdout.endsWith("5000\nend\ntail")).toBe(true);
    }
  });

  it("takes a line without end in parts, at no cost of memory (U7)", async () => {
    await using pod = await MonitorPod.start();
    const connection = await pod.subscribe();
    const id = await pod.shell(connection, "head -c 100000000 /dev/zero | tr '\\0' 'x'; echo");
    await connection.event("exit", id);
    expect(memoryKiB(pod.pid, "Private_Dirty")).toBeLessThan(512);
    expect(readLog(pod.logPath(id)).stdout).toBe(`${"x".repeat(100_000_000)}\n`);
    await waitFor("buffers to be given back", () => memoryKiB(pod.pid, "Private_Dirty") < 200);
  });

  it("keeps what a program prints inside of its own line (S7)", async () => {
    await using pod = await MonitorPod.start();
    const connection = await pod.subscribe();
    const forged = "2026-01-01T00:00:00.000000000Z stderr F forged";
    const id = await pod.shell(connection, `printf 'a\\r${forged}\\n\\000b\\n'`);
    await connection.event("exit", id);
    const { stdout, stderr } = readLog(pod.logPath(id));
    expect([stdout, stderr]).toEqual([`a\r${forged}\n\0b\n`, ""]);
  });

  it("takes a terminal's output as stdout", async () => {
    await using pod = await MonitorPod.start();
    const connection = await pod.subscribe();
    const id = await pod.shell(connection, "echo out; echo err >&2; tty", { tty: true });
    await connection.event("exit", id);
    expect(readLog(pod.logPath(id))).toMatchObject({
      stdout: expect.stringMatching(/^out\r\nerr\r\n\/dev\/(pts\/0|console)\r\n$/),
      stderr: "",
    });
  });

  it("goes on in a new file once it is opened again, and loses no line", async () => {
    await using pod = await MonitorPod.start();
    const connection = await pod.subscribe();
    const id = await pod.shell(connection, "i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done");
    const files: string[] = [];
    for (let round = 0; round < 10; round++) {
      const old = `${pod.logPath(id)}.${round}`;
      renameSync(pod.logPath(id), old);
      files.push(old);
      await connection.request("reopen_log", { container: id });
      expect(existsSync(pod.logPath(id))).toBe(true);
    }
    await connection.event("exit", id);
    const all = [...files, pod.logPath(id)].map((file) => readLog(file).stdout).join("");
    expect(all).toBe(Array.from({ length: 3000 }, (_, i) => `${i}\n`).join(""));
  });

  it("loses no byte to its rotation while as much flows as a disk takes", async () => {
    await using pod = await MonitorPod.start();
    await using disk = mountTmpfs(join(pod.folder, "disk"), "700m", pod);
    const lines = 50_000;
    const numbered = (n: number) => `${String(n).padStart(8, "0")} ${"x".repeat(990)}\n`;
    writeFileSync(
      join(pod.folder, "layer/big"),
      Array.from({ length: lines }, (_, i) => numbered(i)).join(""),
    );
    const connection = await pod.subscribe();
    const path = join(disk.path, "0.log");
    const id = await pod.create(connection, {
      args: ["/bin/sh", "-c", "for i in 1 2 3 4 5 6 7 8; do cat /big; done"],
      logPath: path,
      logRoot: disk.path,
    });
    await connection.request("start", { container: id });
    const began = performance.now();
    const files: string[] = [];
    let endedMs = 0;
    const ended = connection.event("exit", id).then(() => {
      endedMs = performance.now() - began;
    });
    while (endedMs === 0) {
      const old = join(disk.path, `0.log.${files.length}`);
      renameSync(path, old);
      files.push(old);
      await connection.request("reopen_log", { container: id });
    }
    await ended;
    expect(files.length).toBeGreaterThan(10);
    let next = 0;
    for (const file of [...files, path]) {
      const text = readFileSync(file, "latin1");
      for (let at = 0; at < text.length; next++) {
        const end = text.indexOf("\n", at) + 1;
        if (text.slice(at + 30, end) !== ` stdout F ${numbered(next % lines)}`)
          throw new Error(`line ${next} is ${JSON.stringify(text.slice(at, Math.min(end, at + 100)))}`);
        at = end;
      }
    }
    expect(next).toBe(8 * lines);
  }, 60_000);

  it("whose folder can't be written any more stays in the file it has, and says why it is not opened again", async () => {
    await using pod = await MonitorPod.start();
    await using disk = mountTmpfs(join(pod.folder, "disk"), "1m", pod);
    const connection = await pod.subscribe();
    const path = join(disk.path, "0.log");
    const id = await pod.create(connection, {
      args: ["/bin/sh", "-c", "echo one; while [ ! -e /tmp/go ]; do sleep 0.01; done; echo two; exit 4"],
      logPath: path,
      logRoot: disk.path,
    });
    await connection.request("start", { container: id });
    await waitFor("its first line", () => readLog(path).stdout === "one\n");
    execFileSync("mount", ["--bind", disk.path, disk.path]);
    try {
      execFileSync("mount", ["-o", "remount,bind,ro", disk.path]);
      expect(await connection.ask("reopen_log", { container: id })).toMatchObject({
        error: { message: expect.stringMatching(/Read-only file system$/) },
      });
      await touchGo(pod, id);
      expect(await connection.event("exit", id)).toMatchObject({ exit_code: 4 });
      expect(readLog(path).stdout).toBe("one\ntwo\n");
      expect(connection.events.filter(({ event }) => event === "log_fault")).toEqual([]);
    } finally {
      execFileSync("umount", [disk.path]);
    }
  });

  it("that may wait is written together, in time; at its end, its rotation, its pod's end it is exact", async () => {
    await using pod = await MonitorPod.start();
    const connection = await pod.subscribe();
    const held = { logFlush: { intervalMs: 60_000, bytes: 1 << 20 } };
    const script =
      "seq 1 1000; touch /tmp/said; while [ ! -e /tmp/go ]; do sleep 0.01; done; seq 1001 2000; printf x";
    const id = await pod.shell(connection, script, held);
    const said = () => existsSync(join(pod.folder, `${id}.upper/tmp/said`));
    const numbers = (from: number, to: number) =>
      Array.from({ length: to - from + 1 }, (_, i) => `${from + i}\n`).join("");
    await waitFor("its lines", said);
    expect(statSync(pod.logPath(id)).size).toBe(0);
    renameSync(pod.logPath(id), `${pod.logPath(id)}.1`);
    await connection.request("reopen_log", { container: id });
    expect(readLog(`${pod.logPath(id)}.1`).stdout).toBe(numbers(1, 1000));
    await touchGo(pod, id);
    await connection.event("exit", id);
    expect(readLog(pod.logPath(id)).stdout).toBe(`${numbers(1001, 2000)}x`);

    const soon = await pod.shell(connection, "echo soon; sleep 100", {
      logFlush: { intervalMs: 200, bytes: 4096 },
    });
    await waitFor("the line to be written in time", () => readLog(pod.logPath(soon)).stdout === "soon\n");

    // Also what only its stream's end makes a line of.
    const last = await pod.shell(connection, "printf last; exec >&- 2>&-; sleep 100", {
      logFlush: { intervalMs: 200, bytes: 4096 },
    });
    await waitFor("the last line to be written in time", () => readLog(pod.logPath(last)).stdout === "last");

    const many = await pod.shell(connection, "seq 1 2000; touch /tmp/said; sleep 100", {
      logFlush: { intervalMs: 60_000, bytes: 16 << 10 },
    });
    await waitFor("its lines", () => existsSync(join(pod.folder, `${many}.upper/tmp/said`)));
    // No more than its bound waits: lines of 45 bytes at most.
    expect(readLog(pod.logPath(many)).stamps.length).toBeGreaterThan(2000 - (16 << 10) / 41);
    await connection.request("shutdown");
    expect(readLog(pod.logPath(many)).stdout).toBe(numbers(1, 2000));
  });

  it("costs no memory for waiting where none waits, and gives back what it took (U7)", async () => {
    await using pod = await MonitorPod.start();
    const connection = await pod.subscribe();
    const idle = memoryKiB(pod.pid, "Private_Dirty");
    const id = await pod.shell(connection, "seq 1 100000; touch /tmp/said; sleep 100", {
      logFlush: { intervalMs: 100, bytes: 1 << 20 },
    });
    await waitFor("its lines", () => existsSync(join(pod.folder, `${id}.upper/tmp/said`)));
    await waitFor("its lines to be written", () => readLog(pod.logPath(id)).stamps.length === 100_000);
    await waitFor("memory to be given back", () => memoryKiB(pod.pid, "Private_Dirty") <= idle + 64);
  });

  it.each([
    ["no object", 5],
    ["without a bound in bytes", { interval_ms: 1000 }],
    ["without a bound in time", { bytes: 4096 }],
    ["with none at all", { interval_ms: 0, bytes: 4096 }],
    ["too long", { interval_ms: 3_600_001, bytes: 4096 }],
    ["too large", { interval_ms: 1000, bytes: (1 << 20) + 1 }],
  ])("may not wait %s", async (_, logFlush) => {
    await using pod = await MonitorPod.start();
    const connection = await pod.connect();
    await connection.request("prepare", pod.prepareParams("one"));
    const params = { ...pod.createParams("one", { args: ["/bin/true"] }), log_flush: logFlush };
    expect(await connection.refusal("create", params)).toBe("invalid-argument");
  });

  it("is written on while a grandchild holds the pipe, after the exit was told (H6)", async () => {
    await using pod = await MonitorPod.start({ namespaces: { pid: "pod" } });
    const connection = await pod.subscribe();
    const began = performance.now();
    const id = await pod.shell(connection, "sleep 1000 & echo now");
    await connection.event("exit", id);
    expect(performance.now() - began).toBeLessThan(5000);
    expect(readLog(pod.logPath(id)).stdout).toBe("now\n");
  });

  it.each([
    ["a link", (path: string, target: string) => symlinkSync(target, path)],
    ["a FIFO", (path: string) => execFileSync("mkfifo", [path])],
    ["a folder", (path: string) => mkdirSync(path)],
    ["a device", (path: string) => execFileSync("mknod", [path, "c", "1", "3"])],
  ])("is not %s (S6)", async (_, make) => {
    await using pod = await MonitorPod.start();
    const connection = await pod.connect();
    const canary = join(pod.folder, "canary");
    writeFileSync(canary, "canary");
    const path = pod.logPath("one");
    make(path, canary);
    await connection.request("prepare", pod.prepareParams("one"));
    const params = pod.createParams("one", { args: ["/bin/echo", "x"] });
    expect(await connection.refusal("create", params)).not.toBe("none");
    expect(readFileSync(canary, "utf8")).toBe("canary");
    rmSync(path, { recursive: true });
    expect(await connection.refusal("create", params)).toBe("none");
  });

  it("lies below the folder given, whatever its path says (S6)", async () => {
    await using pod = await MonitorPod.start();
    const connection = await pod.connect();
    await connection.request("prepare", pod.prepareParams("one"));
    symlinkSync("/tmp", join(pod.folder, "out"));
    for (const path of ["../x.log", "out/x.log", "../../../../tmp/x.log"]) {
      const params = pod.createParams("one", { args: ["/bin/true"], logPath: `${pod.folder}/${path}` });
      expect(await connection.refusal("create", params), path).not.toBe("none");
    }
    const params = pod.createParams("one", { args: ["/bin/true"], logPath: "/tmp/elsewhere.log" });
    expect(await connection.refusal("create", params)).toBe("invalid-argument");
    expect(existsSync("/tmp/elsewhere.log")).toBe(false);
  });

  it("that finds the disk full loses lines, says how many bytes, and recovers; the container goes on (C3)", async () => {
    await using pod = await MonitorPod.start();
    await using full = mountTmpfs(join(pod.folder, "disk"), "64k", pod);
    const disk = full.path;
    const connection = await pod.subscribe();
    const path = join(disk, "0.log");
    const id = await pod.create(connection, {
      args: [
        "/bin/sh",
        "-c",
        "seq 1 20000; echo full; touch /tmp/full; while [ ! -e /tmp/go ]; do sleep 0.01; done; echo again; exit 3",
      ],
      logPath: path,
      logRoot: disk,
    });
    await connection.request("start", { container: id });
    const fault = await connection.event("log_fault", id);
    expect(fault).toMatchObject({
      dropped_bytes: expect.any(Number),
      message: expect.stringMatching(/[Nn]o space/),
    });
    await waitFor("the container to go on", () => existsSync(join(pod.folder, `${id}.upper/tmp/full`)));
    const { containers } = await connection.request("state");
    expect(containers).toMatchObject([{ state: "running" }]);
    renameSync(path, join(disk, "0.log.1"));
    const kept = readLog(join(disk, "0.log.1")).stdout;
    const numbers = kept.split("\n").slice(0, -1).map(Number);
    expect(numbers.slice(0, 100)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
    expect(numbers.filter((n) => !(n > 0)).length).toBeLessThanOrEqual(1); // "full", when it still fits
    rmSync(join(disk, "0.log.1"));
    await connection.request("reopen_log", { container: id });
    await touchGo(pod, id);
    expect(await connection.event("exit", id)).toMatchObject({ exit_code: 3 });
    expect(readLog(path).stdout).toMatch(/again\n$/);
  });

  it("that nobody wants costs nothing", async () => {
    await using pod = await MonitorPod.start();
    const connection = await pod.subscribe();
    const id = await pod.shell(connection, "seq 1 100000; exit 2", { logPath: null, logRoot: null });
    expect(await connection.event("exit", id)).toMatchObject({ exit_code: 2 });
    expect(connection.events.filter(({ event }) => event === "log_fault")).toEqual([]);
  });
});
