/** What a container is given, and what is known of its end. */
import { readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  type ContainerConfigInit,
  ContainerState,
  MountPropagation,
  type PodSandboxConfigInit,
  Signal,
} from "../../cri-api/index.ts";
import { limitFile } from "../support/host.ts";
import { containerPid } from "../support/oracle.ts";
import {
  container,
  containerStatus,
  createContainer,
  exec,
  exited,
  logFile,
  output,
  pod,
  runPod,
  startContainer,
} from "../support/pods.ts";
import { within } from "../support/slowness.ts";
import { tempDir } from "../support/temp-dir.ts";
import { useNode } from "../support/use-node.ts";
import { waitFor } from "../support/wait.ts";

const node = useNode();

async function started(more: Parameters<typeof container>[1] = {}, podMore: PodSandboxConfigInit = {}) {
  const { daemon, image } = node();
  const sandbox = await runPod(daemon, pod(daemon, podMore));
  const id = await startContainer(daemon, sandbox, container(image, more));
  return { daemon, image, sandbox, id, run: (command: string) => output(daemon, id, command) };
}

/** Runs `command` to its end; returns status and the text of the log's lines. */
async function ran(command: string, more: Parameters<typeof container>[1] = {}) {
  const { daemon, sandbox, id } = await started({
    command: ["/bin/sh", "-c", command],
    metadata: { name: "run" },
    ...more,
  });
  const status = await exited(daemon, id);
  const log = await readFile(logFile(sandbox, "run"), "utf8");
  const lines = log
    .trimEnd()
    .split("\n")
    .map((line) => line.split(" ").slice(3).join(" "));
  return { status, lines, log };
}

describe("the process of a container", () => {
  it("command and arguments, environment and working folder come from the request before the image", async () => {
    const { daemon, addImage } = node();
    const image = await addImage("entry", {
      config: {
        Entrypoint: ["/bin/echo", "entry"],
        Cmd: ["cmd"],
        Env: ["A=image", "B=image"],
        WorkingDir: "/tmp",
      },
    });
    const sandbox = await runPod(daemon);
    const text = async (name: string, more: ContainerConfigInit) => {
      const { command, ...rest } = container(image, { metadata: { name }, ...more });
      const id = await startContainer(daemon, sandbox, more.command ? { ...rest, command } : rest);
      await exited(daemon, id);
      return (await readFile(logFile(sandbox, name), "utf8")).trim().split(" ").slice(3).join(" ");
    };
    expect(await text("image", {})).toBe("entry cmd");
    expect(await text("args", { args: ["args"] })).toBe("entry args");
    expect(await text("command", { command: ["/bin/echo", "only"] })).toBe("only");
    const envs = [{ key: "B", value: Buffer.from("request") }];
    expect(
      await text("env", { command: ["/bin/sh", "-c", "echo $A $B $PWD"], envs, workingDir: "/root" }),
    ).toBe("image request /root");
    expect(await text("workdir", { command: ["/bin/sh", "-c", "pwd"] })).toBe("/tmp");
  });

  it("a working folder that is missing is made", async () => {
    const { run } = await started({ workingDir: "/made/on/demand" });
    expect(await run("pwd")).toBe("/made/on/demand");
  });

  it.each([
    [0, "Completed"],
    [3, "Error"],
    [255, "Error"],
  ])("exit code %i, reason %s, with its times in order", async (code, reason) => {
    const { status } = await ran(`exit ${code}`);
    expect(status).toMatchObject({ exitCode: code, reason });
    expect(status.createdAt).toBeGreaterThan(0n);
    expect(status.startedAt).toBeGreaterThanOrEqual(status.createdAt);
    expect(status.finishedAt).toBeGreaterThanOrEqual(status.startedAt);
  });

  it("its mask and OOM score are the usual ones, whatever the runtime's own are; an exec's, too", async () => {
    const { lines } = await ran("umask");
    expect(lines).toEqual(["0022"]);
    const { run } = await started();
    expect((await run("umask")).trim()).toBe("0022");
    // Nor does the monitor's score reach an exec.
    expect((await run("cat /proc/self/oom_score_adj")).trim()).toBe("0");
  });

  it("an end by a signal is 128 + its number", async () => {
    const { daemon, id } = await started();
    process.kill(await containerPid(daemon, id), "SIGKILL");
    expect(await exited(daemon, id)).toMatchObject({ exitCode: 137, reason: "Error" });
  });

  it("more memory than its limit ends it with OOMKilled", async () => {
    const { status } = await ran("x=a; while :; do x=$x$x; done", {
      linux: { resources: { memoryLimitInBytes: 32n << 20n } },
    });
    expect(status).toMatchObject({ exitCode: 137, reason: "OOMKilled" });
  });

  it("a container that has ended cannot be started again", async () => {
    const { daemon, id } = await started({ command: ["/bin/true"] });
    await exited(daemon, id);
    await expect(daemon.client.startContainer({ containerId: id })).rejects.toThrow(
      /FAILED_PRECONDITION.*exited/i,
    );
  });

  it("tty: the process has a terminal, and its log has both streams as stdout", async () => {
    const { lines, log } = await ran("tty; echo err >&2; stty size >/dev/null && echo sized", { tty: true });
    expect(lines[0]).toMatch(/^\/dev\/(pts\/\d+|console)\r?$/);
    expect(lines.map((line) => line.trimEnd())).toContain("err");
    expect(log).not.toContain(" stderr ");
  });

  it("has no descriptors but its own three", async () => {
    const { run } = await started();
    // The shell's own listing adds the folder that it reads.
    expect((await run("ls /proc/1/fd")).split(/\s+/).toSorted()).toEqual(["0", "1", "2"]);
    const inExec = await run("ls /proc/self/fd");
    expect(inExec.split(/\s+/).toSorted()).toEqual(["0", "1", "2", "3"]);
  });
});

