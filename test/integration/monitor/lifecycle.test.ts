/** The life of a pod and its containers, as the monitor's protocol promises it. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { childrenOf, isAlive, type Json, MonitorPod } from "../../support/monitor.ts";
import { waitFor } from "../../support/wait.ts";

const shared = { namespaces: { pid: "pod" } };
const stateOf = async (connection: Awaited<ReturnType<MonitorPod["connect"]>>, id: string): Promise<Json> => {
  const { containers } = await connection.request("state");
  return (containers as Json[]).find((container) => container.id === id) ?? {};
};

describe("a monitor", () => {
  it("answers once, with who it is, and says the same in its hello", async () => {
    await using pod = await MonitorPod.start();
    const connection = pod.raw();
    expect(await connection.hello()).toMatchObject({
      protocol: 1,
      id: pod.id,
      pid: pod.pid,
      start_time: pod.startTime,
    });
    const stat = readFileSync(`/proc/${pod.pid}/stat`, "utf8");
    expect(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]).toBe(pod.startTime);
    expect(statSync(join(pod.runDir, "m.sock")).mode & 0o7777).toBe(0o600);
  });

  it("sits in a cgroup and a session of its own, in no namespace of the pod", async () => {
    await using pod = await MonitorPod.start();
    const own = readFileSync(`/proc/${pod.pid}/cgroup`, "utf8").trim().split("\n");
    for (const line of own) expect(line).toMatch(new RegExp(`:/${pod.name}/monitor$`));
    for (const name of ["net", "ipc", "uts", "mnt", "pid"]) {
      expect(statSync(`/proc/${pod.pid}/ns/${name}`).ino).toBe(statSync(`/proc/self/ns/${name}`).ino);
    }
    expect(statSync(pod.netnsPin).ino).not.toBe(statSync("/proc/self/ns/net").ino);
  });

  it("runs from a read-only mount, so that no container can open its program for writing (M1)", async () => {
    await using pod = await MonitorPod.start();
    const { openSync } = await import("node:fs");
    expect(() => openSync(`/proc/${pod.pid}/exe`, "r+")).toThrow(/EROFS|ETXTBSY/);
    expect(pod.log).toBe("");
  });

  it("leaves nothing on the host but the pin, whatever its containers mount", async () => {
    const before = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
    await using pod = await MonitorPod.start();
    const connection = await pod.connect();
    await pod.shell(connection, "sleep 100");
    const grown = readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .filter((line) => !before.includes(line) && line.includes(pod.name));
    expect(grown.map((line) => line.split(" ")[4])).toEqual([pod.netnsPin]);
    expect(existsSync(join(pod.runDir, "c1/rootfs/bin"))).toBe(false);
  });

  it("that can't start says why and leaves nothing", async () => {
    await using pod = MonitorPod.make();
    for (const change of [
      { sysctls: { "kernel.core_pattern": "|/x" } },
      { sysctls: { "net.ipv4.ip_forward": "1\n" } },
      { sysctls: { "net.ipv4.not_there": "1" } },
      {
        namespaces: { network: "host", ipc: "pod", uts: "pod", pid: "pod" },
        sysctls: { "net.ipv4.ip_forward": "1" },
      },
      { hostname: "x".repeat(65) },
      { netns_pin: "relative" },
      { run_dir: "/nowhere/at/all" },
      { protocol: 2 },
      { namespaces: { network: "pod" } },
      { pod_cgroup: "/../x", namespaces: { network: "pod", ipc: "pod", uts: "pod", pid: "pod" } },
    ] satisfies Json[]) {
      const answer = await pod.spawn(change);
      expect(answer, JSON.stringify(change)).toMatchObject({
        ok: false,
        error: { message: expect.any(String) },
      });
      expect(existsSync(pod.netnsPin), JSON.stringify(change)).toBe(false);
      expect(existsSync(join(pod.runDir, "m.sock"))).toBe(false);
    }
    for (const input of ["", "{", "[]", "null", '{"protocol":1}', "x".repeat(2 << 20)]) {
      expect(await pod.spawnWith(input)).toMatchObject({ ok: false });
    }
  });

  it("does not take over the pin of somebody else, nor remove it", async () => {
    await using pod = await MonitorPod.start();
    await using other = MonitorPod.make();
    expect(await other.spawn({ netns_pin: pod.netnsPin })).toMatchObject({ ok: false });
    expect(existsSync(pod.netnsPin)).toBe(true);
    expect(await (await pod.connect()).request("state")).toMatchObject({ containers: [] });
  });

  it("sets the sysctls in the pod alone", async () => {
    const host = readFileSync("/proc/sys/kernel/shmmni", "utf8");
    await using pod = await MonitorPod.start({
      sysctls: { "net.ipv4.ip_default_ttl": "77", "kernel.shmmni": "1234" },
    });
    const connection = await pod.subscribe();
    const id = await pod.shell(connection, "cat /proc/sys/net/ipv4/ip_default_ttl /proc/sys/kernel/shmmni");
    await connection.event("exit", id);
    expect(pod.logText(id)).toBe("77\n1234\n");
    expect(readFileSync("/proc/sys/kernel/shmmni", "utf8")).toBe(host);
  });

  it("outlives a storm of signals, and ends its pod on SIGTERM", async () => {
    await using pod = await MonitorPod.start();
    const connection = await pod.connect();
    const id = await pod.shell(connection, "sleep 100");
    const container = Number((await stateOf(connection, id)).pid);
    for (let round = 0; round < 50; round++) {
      for (const signal of [
        "SIGHUP",
        "SIGINT",
        "SIGUSR1",
        "SIGUSR2",
        "SIGPIPE",
        "SIGCHLD",
        "SIGALRM",
      ] as const) {
        process.kill(pod.pid, signal);
      }
    }
    expect(await stateOf(connection, id)).toMatchObject({ state: "running" });
    process.kill(pod.pid, "SIGTERM");
    await connection.cut();
    await waitFor("end of the monitor", () => !isAlive(pod.pid));
    expect(isAlive(container)).toBe(false);
    expect(existsSync(pod.netnsPin)).toBe(false);
    expect(pod.exitRecord(id)).toMatchObject({ signal: 9 });
  });

  it("leaves nothing after shutdown, and tells when that is", async () => {
    await using pod = await MonitorPod.start(shared);
    const connection = await pod.connect();
    const ids = [
      await pod.shell(connection, "sleep 100"),
      await pod.shell(connection, "trap '' TERM; sleep 100 & wait"),
    ];
    ids.push(await pod.create(connection, { args: ["/bin/true"] }));
    const pids = await Promise.all(ids.map(async (id) => Number((await stateOf(connection, id)).pid)));
    await connection.request("shutdown");
    expect([...pids, pod.pausePid ?? 0].filter(isAlive)).toEqual([]);
    expect(existsSync(pod.netnsPin)).toBe(false);
    expect(existsSync(join(pod.runDir, "m.sock"))).toBe(false);
    await connection.cut();
    await waitFor("end of the monitor", () => !isAlive(pod.pid));
    for (const folder of pod.cgroupFolders()) {
      expect(existsSync(join(folder, "pause"))).toBe(false);
      for (const id of ids) expect(existsSync(join(folder, id))).toBe(false);
    }
  });
});

describe("a container", () => {
  it.each([
    ["exit 0", 0, 0],
    ["exit 3", 3, 0],
    ["exit 255", 255, 0],
    ["kill -KILL $$", 137, 9],
    ["kill -SEGV $$", 139, 11],
  ])("that ends by `%s` has the exit code %i", async (script, code, signal) => {
    await using pod = await MonitorPod.start(shared);
    const connection = await pod.subscribe();
    const id = await pod.shell(connection, script);
    const exit = await connection.event("exit", id);
    expect(exit).toMatchObject({ exit_code: code, signal, oom_killed: false });
    expect(BigInt(String(exit.finished_at_ns))).toBeGreaterThanOrEqual(BigInt(String(exit.started_at_ns)));
    expect(pod.exitRecord(id)).toEqual(exit);
    expect(await stateOf(connection, id)).toMatchObject({ state: "exited", exit_code: code, signal });
  });

  it("has its exit on disk before anybody is told", async () => {
    await using pod = await MonitorPod.start();
    const connection = await pod.subscribe();
    for (let round = 0; round < 20; round++) {
      const id = await pod.run(connection, { args: ["/bin/true"] });
      await connection.event("exit", id);
      expect(pod.exitRecord(id)).toMatchObject({ container: id, exit_code: 0 });
    }
  });

  it("goes through its states in order, and refuses what does not fit", async () => {
    await using pod = await MonitorPod.start();
    const connection = await pod.subscribe();
    const id = "one";
    const params = pod.prepareParams(id);
    expect(await connection.refusal("create", pod.createParams(id, { args: ["/bin/true"] }))).toBe(
      "not-found",
    );
    expect(await connection.request("prepare", params)).toEqual({
      uid: 0,
      gid: 0,
      additional_gids: [0],
      home: "/root",
      username: "root",
    });
    expect(await connection.refusal("prepare", params)).toBe("already-exists");
    expect(await connection.refusal("start", { container: id })).toBe("failed-precondition");
    expect(await stateOf(connection, id)).toMatchObject({ state: "prepared" });
    const create = pod.createParams(id, { args: ["/bin/sh", "-c", "sleep 100"] });
    const created = await connection.request("create", create);
    expect(created).toMatchObject({ pid: expect.any(Number), cgroup: `/${pod.name}/${id}` });
    expect(await connection.refusal("create", create)).toBe("already-exists");
    expect(await connection.refusal("exec", { container: id, process: {}, tty: false })).toBe(
      "failed-precondition",
    );
    await connection.request("start", { container: id });
    expect(await connection.refusal("start", { container: id })).toBe("already-exists");
    expect(await stateOf(connection, id)).toMatchObject({ state: "running", pid: created.pid });
    await connection.request("kill", { container: id, signal: 9, all: false });
    await connection.event("exit", id);
    expect(await connection.refusal("kill", { container: id, signal: 9, all: false })).toBe(
      "failed-precondition",
    );
    await connection.request("delete", { container: id });
    await connection.request("delete", { container: id });
    expect(await connection.refusal("kill", { container: id, signal: 9, all: false })).toBe("not-found");
    expect(await connection.refusal("nonsense")).toBe("unimplemented");
  });

  it.each(["", "../x", "a/b", ".x", "-rf", "x".repeat(200), "a\u0000b", "ü"])(
    "can't be called %j (C3)",
    async (id) => {
      await using pod = await MonitorPod.start();
      const connection = await pod.connect();
      expect(await connection.refusal("prepare", { ...pod.prepareParams("ok"), container: id })).toBe(
        "invalid-argument",
      );
    },
  );

  it("is made once, however many ask at the same time", async () => {
    await using pod = await MonitorPod.start();
    const connection = await pod.connect();
    const prepared = await Promise.all(
      Array.from({ length: 8 }, () => connection.refusal("prepare", pod.prepareParams("same"))),
    );
    expect(prepared.filter((kind) => kind === "none")).toHaveLength(1);
    expect(prepared.filter((kind) => kind === "already-exists")).toHaveLength(7);
    const create = pod.createParams("same", { args: ["/bin/sh", "-c", "sleep 100"] });
    const created = await Promise.all(Array.from({ length: 8 }, () => connection.refusal("create", create)));
    expect(created.filter((kind) => kind === "none")).toHaveLength(1);
    // It is just being made for the others, or is already where the monitor reads their requests late.
    const refused = created.filter((kind) => ["failed-precondition", "already-exists"].includes(kind));
    expect(refused).toHaveLength(7);
    const deleted = await Promise.all(
      Array.from({ length: 8 }, () => connection.refusal("delete", { container: "same" })),
    );
    expect(new Set(deleted)).toEqual(new Set(["none"]));
  });

  it("with a missing program is refused at start, by its path, and has ended", async () => {
    await using pod = await MonitorPod.start();
    const connection = await pod.subscribe();
    const id = await pod.create(connection, { args: ["/bin/nothing"] });
    const { error } = await connection.ask("start", { container: id });
    expect(error).toMatchObject({
      code: 2,
      kind: "failed-precondition",
      message: expect.stringMatching(/\/bin\/nothing/),
    });
    expect(await connection.event("exit", id)).toMatchObject({ started_at_ns: "0" });
    await connection.request("delete", { container: id });
  });

  it("that fails to be made leaves nothing, and can be made again", async () => {
    await using pod = await MonitorPod.start();
    const connection = await pod.connect();
    await connection.request("prepare", pod.prepareParams("one"));
    const good = pod.createParams("one", { args: ["/bin/true"] });
    const { error } = await connection.ask("create", { ...good, spec: join(pod.runDir, "none.json") });
    expect(error).toMatchObject({ message: expect.stringMatching(/none\.json/) });
    for (const folder of pod.cgroupFolders()) expect(existsSync(join(folder, "one"))).toBe(false);
    await waitFor("the runner to be reaped", () => childrenOf(pod.pid).length === 0);
    await connection.request("create", good);
  });

  it("whose making is killed half-way leaves nothing, and can be made again (B4)", async () => {
    await using pod = await MonitorPod.start();
    const connection = await pod.connect();
    await connection.request("prepare", pod.prepareParams("one"));
    const hook = { path: "/bin/sh", args: ["sh", "-c", "exec sleep 1000"] };
    const making = connection.ask(
      "create",
      pod.createParams("one", { args: ["/bin/true"], hooks: { createRuntime: [hook] } }),
    );
    const inits = await waitFor("the half-made container", () => {
      const [folder] = pod.cgroupFolders().filter((name) => existsSync(join(name, "one")));
      const pids = folder === undefined ? "" : readFileSync(join(folder, "one/cgroup.procs"), "utf8").trim();
      return pids === "" ? undefined : pids.split("\n").map(Number);
    });
    const runner = await waitFor("its runner", () => childrenOf(pod.pid).find((pid) => !inits.includes(pid)));
    const [sleeper] = await waitFor("its hook", () =>
      childrenOf(runner).length > 0 ? childrenOf(runner) : undefined,
    );
    process.kill(runner, "SIGKILL");
    expect(await making).toMatchObject({
      error: { kind: "internal", message: expect.stringMatching(/killed/) },
    });
    expect(inits.filter(isAlive)).toEqual([]);
    for (const folder of pod.cgroupFolders()) expect(existsSync(join(folder, "one"))).toBe(false);
    if (sleeper !== undefined && isAlive(sleeper)) process.kill(sleeper, "SIGKILL");
    await connection.request("create", pod.createParams("one", { args: ["/bin/true"] }));
  });

  it("is seen to end when somebody else kills it", async () => {
    await using pod = await MonitorPod.start();
    const connection = await pod.subscribe();
    const id = await pod.shell(connection, "sleep 100");
    process.kill(Number((await stateOf(connection, id)).pid), "SIGKILL");
    expect(await connection.event("exit", id)).toMatchObject({
      exit_code: 137,
      signal: 9,
      oom_killed: false,
    });
  });

  it("takes all its processes with it, also where the PID namespace is shared (H5)", async () => {
    await using pod = await MonitorPod.start(shared);
    const connection = await pod.subscribe();
    const id = await pod.shell(
      connection,
      "i=0; while [ $i -lt 200 ]; do (sleep 1000 &) ; i=$((i+1)); done; echo ready; exit 7",
    );
    expect(await connection.event("exit", id)).toMatchObject({ exit_code: 7 });
    await connection.request("delete", { container: id });
    for (const folder of pod.cgroupFolders()) expect(existsSync(join(folder, id))).toBe(false);
    await waitFor("orphans to be reaped", () => childrenOf(pod.pid).length === 1);
    expect(childrenOf(pod.pid)).toEqual([pod.pausePid]);
  });

  it("tells of a process of its that is killed for memory at once, and goes on", async () => {
    await using pod = await MonitorPod.start();
    const connection = await pod.subscribe();
    for (let i = 0; i < 3; i++) {
      const id = await pod.shell(connection, "tail /dev/zero; exec sleep 1000", { memoryBytes: 16 << 20 });
      await connection.event("oom", id);
      await connection.request("delete", { container: id });
    }
  });

  it("is killed for its memory, and says so; one killed by request does not (U3)", async () => {
    await using pod = await MonitorPod.start();
    const connection = await pod.subscribe();
    const hungry = await pod.shell(connection, "exec tail /dev/zero", { memoryBytes: 16 << 20 });
    await connection.event("oom", hungry);
    expect(await connection.event("exit", hungry)).toMatchObject({
      exit_code: 137,
      signal: 9,
      oom_killed: true,
    });
    const killed = await pod.shell(connection, "sleep 100", { memoryBytes: 16 << 20 });
    await connection.request("kill", { container: killed, signal: 9, all: false });
    expect(await connection.event("exit", killed)).toMatchObject({ exit_code: 137, oom_killed: false });
    await connection.request("delete", { container: killed });
    expect(connection.events.filter(({ event }) => event === "oom")).toHaveLength(1);
  });

  it("shares hostname and /dev/shm with its pod, and no more of it than the size asked for", async () => {
    await using pod = await MonitorPod.start({ shmBytes: 1 << 20 });
    const connection = await pod.subscribe();
    const writer = await pod.shell(connection, "hostname; echo hello > /dev/shm/x; df -k /dev/shm | tail -1");
    await connection.event("exit", writer);
    const reader = await pod.shell(
      connection,
      "cat /dev/shm/x; head -c 2000000 /dev/zero > /dev/shm/big || echo full",
    );
    await connection.event("exit", reader);
    expect(pod.logText(writer)).toMatch(/^web-0\n.* 1024 /);
    expect(pod.logText(reader)).toMatch(/^hello\n[\s\S]*full\n$/);
  });

  it("runs as the user of its image", async () => {
    await using pod = await MonitorPod.start();
    const connection = await pod.connect();
    expect(await connection.request("prepare", pod.prepareParams("a", "web"))).toEqual({
      uid: 1000,
      gid: 1000,
      additional_gids: [1000, 2000],
      home: "/home/web",
      username: "web",
    });
    expect(await connection.refusal("prepare", pod.prepareParams("b", "nobody"))).toBe("invalid-argument");
    expect(await connection.refusal("prepare", pod.prepareParams("c", "4294967296"))).toBe(
      "invalid-argument",
    );
    expect(((await connection.request("state")).containers as Json[]).map(({ id }) => id)).toEqual(["a"]);
  });

  it("that somebody else will mount is only looked at: the topmost layer's users, and nothing written", async () => {
    await using pod = await MonitorPod.start();
    const connection = await pod.connect();
    const top = join(pod.folder, "top");
    mkdirSync(join(top, "etc"), { recursive: true });
    writeFileSync(join(top, "etc/passwd"), "web:x:7:8::/top:/bin/sh\n");
    for (const [id, more, uid] of [
      ["one-layer", [], 1000],
      ["two-layers", [top], 7],
    ] as const) {
      const params = pod.prepareParams(id, "web");
      const rootfs = params.rootfs as { lower: string[]; upper: string; work: string };
      const user = await connection.request("prepare", {
        ...params,
        rootfs: { ...rootfs, lower: [...more, ...rootfs.lower] },
        only_user: true,
      });
      expect(user).toMatchObject({ uid });
      // An overlay would have left its mark, and be the last one that takes the folder.
      expect(readdirSync(rootfs.work)).toEqual([]);
      expect(readdirSync(rootfs.upper)).toEqual([]);
    }
  });

  it("mounts as many layers as the kernel takes", async () => {
    await using pod = await MonitorPod.start();
    const connection = await pod.subscribe();
    const params = pod.prepareParams("deep");
    const rootfs = params.rootfs as Json;
    const layers = Array.from({ length: 150 }, (_, i) => {
      const layer = join(pod.folder, `layer-${String(i)}-${"x".repeat(60)}`);
      mkdirSync(layer);
      writeFileSync(join(layer, `file-${i}`), "");
      return layer;
    });
    await connection.request("prepare", {
      ...params,
      rootfs: { ...rootfs, lower: [...layers, ...(rootfs.lower as string[])] },
    });
    await connection.request(
      "create",
      pod.createParams("deep", { args: ["/bin/sh", "-c", "ls /file-* | wc -l"] }),
    );
    await connection.request("start", { container: "deep" });
    await connection.event("exit", "deep");
    expect(pod.logText("deep")).toBe("150\n");
  });
});

describe("a shared PID namespace", () => {
  it("has a PID 1 that containers see and can't harm", async () => {
    await using pod = await MonitorPod.start(shared);
    const connection = await pod.subscribe();
    const id = await pod.shell(
      connection,
      "kill -TERM 1; kill -KILL 1; cat /proc/1/comm; ls /proc/1/root/ /proc/1/fd 2>&1; cat /proc/1/exe >/dev/null; echo end",
    );
    await connection.event("exit", id);
    expect(pod.logText(id)).toMatch(/^pause\n/);
    expect(pod.logText(id)).not.toMatch(/bin|usr|m\.sock/);
    expect(isAlive(pod.pausePid ?? 0)).toBe(true);
    expect(connection.events.filter(({ event }) => event === "pause_exit")).toEqual([]);
  });

  it("tells of the end of its PID 1, and goes on to serve (B13)", async () => {
    await using pod = await MonitorPod.start(shared);
    const connection = await pod.subscribe();
    const id = await pod.shell(connection, "sleep 100");
    process.kill(pod.pausePid ?? 0, "SIGKILL");
    await connection.event("pause_exit");
    await connection.event("exit", id);
    expect(await connection.request("state")).toMatchObject({ pod: { pause_pid: null } });
    await connection.request("shutdown");
  });
});

describe("a monitor that is killed", () => {
  it("leaves containers that its daemon can end by their cgroups (B1)", async () => {
    await using pod = await MonitorPod.start();
    const connection = await pod.connect();
    const id = await pod.shell(connection, "trap '' PIPE; while :; do echo line || true; sleep 0.01; done");
    const pid = Number((await stateOf(connection, id)).pid);
    process.kill(pod.pid, "SIGKILL");
    await connection.cut();
    await waitFor("end of the monitor", () => !isAlive(pod.pid));
    expect(isAlive(pid)).toBe(true);
    process.kill(pid, "SIGKILL");
    await waitFor("end of the container", () => !isAlive(pid));
  });
});
