/** Execs and attaches: streams, terminals, time limits, and what is left behind. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  childrenOf,
  isAlive,
  type Json,
  memoryKiB,
  MonitorPod,
  openFiles,
  type RawConnection,
  unlessGone,
} from "../../support/monitor.ts";
import { waitFor } from "../../support/wait.ts";

const processOf = (args: readonly string[]): Json => ({
  args,
  env: ["PATH=/bin"],
  cwd: "/",
  user: { uid: 0, gid: 0 },
});
const hex = (bits: number): string => bits.toString(16).padStart(16, "0");
const exec = async (
  pod: MonitorPod,
  id: string,
  args: readonly string[],
  more: Json = {},
): Promise<{ connection: RawConnection; pid: number }> => {
  const connection = await pod.connect();
  const { pid } = await connection.request("exec", {
    container: id,
    process: { ...processOf(args), terminal: more.tty ?? false },
    tty: false,
    stdin: false,
    timeout_ms: 0,
    ...more,
  });
  return { connection, pid: Number(pid) };
};

const sh = (script: string): string[] => ["/bin/sh", "-c", script];
const execCgroups = (pod: MonitorPod, id: string): string[] =>
  pod.cgroupFolders().flatMap((folder) =>
    readdirSync(join(folder, id))
      .filter((name) => name.startsWith("exec-"))
      .map((name) => join(folder, id, name)),
  );
/** Whether somebody is in it; nobody is when it goes at this moment. */
const isBusy = (cgroup: string): boolean => {
  let busy = false;
  unlessGone(() => {
    busy = readFileSync(join(cgroup, "cgroup.procs"), "utf8") !== "";
  });
  return busy;
};
/** Nobody is in them, and one at most is left, for the next exec. */
const execsAreGone = (pod: MonitorPod, id: string): boolean => {
  const left = execCgroups(pod, id);
  return left.length <= 1 && !left.some(isBusy);
};