describe("stop", () => {
  it("the stop signal of the image, then of the request, else SIGTERM", async () => {
    const { daemon, addImage } = node();
    const image = await addImage("usr1", { config: { StopSignal: "SIGUSR1", Cmd: ["/bin/sh"] } });
    const sandbox = await runPod(daemon);
    const says = [
      "/bin/sh",
      "-c",
      'for s in USR1 USR2 TERM; do trap "echo $s; exit 9" $s; done; echo up; sleep 100 & wait',
    ];
    const stopped = async (name: string, more: ContainerConfigInit) => {
      const config = container(more.image ? (more.image.image ?? "") : image, {
        metadata: { name },
        command: says,
        ...more,
      });
      const id = await startContainer(daemon, sandbox, config);
      await waitFor("up", async () => (await readFile(logFile(sandbox, name), "utf8")).includes("up"));
      await daemon.client.stopContainer({ containerId: id, timeout: 5n });
      expect((await containerStatus(daemon, id)).exitCode).toBe(9);
      return (await readFile(logFile(sandbox, name), "utf8")).trim().split(" ").at(-1);
    };
    expect(await stopped("of-image", {})).toBe("USR1");
    expect(await stopped("of-request", { stopSignal: Signal.SIGNAL_SIGUSR2 })).toBe("USR2");
    expect(await stopped("default", { image: { image: node().image } })).toBe("TERM");
  });

  it("SIGKILL after the grace time, not before; stopping again is success", async () => {
    const { daemon, id } = await started({
      command: ["/bin/sh", "-c", "trap '' TERM; sleep 100 & wait; wait; sleep 100"],
    });
    const begun = performance.now();
    await daemon.client.stopContainer({ containerId: id, timeout: 1n });
    const ms = performance.now() - begun;
    expect(ms).toBeGreaterThanOrEqual(990);
    expect(ms).toBeLessThan(within(3000));
    expect(await containerStatus(daemon, id)).toMatchObject({
      state: ContainerState.CONTAINER_EXITED,
      exitCode: 137,
    });
    await daemon.client.stopContainer({ containerId: id, timeout: 1n });
  });

  it("processes that the container left behind end with it", async () => {
    const { daemon, id } = await started({
      command: ["/bin/sh", "-c", "(setsid sleep 98765 &) ; sleep 0.2"],
    });
    await exited(daemon, id);
    await daemon.client.removeContainer({ containerId: id });
    // The leak check after the test looks for what is left in the cgroup.
  });

  it("RemoveContainer ends one that runs; unknown containers: remove and stop succeed, status is NOT_FOUND", async () => {
    const { daemon, id } = await started();
    await daemon.client.removeContainer({ containerId: id });
    await expect(containerStatus(daemon, id)).rejects.toThrow(/NOT_FOUND/);
    await daemon.client.removeContainer({ containerId: id });
    await daemon.client.stopContainer({ containerId: id, timeout: 0n });
    await expect(daemon.client.startContainer({ containerId: id })).rejects.toThrow(/NOT_FOUND/);
    await expect(exec(daemon, id, "true")).rejects.toThrow(/NOT_FOUND/);
  });
});

