/** Logs of containers where a disk, a daemon or the container itself is not well-behaved: rows A13, B10, C3, H6, S6. */
import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { MemoryWatch, runtimePids } from "../support/costs.ts";
import type { TestDaemon } from "../support/daemon.ts";
import { processInfo } from "../support/host.ts";
import { loopDisk } from "../support/loop-disk.ts";
import { containerPid, expectAgreement } from "../support/oracle.ts";
import { answerLost } from "../support/persist.ts";
import {
  container,
  containerStatus,
  exec,
  exited,
  logFile,
  pod,
  runPod,
  startContainer,
} from "../support/pods.ts";
import { rounds, scale } from "../support/scale.ts";
import { within } from "../support/slowness.ts";
import { volatileDir } from "../support/temp-dir.ts";
import { useNode } from "../support/use-node.ts";
import { waitFor } from "../support/wait.ts";

const node = useNode();

type More = Parameters<typeof container>[1];

/** A container "main" that runs `script`, its pod's logs below `logs`. */
async function started(script: string, logs?: string, more: More = {}) {
  const { daemon, image } = node();
  const sandbox = await runPod(
    daemon,
    logs === undefined ? pod(daemon) : pod(daemon, { logDirectory: logs }),
  );
  const command = ["/bin/sh", "-c", script];
  const id = await startContainer(
    daemon,
    sandbox,
    container(image, { metadata: { name: "main", attempt: 0 }, logPath: "main.log", command, ...more }),
  );
  return { daemon, sandbox, id, log: logFile(sandbox, "main") };
}

/** Content by stream, without what stands before it; a line that is not of the format is an error (kubelet's reader). */
function content(...files: readonly string[]): { stdout: string; stderr: string } {
  const text = { stdout: "", stderr: "" };
  let last = "";
  for (const file of files) {
    const all = readFileSync(file, "latin1");
    for (let at = 0; at < all.length; ) {
      const end = all.indexOf("\n", at);
      const line = all.slice(at, end < 0 ? undefined : end);
      const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) (stdout|stderr) ([FP]) /.exec(line);
      if (end < 0 || match === null)
        throw new Error(`${file} at ${at}: ${JSON.stringify(line.slice(0, 120))}`);
      const [head, stamp = "", stream, tag] = match;
      expect(stamp >= last, `${stamp} after ${last}`).toBe(true);
      last = stamp;
      text[stream as "stdout" | "stderr"] += line.slice(head.length) + (tag === "F" ? "\n" : "");
      at = end + 1;
    }
    last = "";
  }
  return text;
}