describe("an exec", () => {
  it("gives both outputs and the exit code, then ends", async () => {
    await using pod = await MonitorPod.start();
    const id = await pod.shell(await pod.connect(), "sleep 100");
    const { connection } = await exec(pod, id, sh("echo out; echo err >&2; exit 7"));
    expect(await connection.collect()).toEqual({
      stdout: "out\n",
      stderr: "err\n",
      status: { exit_code: 7, signal: 0, timed_out: false },
    });
    await connection.cut();
    await waitFor("its cgroup to be given back", () => execsAreGone(pod, id));
  });

  it("runs in the container's namespaces and cgroup, below which it has one of its own", async () => {
    await using pod = await MonitorPod.start();
    const id = await pod.shell(await pod.connect(), "sleep 100");
    const { connection } = await exec(
      pod,
      id,
      sh("hostname; ls -l /proc/self/fd | wc -l; cat /proc/self/cgroup; cat /proc/1/comm"),
    );
    const { stdout } = await connection.collect();
    expect(stdout).toMatch(
      new RegExp(`^web-0\n.*\n[\\s\\S]*:/${pod.name}/${id}(/exec-1)?\n[\\s\\S]*(sleep|sh)\n$`),
    );
  });

  it("has the cgroup that the one before it left, but none that somebody is in, or that is frozen", async () => {
    await using pod = await MonitorPod.start();
    const control = await pod.connect();
    const id = await pod.shell(control, "sleep 100");
    const connection = await pod.connect();
    const run = (script: string) => connection.run({ container: id, process: processOf(sh(script)) });
    const given = async () => {
      await waitFor("its cgroup to be given back", () => execsAreGone(pod, id));
      return execCgroups(pod, id);
    };
    await run("true");
    const [first = ""] = await given();
    if (first === "") return; // the kernel has no cgroup v2
    for (const script of ["true", "exit 3"]) {
      await run(script);
      expect(await given()).toEqual([first]);
    }
    // Two at the same time are apart; a child that stays has its cgroup to itself, until it is killed by its time.
    const one = await exec(pod, id, ["/bin/sleep", "100"]);
    const two = await exec(pod, id, ["/bin/sleep", "100"]);
    expect(new Set(execCgroups(pod, id)).size).toBe(2);
    one.connection.close();
    two.connection.close();
    await given();
    await run("sleep 1000 > /dev/null 2>&1 &");
    const busy = () => execCgroups(pod, id).filter(isBusy);
    const [left] = busy();
    expect(left).toBeDefined();
    const next = await exec(pod, id, ["/bin/sleep", "100"]);
    expect(busy()).toHaveLength(2);
    next.connection.close();
    await waitFor("it to be killed", () => !isAlive(next.pid));
    expect(busy()).toEqual([left]);
    await control.request("delete", { container: id });
    expect(pod.cgroupFolders().some((folder) => existsSync(join(folder, id)))).toBe(false);
  });

  it("that was killed, by its time or from inside, does not leave its cgroup to the next one", async () => {
    await using pod = await MonitorPod.start();
    const id = await pod.shell(await pod.connect(), "sleep 100");
    const connection = await pod.connect();
    for (const [script, more] of [
      ["true", {}],
      ["kill -9 $$", {}],
      ["trap 'exit 0' TERM; sleep 100", { timeout_ms: 50 }],
      ["sleep 100 & exit 0", {}],
    ] as const) {
      await connection.run({ container: id, process: processOf(sh(script)), ...more });
      for (let i = 0; i < 3; i++)
        expect(await connection.run({ container: id, process: processOf(sh("echo runs")) })).toMatchObject({
          stdout: "runs\n",
          status: { exit_code: 0 },
        });
    }
  });

  it("whose cgroup was frozen does not leave it to the next one", async () => {
    await using pod = await MonitorPod.start();
    const id = await pod.shell(await pod.connect(), "sleep 100");
    const { connection, pid } = await exec(pod, id, ["/bin/sleep", "100"]);
    const [folder = ""] = execCgroups(pod, id);
    if (!existsSync(join(folder, "cgroup.freeze"))) return; // the kernel has no cgroup v2
    writeFileSync(join(folder, "cgroup.freeze"), "1");
    connection.close();
    await waitFor("it to be killed", () => !isAlive(pid));
    const next = await exec(pod, id, sh("echo runs"));
    expect((await next.connection.collect()).stdout).toBe("runs\n");
  });

  it("has what its container has, and no more, whether that is remembered or read again (I6)", async () => {
    await using pod = await MonitorPod.start();
    const capabilities = ["CAP_KILL", "CAP_CHOWN"];
    // No two tests have the same filter: its compiled form is a file that only this one takes away.
    const seccomp = {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [
        { names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 40 + (process.pid % 60) },
        {
          names: ["personality"],
          action: "SCMP_ACT_ERRNO",
          args: [{ index: 0, value: Date.now(), op: "SCMP_CMP_EQ" }],
        },
      ],
    };
    const cache = "/run/kobako/seccomp";
    const compiled = () => new Set(existsSync(cache) ? readdirSync(cache) : []);
    const before = compiled();
    const id = await pod.run(await pod.connect(), {
      args: ["/bin/sleep", "100"],
      process: {
        capabilities: { bounding: capabilities, permitted: capabilities, effective: capabilities },
        noNewPrivileges: true,
        rlimits: [
          { type: "RLIMIT_NOFILE", soft: 77, hard: 99 },
          { type: "RLIMIT_CORE", soft: 0, hard: 0 },
        ],
        oomScoreAdj: 321,
      },
      seccomp,
    });
    // Perhaps one that another test compiled meanwhile is among them: it is compiled again, too.
    const fresh = [...compiled()].filter((name) => !before.has(name));
    expect(fresh).not.toEqual([]);
    const forget = () => {
      for (const name of fresh) rmSync(join(cache, name), { force: true });
    };
    const look = async () => {
      const script =
        "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj; mkdir /tmp/x 2>/dev/null || echo filtered";
      return await (await exec(pod, id, sh(script))).connection.collect();
    };
    const mask = (1 << 0) | (1 << 5);
    const remembered = await look();
    expect(remembered.stdout.replaceAll("\t", " ")).toBe(
      `CapInh: ${hex(0)}\nCapPrm: ${hex(mask)}\nCapEff: ${hex(mask)}\nCapBnd: ${hex(mask)}\nCapAmb: ${hex(0)}\n` +
        "NoNewPrivs: 1\nSeccomp: 2\n77\n99\n321\nfiltered\n",
    );
    // Who removes the compiled filter only makes the next exec compile it again.
    forget();
    expect(await look()).toEqual(remembered);
    expect(fresh.some((name) => compiled().has(name))).toBe(true);
    forget();
    const connection = await pod.connect();
    const more = { ...processOf(["/bin/true"]), capabilities: { bounding: ["CAP_SYS_ADMIN"] } };
    const { error } = await connection.ask("exec", { container: id, process: more });
    expect(error).toMatchObject({
      kind: "invalid-argument",
      message: expect.stringMatching(/process\.capabilities: more than the container has/),
    });
  });

  it("of a missing program is refused before the switch, and the connection goes on", async () => {
    await using pod = await MonitorPod.start();
    const connection = await pod.connect();
    const id = await pod.shell(connection, "sleep 100");
    const process = { args: ["/bin/nothing"], env: [], cwd: "/", user: { uid: 0, gid: 0 } };
    for (const tty of [false, true]) {
      const { error } = await connection.ask("exec", {
        container: id,
        process: { ...process, terminal: tty },
        tty,
      });
      expect(error).toMatchObject({
        code: 2,
        kind: "failed-precondition",
        message: expect.stringMatching(/\/bin\/nothing/),
      });
    }
    expect(await connection.request("state")).toMatchObject({ containers: [{ id, state: "running" }] });
    await waitFor("its cgroup to be given back", () => execsAreGone(pod, id));
  });

  it("passes standard input on, and its end", async () => {
    await using pod = await MonitorPod.start();
    const id = await pod.shell(await pod.connect(), "sleep 100");
    const { connection } = await exec(pod, id, ["/bin/md5sum"], { stdin: true });
    for (let i = 0; i < 50; i++) connection.sendFrame(0, Buffer.alloc(100_000, i));
    connection.sendFrame(0, "");
    const { createHash } = await import("node:crypto");
    const hash = createHash("md5");
    for (let i = 0; i < 50; i++) hash.update(Buffer.alloc(100_000, i));
    expect((await connection.collect()).stdout).toBe(`${hash.digest("hex")}  -\n`);
  });

  it("takes the end of the client's sending for the end of input", async () => {
    await using pod = await MonitorPod.start();
    const id = await pod.shell(await pod.connect(), "sleep 100");
    const { connection } = await exec(pod, id, ["/bin/cat"], { stdin: true });
    connection.sendFrame(0, "all");
    connection.socket.end();
    expect(await connection.collect()).toMatchObject({ stdout: "all", status: { exit_code: 0 } });
  });

  it("has a terminal that is resized", async () => {
    await using pod = await MonitorPod.start();
    const id = await pod.shell(await pod.connect(), "sleep 100");
    const { connection } = await exec(pod, id, sh("read x; stty size; echo got $x; tty; exit 4"), {
      tty: true,
      stdin: true,
    });
    connection.sendFrame(4, JSON.stringify({ width: 132, height: 43 }));
    connection.sendFrame(0, "word\n");
    const { stdout, status } = await connection.collect();
    expect(stdout.replaceAll("\r", "")).toMatch(/^word\n43 132\ngot word\n\/dev\/pts\/0\n$/);
    expect(status).toMatchObject({ exit_code: 4 });
  });

  it("is killed with all its children after its time", async () => {
    await using pod = await MonitorPod.start();
    const id = await pod.shell(await pod.connect(), "sleep 100");
    const { connection, pid } = await exec(
      pod,
      id,
      sh("trap '' TERM; (sleep 1000; true) & echo on; sleep 1000; true"),
      { timeout_ms: 2000 },
    );
    await connection.output(/on/);
    const tree = await waitFor("the children", () => {
      const found = [pid, ...childrenOf(pid)];
      return found.length === 3 && found;
    });
    expect((await connection.collect()).status).toEqual({ exit_code: 137, signal: 9, timed_out: true });
    await waitFor("end of the children", () => !tree.some(isAlive));
    await waitFor("its cgroup to be given back", () => execsAreGone(pod, id));
  });

  it("ends soon after its process, whatever children keep its pipes open (U5)", async () => {
    await using pod = await MonitorPod.start();
    const control = await pod.connect();
    const bare = openFiles(pod.pid);
    const id = await pod.shell(control, "sleep 100");
    // The first one opens the container's cgroups for all that follow.
    await (await exec(pod, id, sh("true"))).connection.collect();
    const before = openFiles(pod.pid) + 1; // the cgroup that is kept for the next one
    for (let round = 0; round < 20; round++) {
      const { connection } = await exec(
        pod,
        id,
        sh("sleep 1000 & (while :; do echo noise; done) & echo done; exit 3"),
      );
      const { stdout, status } = await connection.collect();
      expect(stdout).toContain("done\n");
      expect(status).toMatchObject({ exit_code: 3 });
      await connection.cut();
    }
    await waitFor("descriptors to be closed", () => openFiles(pod.pid) <= before);
    await control.request("delete", { container: id });
    expect(childrenOf(pod.pid)).toEqual([]);
    expect(openFiles(pod.pid)).toBe(bare);
  });

  it("dies with all its children when its client goes away (A14)", async () => {
    await using pod = await MonitorPod.start();
    const id = await pod.shell(await pod.connect(), "sleep 100");
    const { connection, pid } = await exec(
      pod,
      id,
      sh("trap '' HUP PIPE; (sleep 1000; true) & echo on; sleep 1000; true"),
    );
    await connection.output(/on/);
    const tree = [pid, ...childrenOf(pid)];
    connection.close();
    await waitFor("end of the exec", () => !tree.some(isAlive));
    await waitFor("its cgroup to be given back", () => execsAreGone(pod, id));
  });

  it("stands still while its client does not read, at no cost of memory (S5)", async () => {
    await using pod = await MonitorPod.start();
    const id = await pod.shell(await pod.connect(), "sleep 100");
    const { connection, pid } = await exec(pod, id, ["/bin/cat", "/dev/zero"]);
    connection.socket.pause();
    await waitFor("the process to block", () => {
      const state = () => Number(/^rchar: (\d+)/m.exec(readFile(`/proc/${pid}/io`))?.[1]);
      const before = state();
      const end = performance.now() + 100;
      while (performance.now() < end); // long enough for a process that is not held to read on
      return state() === before;
    });
    expect(memoryKiB(pod.pid, "Private_Dirty")).toBeLessThan(1024);
    connection.socket.resume();
    await waitFor("more output", () => connection.frames.length > 100);
    connection.close();
    await waitFor("end of the exec", () => !isAlive(pid));
  });

  it("loses nothing of what its process wrote last", async () => {
    await using pod = await MonitorPod.start();
    const id = await pod.shell(await pod.connect(), "sleep 100");
    for (let round = 0; round < 10; round++) {
      const { connection } = await exec(pod, id, sh("seq 1 20000"), { tty: round % 2 === 1 });
      const { stdout } = await connection.collect();
      expect(stdout.replaceAll("\r", "").split("\n")).toHaveLength(20_001);
      await connection.cut();
    }
  });

  it("costs nothing once it is over: descriptors, children, memory (U6)", async () => {
    await using pod = await MonitorPod.start();
    const control = await pod.connect();
    const id = await pod.shell(control, "sleep 100");
    const round = async (args: readonly string[], tty: boolean) => {
      const connection = await pod.connect();
      const answer = await connection.ask("exec", {
        container: id,
        process: { args, env: ["PATH=/bin"], cwd: "/", user: { uid: 0, gid: 0 }, terminal: tty },
        tty,
      });
      if (answer.result !== undefined) await connection.collect();
      connection.close();
    };
    const many = async (count: number) => {
      for (let i = 0; i < count; i++) {
        await Promise.all([
          round(["/bin/true"], false),
          round(["/bin/none"], true),
          round(["/bin/echo", "x"], true),
        ]);
      }
    };
    await many(10);
    await waitFor("children to be reaped", () => childrenOf(pod.pid).length === 1);
    // One more: the cgroup that is kept for the next one.
    const [files, memory] = [openFiles(pod.pid) + 1, memoryKiB(pod.pid, "Private_Dirty")];
    await many(60);
    await waitFor("children to be reaped", () => childrenOf(pod.pid).length === 1);
    await waitFor("descriptors to be closed", () => openFiles(pod.pid) <= files);
    expect(memoryKiB(pod.pid, "Private_Dirty")).toBeLessThanOrEqual(memory + 64);
    await waitFor("its cgroup to be given back", () => execsAreGone(pod, id));
  });

  it("with `again` leaves its connection to the next one, as often as one likes", async () => {
    await using pod = await MonitorPod.start();
    const id = await pod.shell(await pod.connect(), "sleep 100");
    const connection = await pod.connect();
    const run = (args: readonly string[], more: Json = {}) =>
      connection.run({ container: id, process: processOf(args), ...more });
    await run(["/bin/true"]);
    const files = openFiles(pod.pid) + 1; // the cgroup that is kept for the next one
    for (const word of ["one", "two", "three"])
      expect(await run(sh(`echo ${word}; echo ${word} >&2; exit 7`))).toEqual({
        answer: { pid: expect.any(Number), again: true },
        stdout: `${word}\n`,
        stderr: `${word}\n`,
        status: { exit_code: 7, signal: 0, timed_out: false },
      });
    // Refused ones, other requests, and one that is killed come between.
    expect(
      await connection.refusal("exec", { container: id, process: processOf(["/none"]), again: true }),
    ).toBe("failed-precondition");
    expect(await connection.ask("state")).toHaveProperty("result");
    expect((await run(sh("sleep 100 & sleep 100"), { timeout_ms: 50 })).status).toMatchObject({
      timed_out: true,
    });
    expect(await run(["/bin/head", "-c", "3000000", "/dev/zero"])).toMatchObject({
      stdout: "\0".repeat(3_000_000),
      status: { exit_code: 0 },
    });
    await waitFor("its cgroups to be given back", () => execsAreGone(pod, id));
    await waitFor("descriptors to be closed", () => openFiles(pod.pid) <= files);
  });

  it("with `again` is answered soon, also when it says nothing and does not end", async () => {
    await using pod = await MonitorPod.start();
    const id = await pod.shell(await pod.connect(), "sleep 100");
    const connection = await pod.connect();
    const request = { container: id, process: processOf(["/bin/sleep", "100"]), again: true };
    const pid = Number((await connection.request("exec", request)).pid);
    expect(isAlive(pid)).toBe(true);
    connection.close();
    await waitFor("it to be killed", () => !isAlive(pid));
  });

  it("with `again` has no input: bytes in its time cut the connection and kill it", async () => {
    await using pod = await MonitorPod.start();
    const id = await pod.shell(await pod.connect(), "sleep 100");
    for (const more of [{ stdin: true }, { tty: true }])
      expect(
        await (await pod.connect()).refusal("exec", {
          container: id,
          process: { ...processOf(["/bin/true"]), terminal: "tty" in more },
          again: true,
          ...more,
        }),
      ).toBe("invalid-argument");
    const connection = await pod.connect();
    const { pid } = await connection.request("exec", {
      container: id,
      process: processOf(sh("echo x; exec sleep 100")),
      again: true,
    });
    connection.sendFrame(0, "");
    await connection.cut();
    await waitFor("it to be killed", () => !isAlive(Number(pid)));
    // Its client goes before there is an answer.
    for (let i = 0; i < 20; i++) {
      const hasty = await pod.connect();
      hasty.send({
        id: 1,
        method: "exec",
        params: { container: id, process: processOf(["/bin/sleep", "100"]), again: true },
      });
      if (i % 2 === 0) await hasty.ask("state").catch(() => undefined);
      hasty.close();
    }
    await waitFor("they are killed", () => execsAreGone(pod, id));
  });

  it("needs a connection of its own", async () => {
    await using pod = await MonitorPod.start();
    const connection = await pod.connect();
    const id = await pod.shell(connection, "sleep 100");
    const process = { args: ["/bin/true"], env: [], cwd: "/", user: { uid: 0, gid: 0 } };
    // In one piece: the second is read while the first is under way.
    connection.socket.cork();
    const slow = connection.ask("prepare", pod.prepareParams("other"));
    const refusal = connection.refusal("exec", { container: id, process });
    connection.socket.uncork();
    expect(await refusal).toBe("failed-precondition");
    await slow;
  });
});