describe("exec", () => {
  it("returns both streams and the exit code, as the container's user and in its folder", async () => {
    const { daemon, id } = await started({ security: { runAsUser: { value: 1000n } }, workingDir: "/tmp" });
    const result = await exec(daemon, id, "id -u; pwd; echo $FROM; echo err >&2; exit 5");
    expect(result).toEqual({ stdout: "1000\n/tmp\nimage\n", stderr: "err\n", exitCode: 5 });
  });

  it("a program that is missing is an error that names it", async () => {
    const { daemon, id } = await started();
    const failure = exec(daemon, id, ["/no/such/program"]);
    await expect(failure).rejects.toThrow(/\/no\/such\/program/);
  });

  it("the timeout ends the command and its children", async () => {
    const { daemon, id, run } = await started();
    const begun = performance.now();
    await expect(exec(daemon, id, "sleep 54321 & wait", 1)).rejects.toThrow(/DEADLINE_EXCEEDED|timed? ?out/i);
    expect(performance.now() - begun).toBeLessThan(within(5000));
    await waitFor("the end of the child", async () => !(await run("ps -o args")).includes("sleep 54321"));
  });

  it("a child that keeps the streams open does not hold the answer", async () => {
    const { daemon, id } = await started();
    const begun = performance.now();
    const result = await exec(daemon, id, "sleep 3000 & echo done");
    expect(result).toMatchObject({ stdout: "done\n", exitCode: 0 });
    expect(performance.now() - begun).toBeLessThan(within(5000));
  });

  it("a megabyte of output arrives whole", async () => {
    const { daemon, id } = await started();
    const { stdout } = await exec(daemon, id, "head -c 1048576 /dev/zero | tr '\\0' x");
    expect(stdout.length).toBe(1048576);
  });
});

describe("users and groups", () => {
  it("the image's user by name gives uid, gid, groups and home", async () => {
    const { daemon, addImage } = node();
    const image = await addImage("user", { config: { User: "web", Cmd: ["/bin/sh"], Env: ["PATH=/bin"] } });
    const sandbox = await runPod(daemon);
    const id = await startContainer(daemon, sandbox, container(image));
    expect(await output(daemon, id, "id -u; id -g; id -G; echo $HOME")).toBe(
      "1000\n1000\n1000 2000\n/home/web",
    );
    expect((await containerStatus(daemon, id)).user?.linux).toMatchObject({
      uid: 1000n,
      gid: 1000n,
      supplementalGroups: [1000n, 2000n],
    });
  });

  it.each([
    ["uid", { runAsUser: { value: 4711n } }, "4711\n0\n0"],
    ["uid and gid", { runAsUser: { value: 4711n }, runAsGroup: { value: 4712n } }, "4711\n4712\n4712"],
    ["name", { runAsUsername: "web" }, "1000\n1000\n1000 2000"],
    [
      "further groups, merged",
      { runAsUsername: "web", supplementalGroups: [7n, 8n] },
      "1000\n1000\n1000 7 8 2000",
    ],
    [
      "further groups, strict",
      { runAsUsername: "web", supplementalGroups: [7n, 8n], supplementalGroupsPolicy: 1 },
      "1000\n1000\n1000 7 8",
    ],
  ])("%s of the request", async (_, security, expected) => {
    const { run } = await started({ security });
    const [uid, gid, groups] = (await run("id -u; id -g; id -G")).split("\n");
    const [wantedUid, wantedGid, wantedGroups = ""] = expected.split("\n");
    expect([uid, gid]).toEqual([wantedUid, wantedGid]);
    expect(groups?.split(" ").toSorted()).toEqual(wantedGroups.split(" ").toSorted());
  });
});