/** Of user and kernel, hundredths of a second. */
function cpuTicks(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

/** Numbered lines of 1000 bytes, `thousands` of them in one file of the container, which is then said `times`. */
const flow = (thousands: number, times: number) =>
  `awk 'BEGIN { x = sprintf("%0990d", 0); for (i = 0; i < ${thousands * 1000}; i++) printf "%08d %s\\n", i, x }' > /tmp/lines; ` +
  `i=0; while [ $i -lt ${times} ]; do cat /tmp/lines; i=$((i+1)); done`;

/** How many lines of `flow` there are, all in order. */
function countFlow(thousands: number, text: string): number {
  let n = 0;
  for (let at = 0; at < text.length; at += 1000, n++) {
    const line = text.slice(at, at + 1000);
    const wanted = `${String(n % (thousands * 1000)).padStart(8, "0")} `;
    if (!line.startsWith(wanted) || !line.endsWith("0\n"))
      throw new Error(`line ${n} is ${JSON.stringify(line.slice(0, 40))}`);
  }
  return n;
}

/** What the daemon said of lost output. */
function dropped(daemon: TestDaemon, id: string): { droppedBytes: number; fault: string }[] {
  return daemon
    .log()
    .split("\n")
    .filter((line) => line.includes("container output is dropped") && line.includes(id))
    .map((line) => JSON.parse(line) as { droppedBytes: number; fault: string });
}

describe("rotation", () => {
  it(
    "loses no byte while as much flows as there can, and is private to the group (mode 0640)",
    async () => {
      await using disk = await volatileDir();
      const { daemon, id, log } = await started(flow(20, 8), disk.path);
      const files: string[] = [];
      let over = false;
      const end = exited(daemon, id, 60_000).then(() => {
        over = true;
      });
      await waitFor("the first line", () => statSync(log).size > 0);
      while (!over) {
        files.push(`${log}.${files.length}`);
        renameSync(log, files.at(-1) ?? "");
        await daemon.client.reopenContainerLog({ containerId: id }).catch((error: unknown) => {
          if (!String(error).includes("exited")) throw error;
          over = true;
        });
      }
      await end;
      files.push(...(readdirSync(disk.path).includes("main.log") ? [log] : []));
      expect(files.length).toBeGreaterThan(5);
      expect(countFlow(20, content(...files).stdout)).toBe(8 * 20_000);
      for (const file of files) expect(statSync(file).mode & 0o7777).toBe(0o640);
    },
    within(90_000),
  );

  it(
    "outlives a daemon that is killed in the middle of it; the next one does it again (A13)",
    async () => {
      await using disk = await volatileDir();
      // Often and little: where a daemon takes long to come back, the logs must still fit into a string.
      const { daemon, id, log } = await started(
        `${flow(0.1, 1)}; while [ ! -e /tmp/go ]; do cat /tmp/lines; sleep 0.02; done; exit 3`,
        disk.path,
      );
      const files: string[] = [];
      await waitFor("the first line", () => statSync(log).size > 0);
      for (let round = 0; round < rounds(5, 100); round++) {
        files.push(`${log}.${files.length}`);
        renameSync(log, files.at(-1) ?? "");
        const call = daemon.client.reopenContainerLog({ containerId: id }).catch((error: unknown) => {
          if (!answerLost(error)) throw error;
        });
        await delay(round % 5);
        await Promise.all([call, daemon.restart("SIGKILL")]);
        await daemon.client.reopenContainerLog({ containerId: id });
        await waitFor("output in the new file", () => statSync(log).size > 0);
      }
      expect((await exec(daemon, id, "touch /tmp/go")).exitCode).toBe(0);
      expect((await exited(daemon, id, 30_000)).exitCode).toBe(3);
      expect(countFlow(0.1, content(...files, log).stdout) % 100).toBe(0);
    },
    within(120_000),
  );
});

describe("a monitor that is killed while 50 MB/s flow (B10)", () => {
  it(
    "leaves a log of whole lines, and a daemon at rest",
    async () => {
      const { daemon } = node();
      for (let round = 0; round < rounds(3, 50); round++) {
        await using disk = await volatileDir();
        const { sandbox, id, log } = await started(
          `${flow(10, 1)}; while :; do cat /tmp/lines; done`,
          disk.path,
        );
        await waitFor("much output", () => statSync(log).size > 30_000_000);
        const monitor = processInfo(await containerPid(daemon, id))?.parent ?? 0;
        process.kill(monitor, "SIGKILL");
        await exited(daemon, id);
        // Bytes in flight are lost; what is there of the last line is marked as a part.
        const { stdout } = content(log);
        const wholeBytes = stdout.lastIndexOf("\n") + 1;
        expect(countFlow(10, stdout.slice(0, wholeBytes))).toBeGreaterThan(20_000);
        expect(stdout.length - wholeBytes).toBeLessThan(1000);
        const ticks = () => cpuTicks(daemon.pid);
        await waitFor("the daemon to be at rest", async () => {
          const before = ticks();
          await delay(300);
          return ticks() - before <= 5;
        });
        await daemon.client.removePodSandbox({ podSandboxId: sandbox.id });
      }
      await expectAgreement(daemon);
    },
    within(120_000),
  );
});

describe("a disk that is full (C3)", () => {
  it(
    "stops no container; what is lost is counted to the byte and told; once there is room, the log goes on",
    async () => {
      await using disk = await loopDisk({ sizeMib: 8 });
      const logs = join(disk.path, "pod");
      mkdirSync(logs);
      const script = `${flow(1, 30)}; touch /tmp/full; while [ ! -e /tmp/go ]; do sleep 0.05; done; cat /tmp/lines; exit 4`;
      const { daemon, id, log } = await started(script, logs);
      await waitFor(
        "the container to go on",
        async () => (await exec(daemon, id, "test -e /tmp/full")).exitCode === 0,
        {
          timeoutMs: 30_000,
        },
      );
      expect((await containerStatus(daemon, id)).exitCode).toBe(0);
      expect(dropped(daemon, id)[0]?.fault).toMatch(/[Nn]o space/);
      const kept = content(log).stdout;
      truncateSync(log);
      await daemon.client.reopenContainerLog({ containerId: id });
      expect((await exec(daemon, id, "touch /tmp/go")).exitCode).toBe(0);
      expect((await exited(daemon, id)).exitCode).toBe(4);
      expect(countFlow(1, content(log).stdout)).toBe(1000);
      const lines = kept.length / 1000;
      expect(Number.isInteger(lines)).toBe(true);
      await waitFor(
        "the whole sum",
        () => dropped(daemon, id).at(-1)?.droppedBytes === (30_000 - lines) * 1000,
      );
    },
    within(90_000),
  );
});

describe("a disk that stays full (C3)", () => {
  it("is told with the whole sum of what was lost when the container ends", async () => {
    await using disk = await loopDisk({ sizeMib: 8 });
    const logs = join(disk.path, "pod");
    mkdirSync(logs);
    const { daemon, id, log } = await started(`${flow(1, 20)}; exit 4`, logs);
    expect((await exited(daemon, id, 30_000)).exitCode).toBe(4);
    const lines = content(log).stdout.length / 1000;
    await waitFor(
      "the whole sum",
      () => dropped(daemon, id).at(-1)?.droppedBytes === (20_000 - lines) * 1000,
    );
  });
});

describe("a log folder that can't be written (C3)", () => {
  it("stops no container: it stays in its file, and rotation says why it can't be", async () => {
    await using disk = await volatileDir();
    const { daemon, id, log } = await started(
      "echo one; while [ ! -e /tmp/go ]; do sleep 0.05; done; echo two; exit 5",
      disk.path,
    );
    await waitFor("its first line", () => content(log).stdout === "one\n", { retryErrors: true });
    execFileSync("mount", ["--bind", disk.path, disk.path]);
    try {
      execFileSync("mount", ["-o", "remount,bind,ro", disk.path]);
      await expect(daemon.client.reopenContainerLog({ containerId: id })).rejects.toThrow(
        /Read-only file system/,
      );
      await exec(daemon, id, "touch /tmp/go");
      expect((await exited(daemon, id)).exitCode).toBe(5);
      expect(content(log).stdout).toBe("one\ntwo\n");
      // A new container is refused by name: it would have no log at all.
      await expect(started("true", disk.path, { logPath: "other.log" })).rejects.toThrow(
        /other\.log.*Read-only file system/s,
      );
    } finally {
      execFileSync("umount", [disk.path]);
    }
  });
});

describe("output (H6)", () => {
  it(
    "of one line without end is whole in parts of 16 KiB, at no cost of memory (U7)",
    async () => {
      await using disk = await volatileDir();
      const bytes = scale(100_000_000, 1 << 30);
      const { daemon, id, log } = await started(
        `while [ ! -e /tmp/go ]; do sleep 0.05; done; head -c ${bytes} /dev/zero | tr '\\000' x`,
        disk.path,
      );
      await exec(daemon, id, "true");
      using memory = new MemoryWatch(runtimePids(daemon));
      await exec(daemon, id, "touch /tmp/go");
      await exited(daemon, id, 120_000);
      const [ofDaemon = 0, ...ofMonitors] = memory.growth;
      expect(ofDaemon).toBeLessThan(16);
      expect(Math.max(...ofMonitors)).toBeLessThan(4);
      // A line of the log: stamp, stream and tag are 40 bytes, and a line break.
      const head = 41;
      const parts = Math.ceil(bytes / 16384);
      expect(statSync(log).size).toBe(bytes + parts * head);
    },
    within(150_000),
  );

  it("that is binary comes back byte for byte", async () => {
    const { daemon, id, log } = await started(
      "head -c 3000000 /dev/urandom > /tmp/random; cat /tmp/random; while [ ! -e /tmp/go ]; do sleep 0.05; done",
    );
    await waitFor(
      "all of it",
      async () => (await exec(daemon, id, "true")).exitCode === 0 && content(log).stdout.length >= 2_990_000,
      { retryErrors: true }, // a line may be there in part
    );
    const { stdout } = await daemon.client.execSync({ containerId: id, cmd: ["/bin/cat", "/tmp/random"] });
    await exec(daemon, id, "touch /tmp/go");
    await exited(daemon, id);
    const logged = Buffer.from(content(log).stdout, "latin1");
    expect(logged.equals(Buffer.from(stdout))).toBe(true);
  });

  it("that is closed early ends no container", async () => {
    const { daemon, id, log } = await started(
      "echo said; exec >&- 2>&-; while [ ! -e /tmp/go ]; do sleep 0.05; done; exit 6",
    );
    await waitFor("its line", () => content(log).stdout === "said\n", { retryErrors: true });
    await exec(daemon, id, "touch /tmp/go");
    expect((await exited(daemon, id)).exitCode).toBe(6);
  });

  it("that a child keeps open holds no exit up", async () => {
    const { daemon, id, log } = await started(
      "(trap '' TERM HUP; sleep 1000; echo never) & echo said; exit 7",
    );
    expect((await exited(daemon, id, 5000)).exitCode).toBe(7);
    expect(content(log).stdout).toBe("said\n");
  });
});

describe("modes", () => {
  it("of a log folder that was missing, and of logs as a kubelet places them", async () => {
    await using folder = await volatileDir("logs");
    const { daemon, image } = node();
    const logDirectory = join(folder.path, "ns_pod_uid");
    // Not runPod of the fixtures: that makes the folder, as a kubelet does.
    const config = pod(daemon, { logDirectory });
    const { podSandboxId } = await daemon.client.runPodSandbox({ config });
    expect(statSync(logDirectory).mode & 0o7777).toBe(0o755);
    mkdirSync(join(logDirectory, "main"));
    const { containerId } = await daemon.client.createContainer({
      podSandboxId,
      config: container(image, { logPath: "main/0.log", command: ["/bin/echo", "deep"] }),
      sandboxConfig: config,
    });
    await daemon.client.startContainer({ containerId });
    await exited(daemon, containerId);
    const file = join(logDirectory, "main/0.log");
    const { mode, uid, gid } = statSync(file);
    expect([mode & 0o7777, uid, gid, content(file).stdout]).toEqual([0o640, 0, 0, "deep\n"]);
    expect((await containerStatus(daemon, containerId)).logPath).toBe(file);
  });

  it("do not change for a log that is there already: it is gone on with", async () => {
    await using folder = await volatileDir("logs");
    const log = join(folder.path, "main.log");
    writeFileSync(log, "2026-01-01T00:00:00.000000000Z stdout F before\n", { mode: 0o600 });
    const { daemon, id } = await started("echo after", folder.path);
    await exited(daemon, id);
    expect([statSync(log).mode & 0o7777, content(log).stdout]).toEqual([0o600, "before\nafter\n"]);
  });
});

describe("a log path (S6)", () => {
  it.each(["../elsewhere.log", "/etc/elsewhere.log", "a/../../elsewhere.log"])(
    "like %s is refused",
    async (logPath) => {
      const { daemon, image } = node();
      const sandbox = await runPod(daemon);
      await expect(
        daemon.client.createContainer({
          podSandboxId: sandbox.id,
          config: container(image, { logPath }),
          sandboxConfig: sandbox.config,
        }),
      ).rejects.toThrow(/logPath|log_path/);
    },
  );
});

describe("the daemon's own log (S7)", () => {
  it("is one record a line, whatever a name, an error or a program says", async () => {
    const { daemon, image } = node();
    const forged = 'x\n{"level":"error","forged":true}\r\n\u001b[31m\u2028{"forged":true}';
    const odd = pod(daemon, { metadata: { name: forged, namespace: forged, uid: forged, attempt: 0 } });
    const refused = await daemon.client.runPodSandbox({ config: odd }).then(
      () => false,
      () => true,
    );
    const { id } = await started("sleep 1000");
    await expect(daemon.client.execSync({ containerId: id, cmd: [`/bin/${forged}`] })).rejects.toThrow();
    await expect(daemon.client.containerStatus({ containerId: forged })).rejects.toThrow();
    await expect(daemon.client.pullImage({ image: { image: `${image}${forged}` } })).rejects.toThrow();
    expect(refused).toBe(true);
    for (const line of daemon.log().trimEnd().split("\n")) {
      const record = JSON.parse(line) as Record<string, unknown>;
      expect(record).toMatchObject({ level: expect.any(String), time: expect.any(String) });
      expect(record).not.toHaveProperty("forged");
    }
  });
});