describe("an attach", () => {
  it("shows the container's output to each client, beside the log, and how it ended", async () => {
    await using pod = await MonitorPod.start();
    const control = await pod.connect();
    const id = await pod.shell(control, "read x; echo out $x; echo err >&2; exit 9", { stdin: true });
    const [first, second] = [await pod.connect(), await pod.connect()];
    await first.request("attach", { container: id, stdin: true });
    await second.request("attach", { container: id, stdin: false });
    first.sendFrame(0, "word\n");
    for (const connection of [first, second]) {
      expect(await connection.collect()).toEqual({
        stdout: "out word\n",
        stderr: "err\n",
        status: { exit_code: 9, signal: 0, timed_out: false },
      });
      await connection.cut();
    }
    expect(pod.logText(id).split("\n").sort()).toEqual(["", "err", "out word"]);
  });

  it("goes away without harm to the container", async () => {
    await using pod = await MonitorPod.start();
    const control = await pod.subscribe();
    const id = await pod.shell(control, "while read x; do echo $x; done; exit 0", { stdin: true });
    for (let round = 0; round < 20; round++) {
      const connection = await pod.connect();
      await connection.request("attach", { container: id, stdin: true });
      connection.sendFrame(0, `${round}\n`);
      await connection.output(new RegExp(`^${round}$`, "m"));
      connection.close();
    }
    expect(await control.request("state")).toMatchObject({ containers: [{ state: "running" }] });
    expect(pod.logText(id).split("\n")).toHaveLength(21);
  });

  it("to a container without standard input is refused when it asks for it", async () => {
    await using pod = await MonitorPod.start();
    const connection = await pod.connect();
    const id = await pod.shell(connection, "sleep 100");
    expect(await connection.refusal("attach", { container: id, stdin: true })).toBe("failed-precondition");
    expect(await connection.refusal("attach", { container: "nope", stdin: false })).toBe("not-found");
  });

  it("that takes nothing is cut off, and the container goes on", async () => {
    await using pod = await MonitorPod.start();
    const control = await pod.subscribe();
    const id = await pod.shell(control, "sleep 1; head -c 3000000 /dev/zero | tr '\\0' 'x'; echo; exit 5");
    const stuck = await pod.connect();
    await stuck.request("attach", { container: id, stdin: false });
    stuck.socket.pause();
    expect(await control.event("exit", id)).toMatchObject({ exit_code: 5 });
    expect(memoryKiB(pod.pid, "Private_Dirty")).toBeLessThan(2048);
  });
});

function readFile(path: string): string {
  return readFileSync(path, "utf8");
}