describe("rights", () => {
  const capabilities = async (run: (command: string) => Promise<string>) =>
    Object.fromEntries(
      (await run("grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/1/status"))
        .split("\n")
        .map((line) => line.split(":\t") as [string, string]),
    );

  it("root has the default set, nothing inheritable, seccomp filtered", async () => {
    const { run } = await started();
    expect(await capabilities(run)).toMatchObject({
      CapInh: "0000000000000000",
      CapEff: "00000000a80425fb",
      CapAmb: "0000000000000000",
      Seccomp: "2",
    });
  });

  it("a user that is not root has no effective capability", async () => {
    const { run } = await started({ security: { runAsUser: { value: 1000n } } });
    expect(await capabilities(run)).toMatchObject({ CapEff: "0000000000000000", CapAmb: "0000000000000000" });
  });

  it("capabilities are added and dropped by name", async () => {
    const { run } = await started({
      security: { capabilities: { addCapabilities: ["NET_ADMIN"], dropCapabilities: ["ALL"] } },
    });
    expect(await capabilities(run)).toMatchObject({ CapEff: "0000000000001000", CapBnd: "0000000000001000" });
  });

  it("no_new_privs when asked", async () => {
    const { run } = await started({ security: { noNewPrivs: true } });
    expect(await capabilities(run)).toMatchObject({ NoNewPrivs: "1" });
    expect(await run("grep NoNewPrivs /proc/self/status")).toBe("NoNewPrivs:\t1");
  });

  it("masked paths are empty or denied, read-only paths refuse writes", async () => {
    const { daemon, id } = await started({
      security: { maskedPaths: ["/proc/kcore", "/proc/scsi"], readonlyPaths: ["/proc/sys"] },
    });
    expect((await exec(daemon, id, "head -c 1 /proc/kcore | wc -c; ls /proc/scsi | wc -l")).stdout).toBe(
      "0\n0\n",
    );
    expect((await exec(daemon, id, "echo 1 > /proc/sys/kernel/shm_rmid_forced")).stderr).toContain(
      "Read-only",
    );
  });

  it("a read-only root filesystem, with /dev/shm still to be written to", async () => {
    const { daemon, id, run } = await started({ security: { readonlyRootfs: true } });
    expect((await exec(daemon, id, "touch /x")).stderr).toContain("Read-only file system");
    expect(await run("touch /dev/shm/x && echo ok")).toBe("ok");
  });

  it("privileged: all capabilities, the host's devices, nothing masked, writable sysfs", async () => {
    const privileged = { securityContext: { privileged: true } };
    const { run } = await started({ security: { privileged: true } }, { linux: privileged });
    const bounding = /CapBnd:\s*(\S+)/.exec(await readFile("/proc/1/status", "utf8"))?.[1];
    expect(await capabilities(run)).toMatchObject({ CapEff: bounding, Seccomp: "0" });
    expect(await run("ls /dev | grep -c . ")).not.toBe("0");
    expect(await run("ls /dev/loop-control /dev/kmsg")).toContain("/dev/kmsg");
    expect(await run("mount -t tmpfs x /tmp && echo mounted")).toBe("mounted");
  });

  it("privileged in a pod that is not is refused", async () => {
    const { daemon, image } = node();
    const sandbox = await runPod(daemon);
    await expect(
      createContainer(daemon, sandbox, container(image, { security: { privileged: true } })),
    ).rejects.toThrow(/INVALID_ARGUMENT|FAILED_PRECONDITION/);
  });
});

