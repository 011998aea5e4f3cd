/**
 * The contract of src/runtime/handler.ts as tests: every handler passes the same ones, against real programs, as root.
 * A handler's own test file calls `handlerContract`; where its containers are of another nature, its `limits` say so.
 */
import { existsSync, readFileSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { collectExec } from "../../../src/runtime/exec-output.ts";
import { namespaces, noLimits } from "../../../src/container/spec/spec.fixture.ts";
import { readInterfaces } from "../../../src/stats/stats.ts";
import type { RuntimeHandler } from "../../../src/runtime/handler.ts";
import type { PodConfig } from "../../../src/sandbox/config.ts";
import { isDead } from "../../support/host.ts";
import { cgroups, type TestContainer, TestPod, within } from "./pod.ts";

export interface HandlerLimits {
  /** Processes of containers are processes of the host: pids, cgroups and signals are theirs. */
  readonly hostProcesses: boolean;
  /** A container that was created and not started ends by a signal; else by its deletion only. Default: true. */
  readonly killUnstarted?: boolean;
  /** A container's memory limit is one of its own, and who passes it is told of. Default: true. */
  readonly oom?: boolean;
  /** An exec that is killed takes its children along; else those end with the container. Default: true. */
  readonly execTrees?: boolean;
}

export function handlerContract(handler: RuntimeHandler, limits: HandlerLimits): void {
  const start = (change: Partial<PodConfig> = {}) => TestPod.start(handler, change);
  /** A command that lasts, with a child where that ends with it. */
  const tree =
    limits.execTrees === false ? ["/bin/sleep", "1000"] : ["/bin/sh", "-c", "sleep 1000 & sleep 1000"];

  /** What runs in a container beside its first process. */
  const others = async (made: TestContainer): Promise<unknown[]> => {
    if (limits.hostProcesses)
      return (await cgroups.processes(made.spec.linux.cgroupsPath)).filter((pid) => pid !== made.pid);
    const { stdout } = await made.exec(["/bin/ps", "-o", "args"]);
    return stdout
      .toString()
      .split("\n")
      .filter((line) => line.includes("sleep 1000"));
  };

  describe("a sandbox", () => {
    it("starts with its namespaces, and leaves nothing when it is shut down", async () => {
      const pod = await start();
      const { identity, initial } = pod.sandbox;
      try {
        expect(initial).toEqual({ pausePid: undefined, containers: [] });
        expect(existsSync(pod.spec.netnsPin ?? "")).toBe(true);
        expect(statSync(join(pod.runDir, "m.sock")).mode & 0o777).toBe(0o600);
        expect((await pod.sandbox.netStats(within())).map(({ name }) => name)).toEqual([]);
        await pod.sandbox.shutdown(within());
        expect(await pod.sandbox.closed).toBeUndefined();
        await expect.poll(() => isDead(identity.pid)).toBe(true);
        expect(existsSync(join(pod.runDir, "m.sock"))).toBe(false);
        expect(existsSync(pod.spec.netnsPin ?? "")).toBe(false);
      } finally {
        await pod[Symbol.asyncDispose]();
      }
      expect(cgroups.exists(pod.cgroup)).toBe(false);
    });

    it("is found again by a new connection, and is dead for one with another start time", async () => {
      await using pod = await start();
      const running = await pod.shell("sleep 100");
      await pod.reconnect();
      expect(pod.sandbox.initial.containers).toMatchObject([
        {
          id: running.id,
          phase: "running",
          pid: limits.hostProcesses ? running.pid : undefined,
        },
      ]);
      const other = { ...pod.sandbox.identity, startTime: "1" };
      await expect(handler.connect(other, () => {}, within())).rejects.toMatchObject({ kind: "not-found" });
    });

    it("tells of the death of its monitor, and ends what that leaves", async () => {
      await using pod = await start();
      process.kill(pod.sandbox.identity.pid, "SIGKILL");
      expect(await pod.sandbox.closed).toBeInstanceOf(Error);
      await expect(handler.connect(pod.sandbox.identity, () => {}, within())).rejects.toMatchObject({
        kind: "not-found",
      });
      // What outlives it, again too; the pod's folder can be removed then.
      for (let i = 0; i < 2; i++) await handler.endRemains?.(pod.sandbox.identity.runDir, within());
    });

    it("that can't start says why, and leaves nothing", async () => {
      const sysctls = { "kernel.core_pattern": "x" };
      await expect(start({ sysctls })).rejects.toThrow(/core_pattern/);
    });

    it("is given up with its signal", async () => {
      const abort = AbortSignal.abort(new Error("no more"));
      await using pod = await start();
      await expect(handler.startSandbox(pod.spec, () => {}, abort)).rejects.toMatchObject({
        kind: "cancelled",
      });
      await expect(pod.sandbox.state(abort)).rejects.toMatchObject({ kind: "cancelled" });
    });
  });

  describe("a container", () => {
    it("runs, logs and ends, and its exit is told and on disk", async () => {
      await using pod = await start();
      const made = await pod.create({ command: ["/bin/sh", "-c", "echo out; echo err >&2; exit 3"] });
      const { startedAtNs } = await pod.sandbox.start(made.id, within());
      const exit = await made.exited();
      expect(exit).toMatchObject({ exitCode: 3, signal: 0, oomKilled: false, startedAtNs });
      expect(exit.finishedAtNs).toBeGreaterThanOrEqual(startedAtNs);
      expect(JSON.parse(readFileSync(join(made.bundle, "exit.json"), "utf8"))).toMatchObject({
        exit_code: 3,
      });
      await expect.poll(() => made.output().split("\n").sort().join()).toBe(",err,out");
      const [status] = (await pod.sandbox.state(within())).containers;
      expect(status).toMatchObject({
        phase: "exited",
        exitCode: 3,
        startedAtNs,
        finishedAtNs: exit.finishedAtNs,
      });
    });

    it("has the environment, user, capabilities and mounts of its spec", async () => {
      await using pod = await start();
      const made = await pod.shell(
        "env; id -u; id -G; cat /etc/hostname; hostname; grep -E 'CapEff|CapInh|CapAmb|NoNewPrivs|Seccomp:' /proc/self/status; echo pid $$",
        {
          envs: [{ key: "A", value: Buffer.from("ü b") }],
          security: { runAsUsername: "app", noNewPrivs: true, seccomp: { type: "runtime-default" } },
        },
      );
      expect(await made.exited()).toMatchObject({ exitCode: 0 });
      await expect.poll(() => made.output()).toContain("pid 1\n");
      const text = made.output();
      for (const part of [
        "A=ü b\n",
        "HOSTNAME=web-0\n",
        "HOME=/home/app\n",
        "PATH=/bin\n",
        "\n1000\n1000 2000\n",
        "hostname of the pod\nweb-0\n",
      ]) {
        expect(text).toContain(part);
      }
      // A kernel of a sandbox's own has files of its own.
      if (limits.hostProcesses)
        expect(text).toMatch(/CapInh:\s0+\nCapEff:\s0+\nCapAmb:\s0+\nNoNewPrivs:\s1\nSeccomp:\s2\n/);
    });

    it("that can't be executed says so, with the path", async () => {
      await using pod = await start();
      // Some look for the program when they create, as CRI-O does, some when they start.
      const running = pod
        .create({ command: ["/bin/nothing"] })
        .then(({ id }) => pod.sandbox.start(id, within()));
      await expect(running).rejects.toMatchObject({
        kind: "failed-precondition",
        message: expect.stringMatching(/\/bin\/nothing/),
      });
    });

    it("with an unknown user is refused", async () => {
      await using pod = await start();
      await expect(pod.create({ security: { runAsUsername: "nobody-here" } })).rejects.toMatchObject({
        kind: "invalid-argument",
      });
    });

    it("that never ran is killed, too", async () => {
      await using pod = await start();
      const made = await pod.create({ command: ["/bin/sleep", "100"] });
      await pod.sandbox.kill({ containerId: made.id, signal: 9, all: true }, within());
      expect(await made.exited()).toMatchObject({ exitCode: 137, startedAtNs: 0n });
      await pod.sandbox.delete(made.id, within());
    });

    it("is killed by a signal, once", async () => {
      await using pod = await start();
      const made = await pod.shell("sleep 100");
      await pod.sandbox.kill({ containerId: made.id, signal: 9, all: false }, within());
      expect(await made.exited()).toMatchObject({ exitCode: 137, signal: 9 });
      const again = pod.sandbox.kill({ containerId: made.id, signal: 9, all: false }, within());
      await expect(again).rejects.toMatchObject({ kind: "failed-precondition" });
      const unknown = pod.sandbox.kill({ containerId: "f".repeat(64), signal: 9, all: false }, within());
      await expect(unknown).rejects.toMatchObject({ kind: "not-found" });
    });

    it("ends by itself when it is asked to, and by SIGKILL when it does not want to", async () => {
      await using pod = await start();
      // What a signal does is said when it has come: a loop, because a shell sees its traps between commands.
      const waiting = "echo up; while :; do sleep 0.02; done";
      const willing = await pod.shell(`trap "echo asked; exit 9" TERM; ${waiting}`);
      const deaf = await pod.shell(`trap "echo asked" TERM; ${waiting}`);
      for (const made of [willing, deaf]) {
        await expect.poll(() => existsSync(made.log) && made.output()).toBe("up\n");
        await pod.sandbox.kill({ containerId: made.id, signal: 15, all: false }, within());
      }
      expect(await willing.exited()).toMatchObject({ exitCode: 9, signal: 0 });
      await expect.poll(() => [willing.output(), deaf.output()]).toEqual(["up\nasked\n", "up\nasked\n"]);
      const still = (await pod.sandbox.state(within())).containers.find(({ id }) => id === deaf.id);
      expect(still?.phase).toBe("running");
      await pod.sandbox.kill({ containerId: deaf.id, signal: 9, all: true }, within());
      expect(await deaf.exited()).toMatchObject({ exitCode: 137, signal: 9 });
    });

    it("that takes more memory than its limit ends with 137, and the reason is told", async ({ skip }) => {
      skip(limits.oom === false, `a container of ${handler.name} has no memory limit of its own`);
      await using pod = await start();
      const made = await pod.shell("x=a; while :; do x=$x$x; done", {
        resources: { ...noLimits, memoryLimitBytes: 32n << 20n },
      });
      expect(await made.exited()).toMatchObject({ exitCode: 137, signal: 9, oomKilled: true });
      expect(pod.events).toContainEqual({ type: "oom", containerId: made.id });
    });

    it("that was never started ends by a signal, and is deleted", async () => {
      await using pod = await start();
      const made = await pod.create({ command: ["/bin/sleep", "100"] });
      if (limits.killUnstarted !== false) {
        await pod.sandbox.kill({ containerId: made.id, signal: 9, all: true }, within());
        expect(await made.exited()).toMatchObject({ exitCode: 137, startedAtNs: 0n });
      }
      await pod.sandbox.delete(made.id, within());
      expect((await pod.sandbox.state(within())).containers).toEqual([]);
      expect(cgroups.exists(made.spec.linux.cgroupsPath)).toBe(false);
      await pod.sandbox.delete(made.id, within());
    });

    it("has a runtime's file to begin from that can't be written (CVE-2019-5736)", async ({ skip }) => {
      skip(!limits.hostProcesses, `a container of ${handler.name} begins from no file of the host`);
      await using pod = await start();
      const made = await pod.create({ command: ["/bin/sleep", "100"] });
      // Opening it for writing answers ETXTBSY, but only until it ends. Its times say what the mount is.
      const exe = `/proc/${made.pid}/exe`;
      const { atime, mtime } = statSync(exe);
      expect(() => utimesSync(exe, atime, mtime)).toThrow("EROFS");
    });

    it("uses its cgroup, and is deleted with it, twice", async () => {
      await using pod = await start();
      const made = await pod.shell("sleep 100 & sleep 100");
      const path = made.spec.linux.cgroupsPath;
      if (limits.hostProcesses) {
        expect(await cgroups.processes(path)).toContain(made.pid);
        expect(cgroups.usage(path)?.processes).toBeGreaterThan(0n);
      } else expect(made.pid).toBe(0);
      // In no hierarchy is anything of it, or of its runtime, where the monitor is: whoever looks for stray monitors would kill it.
      await made.exec(["/bin/true"]);
      const besideMonitor = async () => await cgroups.processes(`${pod.cgroup}/monitor`);
      await expect.poll(besideMonitor).toEqual([pod.sandbox.identity.pid]);
      await pod.sandbox.delete(made.id, within());
      expect(cgroups.exists(path)).toBe(false);
      await pod.sandbox.delete(made.id, within());
      expect((await pod.sandbox.state(within())).containers).toEqual([]);
    });

    it("of a pod with a shared PID namespace is no pid 1, and sees the others", async () => {
      await using pod = await start({ namespaces: { ...namespaces, pid: "pod" } });
      if (limits.hostProcesses) expect(pod.sandbox.initial.pausePid).toBeGreaterThan(0);
      await pod.shell("sleep 4242");
      const made = await pod.shell("sleep 100");
      const { stdout } = await made.exec(["/bin/ps", "-o", "pid,args"]);
      expect(stdout.toString()).toContain("sleep 4242");
    });

    it("is told what it uses itself, and not what its neighbour does", async () => {
      await using pod = await start();
      const bytes = 40_000_000;
      // It holds its input back until there is no more; that the input was read is seen by its log.
      const large = await pod.shell(
        `(head -c ${bytes} /dev/zero; echo read >&2; sleep 100) | tail -c ${bytes}`,
      );
      const busy = await pod.shell(
        "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo counted; sleep 100",
      );
      await expect.poll(() => large.output(), { timeout: 30_000 }).toContain("read");
      await expect.poll(() => busy.output(), { timeout: 30_000 }).toContain("counted");
      const usage = async ({ id, spec }: TestContainer) =>
        limits.hostProcesses
          ? cgroups.usage(spec.linux.cgroupsPath)
          : await pod.sandbox.usage?.(id, within());
      const [ofLarge, ofBusy] = [await usage(large), await usage(busy)];
      expect(Number(ofLarge?.memoryUsageBytes)).toBeGreaterThan(bytes);
      expect(Number(ofBusy?.memoryUsageBytes)).toBeLessThan(bytes / 2);
      expect([ofLarge?.processes, ofBusy?.processes]).toEqual([3n, 1n]);
      expect(Number(ofBusy?.cpuUsageNs)).toBeGreaterThan(1_000_000);
      // A sandbox is asked again by a daemon that did not start it.
      await pod.reconnect();
      expect(Number((await usage(large))?.memoryUsageBytes)).toBeGreaterThan(bytes);
    });

    it("ends when its pod's limit of memory is passed", async () => {
      await using pod = await start();
      const made = await pod.create({ command: ["/bin/sh", "-c", "x=a; while :; do x=$x$x; done"] });
      pod.limitMemory(96 << 20);
      await pod.sandbox.start(made.id, within());
      expect(await made.exited()).toMatchObject({ exitCode: 137 });
      await pod.sandbox.delete(made.id, within()); // also of a sandbox that is gone
      expect((await pod.sandbox.state(within())).containers).toEqual([]);
    });

    it("changes its limits while it runs", async () => {
      await using pod = await start();
      const made = await pod.shell("sleep 100");
      await pod.sandbox.update(made.id, { memory: { limit: 64 << 20 } }, within());
      if (limits.hostProcesses)
        expect(cgroups.usage(made.spec.linux.cgroupsPath)?.memoryLimitBytes).toBe(BigInt(64 << 20));
    });

    it("gives its network counters by its pid", async ({ skip }) => {
      skip(!limits.hostProcesses, `processes of ${handler.name} are not the host's`);
      await using pod = await start();
      const made = await pod.shell("sleep 100");
      const [status] = (await pod.sandbox.state(within())).containers;
      expect(readInterfaces(made.pid, status?.startTime ?? "")).toEqual([]);
    });

    it("stands still while it is paused, and goes on", async () => {
      await using pod = await start();
      const made = await pod.shell("while sleep 0.02; do echo tick; done");
      await expect.poll(() => made.output()).toContain("tick");
      await pod.sandbox.pause(made.id, within());
      const again = pod.sandbox.pause(made.id, within());
      await expect(again).rejects.toMatchObject({ kind: "failed-precondition" });
      const still = made.output().length;
      await new Promise((resolve) => setTimeout(resolve, 200)); // ten ticks of a container that runs
      expect(made.output().length).toBe(still);
      await pod.sandbox.resume(made.id, within());
      await expect.poll(() => made.output().length).toBeGreaterThan(still);
      const resumed = pod.sandbox.resume(made.id, within());
      await expect(resumed).rejects.toMatchObject({ kind: "failed-precondition" });
      await pod.sandbox.pause(made.id, within());
      await pod.sandbox.kill({ containerId: made.id, signal: 9, all: false }, within());
      expect(await made.exited()).toMatchObject({ exitCode: 137 });
    });

    it("that is paused can be deleted", async () => {
      await using pod = await start();
      const made = await pod.shell("sleep 100 & sleep 100");
      await pod.sandbox.pause(made.id, within());
      await pod.sandbox.delete(made.id, within());
      expect(cgroups.exists(made.spec.linux.cgroupsPath)).toBe(false);
    });

    it("writes to a new file when its log is opened again", async () => {
      await using pod = await start();
      const made = await pod.shell("while sleep 0.02; do echo tick; done");
      await expect.poll(() => existsSync(made.log) && made.output().length > 0).toBe(true);
      const { renameSync } = await import("node:fs");
      renameSync(made.log, `${made.log}.1`);
      await pod.sandbox.reopenLog(made.id, within());
      await expect.poll(() => existsSync(made.log) && made.output().includes("tick")).toBe(true);
    });
  });

  describe("an exec", () => {
    it("runs as the container's user with its environment, and gives both outputs and the code", async () => {
      await using pod = await start();
      const made = await pod.shell("sleep 100", { security: { runAsUser: 1000n } });
      const { stdout, stderr, end } = await made.exec([
        "/bin/sh",
        "-c",
        "id -u; echo $HOSTNAME; echo e >&2; exit 7",
      ]);
      expect([stdout.toString(), stderr.toString(), end]).toEqual([
        "1000\nweb-0\n",
        "e\n",
        { exitCode: 7, signal: 0, timedOut: false },
      ]);
    });

    it("says what program is missing", async () => {
      await using pod = await start();
      const made = await pod.shell("sleep 100");
      await expect(made.exec(["/nope"])).rejects.toMatchObject({
        kind: "failed-precondition",
        message: expect.stringMatching(/nope/),
      });
    });

    it("is killed with its children after its time", async () => {
      await using pod = await start();
      const made = await pod.shell("sleep 100");
      const { end } = await made.exec(tree, {}, 100);
      expect(end.timedOut).toBe(true);
      await expect.poll(() => others(made)).toEqual([]); // neither sh nor its sleep
    });

    it("ends with its process, whatever children keep its pipes open (U5)", async () => {
      await using pod = await start();
      const made = await pod.shell("sleep 100");
      const before = performance.now();
      const { stdout, end } = await made.exec(["/bin/sh", "-c", "sleep 50 & echo done"]);
      expect([stdout.toString(), end.exitCode]).toEqual(["done\n", 0]);
      expect(performance.now() - before).toBeLessThan(5000);
    });

    it("that is run to its end keeps as much output as may be, and the others are not mixed into it", async () => {
      await using pod = await start();
      const made = await pod.shell("sleep 100");
      const say = (word: string) => made.exec(["/bin/sh", "-c", `echo ${word}; echo ${word} >&2`]);
      for (const word of ["one", "two"])
        expect(await say(word)).toMatchObject({ stdout: Buffer.from(`${word}\n`), droppedBytes: 0 });
      const at = await Promise.all(["a", "b", "c"].map(say));
      expect(at.map(({ stdout, stderr }) => `${stdout}${stderr}`)).toEqual(["a\na\n", "b\nb\n", "c\nc\n"]);
      const much = await made.exec(["/bin/head", "-c", "3000000", "/dev/zero"]);
      expect([much.stdout.length, much.end.exitCode]).toEqual([1 << 20, 0]);
      expect(much.droppedBytes).toBeGreaterThan(0);
      expect(String((await say("three")).stdout)).toBe("three\n");
    });

    it("that is given up is killed, and the next one runs", async () => {
      await using pod = await start();
      const made = await pod.shell("sleep 100");
      await made.exec(["/bin/true"]);
      const leave = new AbortController();
      const process = { ...made.spec.process, terminal: false, args: tree };
      const given = pod.sandbox.run({ containerId: made.id, process, timeoutMs: 0 }, 100, leave.signal);
      await expect.poll(() => others(made)).not.toEqual([]);
      leave.abort();
      await expect(given).rejects.toMatchObject({ kind: "cancelled" });
      await expect.poll(() => others(made)).toEqual([]);
      expect((await made.exec(["/bin/true"])).end.exitCode).toBe(0);
    });

    it("passes input on, and its end", async () => {
      await using pod = await start();
      const made = await pod.shell("sleep 100");
      const process = { ...made.spec.process, args: ["/bin/wc", "-c"] };
      using streams = await pod.sandbox.exec(
        { containerId: made.id, process, tty: false, stdin: true, timeoutMs: 0 },
        within(),
      );
      for (let i = 0; i < 20; i++) await streams.writeStdin(Buffer.alloc(100_000));
      streams.endStdin();
      const { stdout } = await collectExec(streams, 1000, within());
      expect(stdout.toString().trim()).toBe("2000000");
    });

    it("loses no output when its process ends while input is still coming", async () => {
      await using pod = await start();
      const made = await pod.shell("sleep 100");
      const process = {
        ...made.spec.process,
        args: ["/bin/sh", "-c", "head -c 10 >/dev/null; seq 1 2000; exit 5"],
      };
      for (let round = 0; round < 20; round++) {
        using streams = await pod.sandbox.exec(
          { containerId: made.id, process, tty: false, stdin: true, timeoutMs: 0 },
          within(),
        );
        const feed = (async () => {
          for (let i = 0; i < 100; i++) await streams.writeStdin(Buffer.alloc(100_000));
        })();
        const { stdout, end } = await collectExec(streams, 1 << 20, within());
        await feed;
        expect([stdout.toString().split("\n").length, end.exitCode]).toEqual([2001, 5]);
      }
    });

    it("is held back while nobody reads, and goes on when somebody does", async () => {
      await using pod = await start();
      const made = await pod.shell("sleep 100");
      const process = { ...made.spec.process, args: ["/bin/head", "-c", "20000000", "/dev/zero"] };
      const streams = await pod.sandbox.exec(
        { containerId: made.id, process, tty: false, stdin: false, timeoutMs: 0 },
        within(),
      );
      const settled = await Promise.race([
        streams.ended,
        new Promise((resolve) => setTimeout(resolve, 300, "held")),
      ]);
      expect(settled).toBe("held");
      let size = 0;
      for await (const { data } of streams.output) size += data.length;
      expect([size, (await streams.ended).exitCode]).toEqual([20_000_000, 0]);
    });

    it("dies when its client closes", async () => {
      await using pod = await start();
      const made = await pod.shell("sleep 100");
      const process = { ...made.spec.process, args: tree };
      const streams = await pod.sandbox.exec(
        { containerId: made.id, process, tty: false, stdin: false, timeoutMs: 0 },
        within(),
      );
      streams.close();
      await expect.poll(() => others(made)).toEqual([]);
    });

    it("has a terminal of the size asked for", async () => {
      await using pod = await start();
      const made = await pod.shell("sleep 100");
      const process = {
        ...made.spec.process,
        terminal: true,
        args: ["/bin/sh", "-c", "tty; read line; stty size"],
      };
      using streams = await pod.sandbox.exec(
        { containerId: made.id, process, tty: true, stdin: true, timeoutMs: 0 },
        within(),
      );
      streams.resize(123, 45);
      await streams.writeStdin(Buffer.from("\n"));
      const { stdout } = await collectExec(streams, 1000, within());
      if (limits.hostProcesses) expect(stdout.toString()).toMatch(/\/dev\/(pts\/\d+|console)/);
      expect(stdout.toString()).toContain("45 123");
    });

    it("into a container that does not run is refused", async () => {
      await using pod = await start();
      const made = await pod.shell("true");
      await made.exited();
      await expect(made.exec(["/bin/true"])).rejects.toMatchObject({ kind: "failed-precondition" });
    });
  });

  describe("an attachment", () => {
    const answers = 'while read -r line; do echo "you said $line"; done; echo over; exit 4';

    it("passes input on and output back, and its end where that is wanted", async () => {
      await using pod = await start();
      const made = await pod.shell(answers, { stdin: true, stdinOnce: true });
      using streams = await pod.sandbox.attach({ containerId: made.id, stdin: true }, within());
      await streams.writeStdin(Buffer.from("one\ntwo\n"));
      streams.endStdin();
      const { stdout } = await collectExec(streams, 1000, within());
      expect(stdout.toString()).toBe("you said one\nyou said two\nover\n");
      expect(await made.exited()).toMatchObject({ exitCode: 4 });
      expect(made.output()).toBe(stdout.toString()); // what a client reads is in the log all the same
    });

    it("that goes leaves the container and its input, for the next one", async () => {
      await using pod = await start();
      const made = await pod.shell(answers, { stdin: true });
      for (const word of ["one", "two"]) {
        using streams = await pod.sandbox.attach({ containerId: made.id, stdin: true }, within());
        await streams.writeStdin(Buffer.from(`${word}\n`));
        let heard = "";
        for await (const { data } of streams.output) {
          heard += data.toString();
          if (heard.includes("\n")) break;
        }
        expect(heard).toBe(`you said ${word}\n`);
      }
      expect((await pod.sandbox.state(within())).containers).toMatchObject([{ phase: "running" }]);
    });

    it("to a terminal sets its size", async () => {
      await using pod = await start();
      const made = await pod.shell("tty; read line; stty size", { tty: true, stdin: true });
      using streams = await pod.sandbox.attach({ containerId: made.id, stdin: true }, within());
      streams.resize(123, 45);
      await streams.writeStdin(Buffer.from("\n"));
      const { stdout } = await collectExec(streams, 1000, within());
      expect(stdout.toString()).toContain("45 123");
      if (limits.hostProcesses) expect(made.output()).toMatch(/^\/dev\/(pts\/\d+|console)\r?$/m);
      expect(made.output()).toContain("45 123");
      expect(await made.exited()).toMatchObject({ exitCode: 0 });
    });
  });
}