describe("devices", () => {
  it("the usual ones are there with the right modes, others only when asked for", async () => {
    const { run } = await started();
    const list = await run("cd /dev; stat -c '%n %a %t:%T' null zero full random urandom tty");
    expect(list.split("\n")).toEqual([
      "null 666 1:3",
      "zero 666 1:5",
      "full 666 1:7",
      "random 666 1:8",
      "urandom 666 1:9",
      "tty 666 5:0",
    ]);
    expect(await run("ls /dev/kmsg 2>/dev/null || echo none")).toBe("none");
  });

  it("a device of the request, under another name, with the permissions asked for", async () => {
    const { daemon, id, run } = await started({
      devices: [{ hostPath: "/dev/kmsg", containerPath: "/dev/log-device", permissions: "r" }],
    });
    expect(await run("stat -c '%t:%T' /dev/log-device")).toBe("1:b");
    expect((await exec(daemon, id, "echo x > /dev/log-device")).stderr).toMatch(
      /Operation not permitted|Permission denied/,
    );
  });

  it("a node that the container makes itself opens nothing", async () => {
    const { daemon, id } = await started();
    const { stderr } = await exec(daemon, id, "mknod /tmp/kmsg c 1 11 && cat /tmp/kmsg");
    expect(stderr).toMatch(/Operation not permitted/);
  });
});

describe("mounts", () => {
  it("files and folders, writable and read-only", async () => {
    await using host = await tempDir("volume");
    const { run, daemon, id } = await started({
      mounts: [
        { hostPath: host.path, containerPath: "/rw" },
        { hostPath: host.path, containerPath: "/ro", readonly: true },
        { hostPath: "/etc/debian_version", containerPath: "/etc/version", readonly: true },
      ],
    });
    expect(await run("echo text > /rw/file; cat /ro/file")).toBe("text");
    expect((await exec(daemon, id, "touch /ro/x")).stderr).toContain("Read-only");
    expect(await run("cat /etc/version")).toBe((await readFile("/etc/debian_version", "utf8")).trim());
    expect(await readFile(join(host.path, "file"), "utf8")).toBe("text\n");
    await daemon.removeAllPods();
  });

  it("what a container mounts in a private volume stays its own", async () => {
    await using host = await tempDir("volume");
    const privileged = { securityContext: { privileged: true } };
    const { run, daemon } = await started(
      {
        security: { privileged: true },
        mounts: [
          { hostPath: host.path, containerPath: "/v", propagation: MountPropagation.PROPAGATION_PRIVATE },
        ],
      },
      { linux: privileged },
    );
    await run("mkdir /v/m && mount -t tmpfs inside /v/m && touch /v/m/x");
    expect(await readFile("/proc/self/mountinfo", "utf8")).not.toContain(host.path);
    await daemon.removeAllPods();
  });

  it("propagation from a source that is not shared is refused by its name", async () => {
    await using host = await tempDir("volume");
    const { daemon, image } = node();
    const sandbox = await runPod(daemon);
    const shared = await isShared(host.path);
    const create = createContainer(
      daemon,
      sandbox,
      container(image, {
        mounts: [
          {
            hostPath: host.path,
            containerPath: "/v",
            propagation: MountPropagation.PROPAGATION_BIDIRECTIONAL,
          },
        ],
      }),
    );
    if (shared) await create;
    else await expect(create).rejects.toThrow(host.path);
    await daemon.removeAllPods();
  });
});

/** Whether the mount that holds `path` is a shared one. */
async function isShared(path: string): Promise<boolean> {
  const mounts = (await readFile("/proc/self/mountinfo", "utf8"))
    .trimEnd()
    .split("\n")
    .map((line) => line.split(" "));
  const holds = (point: string) => point === "/" || path === point || path.startsWith(`${point}/`);
  const best = mounts
    .filter((fields) => holds(fields[4] ?? ""))
    .toSorted((a, b) => (b[4] ?? "").length - (a[4] ?? "").length)[0];
  return best?.some((field) => field.startsWith("shared:")) ?? false;
}

describe("resources", () => {
  it("limits are in the container's cgroup, under the parent that was asked for, and can be changed", async () => {
    const { daemon, id, sandbox, run } = await started({
      linux: {
        resources: {
          memoryLimitInBytes: 64n << 20n,
          cpuShares: 512n,
          cpuPeriod: 100000n,
          cpuQuota: 50000n,
          oomScoreAdj: 500n,
        },
      },
    });
    // As the host sees it: on v2 a container sees itself at the root of its cgroup namespace.
    const pid = await containerPid(daemon, id);
    expect(await readFile(`/proc/${pid}/cgroup`, "utf8")).toContain(sandbox.config.linux?.cgroupParent);
    expect(await run("cat /proc/1/oom_score_adj")).toBe("500");
    const memory = async () => await readFile(limitFile(pid, "memory.limit_in_bytes", "memory.max"), "utf8");
    expect((await memory()).trim()).toBe(String(64 << 20));
    const quota = await readFile(limitFile(pid, "cpu.cfs_quota_us", "cpu.max"), "utf8");
    expect(quota.trim()).toMatch(/^50000( 100000)?$/);
    await daemon.client.updateContainerResources({
      containerId: id,
      linux: { memoryLimitInBytes: 96n << 20n, cpuQuota: 25000n, cpuPeriod: 100000n },
    });
    expect((await memory()).trim()).toBe(String(96 << 20));
    const status = await containerStatus(daemon, id);
    expect(status.resources?.linux?.memoryLimitInBytes).toBe(96n << 20n);
  });

  it("a process has the oom score 0 unless asked otherwise, whatever the daemon's is", async () => {
    const { run } = await started();
    expect(await run("cat /proc/1/oom_score_adj")).toBe("0");
  });
});

describe("logs", () => {
  it("CRI format: time, stream, F for whole lines, P for parts of 16 KiB, order within a stream", async () => {
    const { log } = await ran(
      "echo one; echo two >&2; head -c 40000 /dev/zero | tr '\\0' y; echo; printf last",
    );
    const lines = log
      .trimEnd()
      .split("\n")
      .map((line) => {
        const [, stream = "", tag = "", ...rest] = line.split(" ");
        return { stream, tag, length: rest.join(" ").length, text: rest.join(" ").slice(0, 5) };
      });
    const out = lines.filter(({ stream }) => stream === "stdout");
    expect(out[0]).toMatchObject({ tag: "F", text: "one" });
    const parts = out.slice(1, -1);
    expect(parts.slice(0, -1).every(({ tag, length }) => tag === "P" && length <= 16384)).toBe(true);
    expect(parts.at(-1)?.tag).toBe("F");
    expect(parts.reduce((sum, { length }) => sum + length, 0)).toBe(40000);
    expect(out.at(-1)).toMatchObject({ text: "last" });
    expect(lines.filter(({ stream }) => stream === "stderr")).toMatchObject([{ tag: "F", text: "two" }]);
  });

  it("ReopenContainerLog goes on in a new file, and no line is lost", async () => {
    const { daemon, sandbox, id } = await started({
      metadata: { name: "rotated" },
      logPath: "rotated.log",
      command: [
        "/bin/sh",
        "-c",
        "trap 'exit 0' TERM; i=0; while :; do i=$((i+1)); echo n $i; sleep 0.005; done",
      ],
    });
    const file = logFile(sandbox, "rotated");
    await waitFor("lines", async () => (await readFile(file, "utf8")).includes("n 10\n"));
    await rename(file, `${file}.1`);
    await daemon.client.reopenContainerLog({ containerId: id });
    await waitFor("lines in the new file", async () => (await readFile(file, "utf8")).split("\n").length > 5);
    await daemon.client.stopContainer({ containerId: id, timeout: 5n });
    const numbers = ((await readFile(`${file}.1`, "utf8")) + (await readFile(file, "utf8")))
      .trimEnd()
      .split("\n")
      .map((line) => Number(line.split(" ").at(-1)));
    expect(numbers).toEqual(numbers.map((_, i) => i + 1));
  });
});

describe("lists and figures", () => {
  it("ListContainers filters by id prefix, state, sandbox and labels", async () => {
    const { daemon, image, sandbox, id } = await started({ labels: { role: "a" } });
    const other = await createContainer(daemon, sandbox, container(image, { labels: { role: "b" } }));
    const list = async (filter: NonNullable<Parameters<typeof daemon.client.listContainers>[0]["filter"]>) =>
      (await daemon.client.listContainers({ filter })).containers.map((c) => c.id).toSorted();
    expect(await list({ podSandboxId: sandbox.id })).toEqual([id, other].toSorted());
    expect(await list({ id: id.slice(0, 12) })).toEqual([id]);
    expect(await list({ state: { state: ContainerState.CONTAINER_CREATED } })).toEqual([other]);
    expect(await list({ labelSelector: { role: "b" } })).toEqual([other]);
    expect(await list({ labelSelector: { role: "c" } })).toEqual([]);
  });

  it("stats grow with use: processor time, memory, writable layer, network", async () => {
    const { daemon, id, sandbox, run } = await started();
    await run("head -c 5000000 /dev/zero > /tmp/big; i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done");
    const { stats } = await daemon.client.containerStats({ containerId: id });
    expect(stats?.cpu?.usageCoreNanoSeconds?.value).toBeGreaterThan(1_000_000n);
    expect(stats?.memory?.workingSetBytes?.value).toBeGreaterThan(0n);
    await waitFor("the size of the writable layer", async () => {
      const now = await daemon.client.containerStats({ containerId: id });
      return (now.stats?.writableLayer?.usedBytes?.value ?? 0n) >= 5_000_000n;
    });
    const podStats = await daemon.client.podSandboxStats({ podSandboxId: sandbox.id });
    expect(podStats.stats?.linux?.network?.defaultInterface?.name).toBe("eth0");
    expect(podStats.stats?.linux?.containers.map(({ attributes }) => attributes?.id)).toEqual([id]);
    const all = await daemon.client.listContainerStats({ filter: { podSandboxId: sandbox.id } });
    expect(all.stats).toHaveLength(1);
  });

  it("GetContainerEvents tells created, started, stopped, deleted in this order", async () => {
    const { daemon, image } = node();
    const end = new AbortController();
    const seen: string[] = [];
    const names = ["created", "started", "stopped", "deleted"];
    let containerId = "";
    const listening = (async () => {
      for await (const event of daemon.client.getContainerEvents({}, { signal: end.signal })) {
        seen.push(`${event.containerId} ${names[event.containerEventType]}`);
        expect(event.createdAt).toBeGreaterThan(0n);
      }
    })();
    await using sandboxEnd = new AsyncDisposableStack();
    sandboxEnd.defer(() => end.abort());
    // The stream has no "subscribed" answer: a first pod's events show that it listens.
    await waitFor("the subscription", async () => {
      const probe = await runPod(daemon);
      await daemon.client.removePodSandbox({ podSandboxId: probe.id });
      return seen.length > 0;
    });
    const sandbox = await runPod(daemon);
    containerId = await startContainer(daemon, sandbox, container(image, { command: ["/bin/true"] }));
    await exited(daemon, containerId);
    await daemon.client.removeContainer({ containerId });
    const own = () => seen.filter((line) => line.startsWith(containerId)).map((line) => line.split(" ")[1]);
    await waitFor("four events", () => own().length >= 4);
    expect(own()).toEqual(names);
    end.abort();
    await listening;
  });
});
