/** Rows of the fault matrix: the daemon dies (A), the monitor dies (B), the disk fills (C), plugins fail (F). */
import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { randomBytes } from "node:crypto";
import { isIP } from "node:net";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { ContainerState, PodSandboxState } from "../../cri-api/index.ts";
import { answerLost, persist } from "../support/persist.ts";
import { CriError } from "../support/cri-client.ts";
import { kobako, testDaemon } from "../support/daemon.ts";
import { allPids, limitFile, ownNamespacePins, processInfo } from "../support/host.ts";
import {
  containerPid,
  expectAgreement,
  expectCounting,
  expectServes,
  expectUndisturbed,
  vitals,
} from "../support/oracle.ts";
import {
  container,
  containerStatus,
  counter,
  createContainer,
  exec,
  exited,
  logFile,
  output,
  pod,
  type RunningPod,
  runPod,
  startContainer,
} from "../support/pods.ts";
import { Dice, rounds, scale } from "../support/scale.ts";
import { within } from "../support/slowness.ts";
import { useNode } from "../support/use-node.ts";
import { waitFor } from "../support/wait.ts";

const node = useNode();

async function running(
  more: Parameters<typeof container>[1] = {},
): Promise<{ sandbox: RunningPod; id: string }> {
  const { daemon, image } = node();
  const sandbox = await runPod(daemon);
  return { sandbox, id: await startContainer(daemon, sandbox, container(image, more)) };
}

/** A call that the daemon's end may cut off. */
async function cutOff(call: Promise<unknown>): Promise<void> {
  await call.catch((error: unknown) => {
    if (!answerLost(error)) throw error;
  });
}

describe("the daemon dies", () => {
  it(
    "A1: kill -9 while pods are idle: served again in time, containers untouched",
    async () => {
      const { daemon } = node();
      const pods = rounds(10, 110);
      await Promise.all(Array.from({ length: pods }, () => running()));
      const before = await vitals(daemon);
      expect(before).toHaveLength(pods);
      const times: number[] = [];
      for (let round = 0; round < rounds(5, 50); round++) {
        await daemon.restart("SIGKILL");
        times.push(await expectServes(daemon, 5000));
        expectUndisturbed(before);
        expect(await vitals(daemon)).toEqual(before);
      }
      expect(Math.max(...times), "O1: ms to serve").toBeLessThan(within(5000));
      await expectAgreement(daemon);
    },
    within(600_000),
  );

  it(
    "A2: kill -9 at a random moment of RunPodSandbox: a repeat makes exactly one",
    async () => {
      const { daemon } = node();
      const dice = new Dice();
      for (let round = 0; round < rounds(20, 500); round++) {
        const config = pod(daemon);
        const call = cutOff(daemon.client.runPodSandbox({ config }));
        await delay(dice.between(0, round % 4 === 0 ? 200 : 15));
        await daemon.kill9();
        await call;
        await daemon.start();
        const { podSandboxId } = await persist(() => daemon.client.runPodSandbox({ config }));
        const { items } = await daemon.client.listPodSandbox({});
        expect(
          items.map(({ id }) => id),
          `seed ${dice.seed}, round ${round}`,
        ).toEqual([podSandboxId]);
        await waitFor("one namespace", () => ownNamespacePins(daemon.scope).length === 1);
        await expectAgreement(daemon);
        await daemon.client.removePodSandbox({ podSandboxId });
      }
    },
    within(900_000),
  );

  it(
    "A4, A5: kill -9 at a random moment of CreateContainer and StartContainer: adopted or removed, never unknown",
    async () => {
      const { daemon, image } = node();
      const dice = new Dice();
      const sandbox = await runPod(daemon);
      for (let round = 0; round < rounds(20, 500); round++) {
        const config = container(image);
        let answered: string | undefined;
        const call = cutOff(
          (async () => {
            answered = await createContainer(daemon, sandbox, config);
            await daemon.client.startContainer({ containerId: answered });
          })(),
        );
        await delay(dice.between(0, 12));
        await daemon.kill9();
        await call;
        await daemon.start();
        await expectAgreement(daemon);
        // Who was told the id does not ask for it again.
        const containerId = answered ?? (await persist(() => createContainer(daemon, sandbox, config)));
        const { state } = await containerStatus(daemon, containerId);
        if (state === ContainerState.CONTAINER_CREATED) await daemon.client.startContainer({ containerId });
        expect((await exec(daemon, containerId, "echo ok")).stdout, `seed ${dice.seed}`).toBe("ok\n");
        const { containers } = await daemon.client.listContainers({ filter: { podSandboxId: sandbox.id } });
        expect(containers.map(({ id }) => id)).toEqual([containerId]);
        await daemon.client.removeContainer({ containerId });
      }
    },
    within(900_000),
  );

  it(
    "A7: kill -9 within the grace time of StopContainer: SIGKILL is not sent early, and the end comes",
    async () => {
      const { daemon } = node();
      const graceMs = scale(3000, 30_000);
      const ignores = ["/bin/sh", "-c", "trap 'echo asked' TERM; echo up; while :; do sleep 0.05; done"];
      const { sandbox, id } = await running({ command: ignores, metadata: { name: "stubborn" } });
      const pid = await containerPid(daemon, id);
      const begun = performance.now();
      const call = cutOff(daemon.client.stopContainer({ containerId: id, timeout: BigInt(graceMs / 1000) }));
      await delay(graceMs / 4);
      await daemon.kill9();
      await call;
      await daemon.start();
      expect(processInfo(pid)?.state, "alive after the kill").toMatch(/[RSD]/);
      await persist(
        () => daemon.client.stopContainer({ containerId: id, timeout: BigInt(graceMs / 1000) }),
        120_000,
      );
      expect(performance.now() - begun).toBeGreaterThanOrEqual(graceMs * 0.95);
      expect(await containerStatus(daemon, id)).toMatchObject({
        state: ContainerState.CONTAINER_EXITED,
        exitCode: 137,
      });
      expect(existsSync(logFile(sandbox, "stubborn"))).toBe(true);
    },
    within(120_000),
  );

  it("what ended while the daemon was away is told with its code, times and log", async () => {
    const { daemon } = node();
    const { sandbox, id } = await running({
      command: [
        "/bin/sh",
        "-c",
        "i=0; while [ $i -lt 50 ]; do i=$((i+1)); echo n $i; sleep 0.01; done; exit 23",
      ],
      metadata: { name: "away" },
    });
    const pid = await containerPid(daemon, id);
    await daemon.kill9();
    await waitFor("the end of the process", () => processInfo(pid) === undefined);
    const away = BigInt(Date.now() + 1) * 1_000_000n; // the clock gives whole milliseconds that have passed
    await daemon.start();
    const ended = await exited(daemon, id);
    expect(ended).toMatchObject({ exitCode: 23, reason: "Error" });
    expect(ended.finishedAt).toBeLessThanOrEqual(away);
    expect(expectCounting(logFile(sandbox, "away"), "n")).toBe(50);
  });

  it("A20: a second daemon on the same root refuses within a second; the first is unharmed", async () => {
    const { daemon } = node();
    const { id } = await running();
    const begun = performance.now();
    const second = spawn(kobako, ["daemon", "--config", daemon.configFile], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let text = "";
    for (const stream of [second.stdout, second.stderr]) stream.on("data", (chunk) => (text += chunk));
    const code = await new Promise<number | null>((resolve) => second.once("exit", resolve));
    expect(performance.now() - begun).toBeLessThan(within(1500)); // Node's own start is in it
    expect(code).not.toBe(0);
    expect(text).toContain(daemon.root);
    await expectServes(daemon, 500);
    expect(await output(daemon, id, "echo still")).toBe("still");
  });

  it(
    "A21: SIGTERM with work in flight ends the daemon within 10 s with code 0, containers untouched",
    async () => {
      const { daemon, image } = node();
      const { id } = await running();
      const before = await vitals(daemon);
      const sandbox = await runPod(daemon);
      const work = [
        cutOff(
          daemon.client.execSync(
            { containerId: id, cmd: ["/bin/sleep", "3000"] },
            { timeoutMs: within(60_000) },
          ),
        ),
        cutOff(startContainer(daemon, sandbox, container(image)).then(() => {})),
        cutOff(daemon.client.pullImage({ image: { image: "127.0.0.1:9/x" } }).catch(() => {})),
      ];
      await delay(50);
      const begun = performance.now();
      expect(await daemon.end("SIGTERM")).toEqual({ code: 0, signal: null });
      expect(performance.now() - begun).toBeLessThan(within(10_000));
      await Promise.all(work);
      expect(existsSync(daemon.socket), "the socket is gone").toBe(false);
      expectUndisturbed(before);
      await daemon.start();
      await expectAgreement(daemon);
    },
    within(60_000),
  );
});

describe("the monitor dies", () => {
  async function monitorOf(id: string): Promise<number> {
    const pid = await containerPid(node().daemon, id);
    const parent = processInfo(pid)?.parent ?? 0;
    expect(parent, "the monitor").toBeGreaterThan(1);
    return parent;
  }

  /** Within 5 s the container is told as ended, with a reason, and pod and container can be removed. */
  async function expectLost(sandbox: RunningPod, id: string): Promise<void> {
    const { daemon } = node();
    const ended = await waitFor(
      "the container to be told as ended",
      async () => {
        const now = await containerStatus(daemon, id);
        return now.state === ContainerState.CONTAINER_EXITED ? now : undefined;
      },
      { timeoutMs: 5000 },
    );
    expect([137, 255]).toContain(ended.exitCode);
    expect(`${ended.reason} ${ended.message}`.trim()).not.toBe("");
    expect(ended.finishedAt).toBeGreaterThanOrEqual(ended.startedAt);
    await expectNotReady(sandbox);
  }

  async function expectNotReady(sandbox: RunningPod, timeoutMs = 10_000): Promise<void> {
    const isNotReady = async () => {
      const pods = await node().daemon.client.podSandboxStatus({ podSandboxId: sandbox.id });
      return pods.status?.state === PodSandboxState.SANDBOX_NOTREADY;
    };
    await waitFor("the sandbox to be not ready", isNotReady, { timeoutMs });
  }

  it("B1: kill -9 of the monitor: seen within 5 s, its container is ended with a reason, others go on", async () => {
    const { daemon } = node();
    const other = await running();
    const { sandbox, id } = await running();
    const pid = await containerPid(daemon, id);
    process.kill(await monitorOf(id), "SIGKILL");
    await expectLost(sandbox, id);
    await waitFor("the end of the process", () => processInfo(pid) === undefined);
    expect(await output(daemon, other.id, "echo fine")).toBe("fine");
    await expectAgreement(daemon);
  });

  it("B1: the pod is not ready at once, also when something of it does not go; it goes when it can", async () => {
    const { daemon } = node();
    const { sandbox, id } = await running();
    const stuck = dirname(limitFile(await containerPid(daemon, id), "pids.max", "pids.max"));
    execFileSync("mount", ["--bind", stuck, stuck]); // which the kernel does not let anybody remove
    try {
      process.kill(await monitorOf(id), "SIGKILL");
      await expectNotReady(sandbox);
    } finally {
      execFileSync("umount", [stuck]);
    }
    await expectLost(sandbox, id);
    await waitFor("removal of its cgroup", () => !existsSync(stuck));
    await expectAgreement(daemon);
  });

  it("B1: the same while the daemon is away", async () => {
    const { daemon } = node();
    const { sandbox, id } = await running();
    const pid = await containerPid(daemon, id);
    const monitor = await monitorOf(id);
    await daemon.kill9();
    process.kill(monitor, "SIGKILL");
    await daemon.start();
    await expectLost(sandbox, id);
    await waitFor("the end of the process", () => processInfo(pid) === undefined);
  });

  it("B2: kill -9 of monitor and container at once: ended with a stated code, restartable", async () => {
    const { daemon, image } = node();
    const { sandbox, id } = await running({ metadata: { name: "again" } });
    const pid = await containerPid(daemon, id);
    const monitor = await monitorOf(id);
    process.kill(monitor, "SIGKILL");
    process.kill(pid, "SIGKILL");
    await expectLost(sandbox, id);
    // What a kubelet does next: the pod again, as another attempt.
    await daemon.client.stopPodSandbox({ podSandboxId: sandbox.id });
    const { metadata } = sandbox.config;
    const next = await runPod(daemon, { ...sandbox.config, metadata: { ...metadata, attempt: 1 } });
    const restarted = await startContainer(
      daemon,
      next,
      container(image, { metadata: { name: "again", attempt: 1 } }),
    );
    expect(await output(daemon, restarted, "echo back")).toBe("back");
  });

  it("B13: the pause process of a shared pid namespace killed: the sandbox is not ready, stop and remove work", async () => {
    const { daemon, image } = node();
    const shared = { securityContext: { namespaceOptions: { pid: 0 } } };
    const sandbox = await runPod(daemon, pod(daemon, { linux: shared }));
    const id = await startContainer(
      daemon,
      sandbox,
      container(image, { security: { namespaceOptions: { pid: 0 } } }),
    );
    const pid = await containerPid(daemon, id);
    const monitor = processInfo(pid)?.parent ?? 0;
    const pause = readdirSync("/proc")
      .map(Number)
      .find(
        (other) =>
          other !== pid && processInfo(other)?.parent === monitor && processInfo(other)?.name === "pause",
      );
    if (pause === undefined) throw new Error("no pause process");
    process.kill(pause, "SIGKILL");
    await expectNotReady(sandbox, 5000);
  });
});

describe("the monitor goes on while the daemon is away", () => {
  it("logs are written and containers counted without a gap over ten restarts", async () => {
    const { daemon } = node();
    const { sandbox, id } = await running({ command: counter("tick", 5), metadata: { name: "ticker" } });
    for (let i = 0; i < 10; i++) await daemon.restart("SIGKILL");
    await daemon.client.stopContainer({ containerId: id, timeout: 5n });
    expect(expectCounting(logFile(sandbox, "ticker"), "tick")).toBeGreaterThan(50);
  });
});

/** Whether this entry of /proc is one of the hanging plugin's processes. */
function isSleep(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("86397");
  } catch {
    return false;
  }
}

describe("network plugins fail", () => {
  /** A daemon with one plugin of our own making in front of everything. */
  async function withPlugin(script: string) {
    const daemon = await testDaemon({ network: "none" });
    const bin = join(daemon.folder, "cni-bin");
    mkdirSync(bin);
    mkdirSync(join(daemon.folder, "cni.d"), { recursive: true });
    writeFileSync(join(bin, "odd"), `#!/bin/sh\n${script}\n`);
    chmodSync(join(bin, "odd"), 0o755);
    writeFileSync(
      join(daemon.folder, "cni.d", "10-odd.conflist"),
      JSON.stringify({ cniVersion: "1.1.0", name: "odd", plugins: [{ type: "odd" }] }),
    );
    await daemon.writeConfig(`bin_dirs = ["${bin}"]`);
    await daemon.restart("SIGTERM");
    await waitFor("the network", async () => {
      const { status: now } = await daemon.client.status({});
      return now?.conditions.find(({ type }) => type === "NetworkReady")?.status;
    });
    return daemon;
  }

  it("F1: a plugin that fails is named with its words, DEL is called, nothing stays", async () => {
    await using daemon = await withPlugin(`
echo "$CNI_COMMAND" >> "$(dirname "$0")/calls"
case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"1.1.0","supportedVersions":["1.0.0","1.1.0"]}' ;;
ADD) echo '{"cniVersion":"1.1.0","code":11,"msg":"no addresses left in the odd range"}'; exit 1 ;;
esac`);
    const before = daemon.snapshot();
    await expect(daemon.client.runPodSandbox({ config: pod(daemon) })).rejects.toThrow(
      /no addresses left in the odd range/,
    );
    await daemon.expectClean(before);
    expect(readFileSync(join(daemon.folder, "cni-bin/calls"), "utf8")).toMatch(/ADD\n(.*\n)*DEL\n/);
  });

  it(
    "F1: a plugin that hangs: the caller's deadline ends the call, the plugin's limit (60 s) ends it, children and all",
    async () => {
      await using daemon = await withPlugin(`
case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"1.1.0","supportedVersions":["1.0.0","1.1.0"]}' ;;
ADD) sleep 86397 & sleep 86397 ;;
esac`);
      const before = daemon.snapshot();
      const call = daemon.client.runPodSandbox({ config: pod(daemon) }, { timeoutMs: 1500 });
      await expect(call).rejects.toThrow(/DEADLINE_EXCEEDED|CANCELLED/);
      // Others are not held up meanwhile.
      expect((await daemon.client.listPodSandbox({}, { timeoutMs: within(1000) })).items).toEqual([]);
      await waitFor("the end of the plugin", () => !readdirSync("/proc").some(isSleep), {
        timeoutMs: 75_000,
      });
      await daemon.expectClean(before);
    },
    within(120_000),
  );

  describe("while a slow ADD, which works in a child, goes on without its caller", () => {
    /** Its ADD makes an address when it may; its DEL takes the address back. */
    async function slowly() {
      const daemon = await withPlugin(`
cd "$(dirname "$0")"
case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"1.1.0","supportedVersions":["1.0.0","1.1.0"]}' ;;
ADD) setsid sh -c 'touch begun; until [ -e go ]; do sleep 0.05; done; touch addr-$CNI_CONTAINERID ended' & wait ;;
DEL) rm -f addr-$CNI_CONTAINERID ;;
esac`);
      const bin = join(daemon.folder, "cni-bin");
      const call = daemon.client.runPodSandbox({ config: pod(daemon) }).catch((error: unknown) => error);
      await waitFor("the plugin", () => existsSync(join(bin, "begun")));
      return {
        daemon,
        call,
        records: () => readdirSync(join(daemon.root, "network/attachments")),
        async letGoOn() {
          writeFileSync(join(bin, "go"), "");
          await waitFor("the end of ADD", () => existsSync(join(bin, "ended")));
        },
        addresses: () => readdirSync(bin).filter((name) => name.startsWith("addr-")),
        [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
      };
    }

    it("because the daemon was killed, DEL waits for its end", async () => {
      await using slow = await slowly();
      await slow.daemon.kill9();
      await slow.call;
      await slow.daemon.start();
      expect(slow.records()).toHaveLength(1);
      await slow.letGoOn();
      await waitFor("the undo", () => slow.records().length === 0);
      expect(slow.addresses()).toEqual([]);
      await waitFor("removal of the pod", async () => {
        const { items } = await slow.daemon.client.listPodSandbox({});
        return items.length === 0;
      });
    });

    it("because the spawner was killed, DEL waits for its end", async () => {
      await using slow = await slowly();
      const spawner = allPids().find(
        (pid) => processInfo(pid)?.parent === slow.daemon.pid && processInfo(pid)?.name === "kobako-spawner",
      );
      if (spawner === undefined) throw new Error("no spawner");
      process.kill(spawner, "SIGKILL");
      await slow.letGoOn();
      expect(await slow.call).toMatchObject({ code: status.UNAVAILABLE });
      expect(slow.records()).toEqual([]);
      expect(slow.addresses()).toEqual([]);
    });
  });

  it("F1: a DEL that hangs for a pod of before the boot keeps neither the start nor the end waiting", async () => {
    await using daemon = await withPlugin(`
case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"1.1.0","supportedVersions":["1.0.0","1.1.0"]}' ;;
ADD) echo '{"cniVersion":"1.1.0","ips":[{"address":"10.9.9.9/24"}]}' ;;
DEL) [ -e "$(dirname "$0")/works" ] || { sleep 86397 & sleep 86397; } ;;
esac`);
    const hangs = () => readdirSync("/proc").some(isSleep);
    const records = () => readdirSync(join(daemon.root, "network/attachments"));
    const endsSoon = async () => {
      await waitFor("the plugin", hangs);
      const begun = performance.now();
      expect(await daemon.end("SIGTERM")).toEqual({ code: 0, signal: null });
      expect(performance.now() - begun).toBeLessThan(within(2500));
      expect(hangs()).toBe(false);
    };
    await Promise.all([runPod(daemon), runPod(daemon)]);
    await daemon.kill9();
    const db = new DatabaseSync(join(daemon.root, "kobako.db"));
    db.exec("UPDATE sandbox SET boot_id = 'another'");
    db.close();
    daemon.spawn();
    await endsSoon(); // before it serves
    await daemon.start();
    expect(daemon.servedAfterMs).toBeLessThan(within(4000));
    const { items } = await daemon.client.listPodSandbox({});
    expect(items.map(({ state }) => state)).toEqual(items.map(() => PodSandboxState.SANDBOX_NOTREADY));
    const later = await runPod(daemon);
    await endsSoon();
    expect(records()).toHaveLength(3);
    writeFileSync(join(daemon.folder, "cni-bin/works"), "");
    await daemon.start();
    await waitFor("what is collected", () => records().length === 1);
    expect(records()).toEqual([`${later.id}.json`]);
    const { status: now } = await daemon.client.podSandboxStatus({ podSandboxId: later.id });
    expect(now?.state).toBe(PodSandboxState.SANDBOX_READY);
  });

  it("a network that another daemon uses, too: each leaves the other's addresses alone", async () => {
    await using a = await testDaemon({ network: "none" });
    await using b = await testDaemon({ network: "none" });
    const bridge = `kt${randomBytes(4).toString("hex")}`;
    const dataDir = join(a.folder, "leases");
    const ipam = { type: "host-local", dataDir, subnet: "10.209.0.0/24" };
    const conflist = { cniVersion: "1.1.0", name: "shared", plugins: [{ type: "bridge", bridge, ipam }] };
    const leases = () => readdirSync(join(dataDir, "shared")).filter((name) => isIP(name) !== 0);
    try {
      for (const { folder } of [a, b]) {
        mkdirSync(join(folder, "cni.d"));
        writeFileSync(join(folder, "cni.d/10-shared.conflist"), JSON.stringify(conflist));
      }
      const first = await runPod(a);
      await b.restart("SIGTERM");
      expect(leases()).toEqual([first.ip]);
      const second = await runPod(b);
      for (const daemon of [a, b]) {
        await daemon.restart("SIGKILL");
        expect(leases().sort()).toEqual([first.ip, second.ip].sort());
      }
      await Promise.all([a.removeAllPods(), b.removeAllPods()]);
      expect(leases()).toEqual([]);
    } finally {
      execFileSync("ip", ["link", "delete", bridge]);
    }
  });

  it("F4: without a configuration NetworkReady is false and says where it looks and which key helps", async () => {
    await using daemon = await testDaemon({ network: "none" });
    const { status: now } = await daemon.client.status({});
    const network = now?.conditions.find(({ type }) => type === "NetworkReady");
    expect(network).toMatchObject({ status: false });
    expect(`${network?.reason} ${network?.message}`).toContain(join(daemon.folder, "cni.d"));
    expect(network?.message).toMatch(/network\.default|embedded/);
    await expect(daemon.client.runPodSandbox({ config: pod(daemon) })).rejects.toThrow(
      /UNAVAILABLE|FAILED_PRECONDITION/,
    );
  });
});

describe("the log's folder", () => {
  it("is closed to nobody but is not followed out of by links", async () => {
    const { daemon, image } = node();
    const sandbox = await runPod(daemon);
    const outside = join(daemon.folder, "outside.log");
    writeFileSync(outside, "");
    symlinkSync(outside, join(sandbox.config.logDirectory ?? "", "link.log"));
    const error = await startContainer(
      daemon,
      sandbox,
      container(image, { logPath: "link.log", command: ["/bin/echo", "x"] }),
    ).catch((reason: unknown) => reason);
    if (error instanceof CriError) expect(error.code).not.toBe(status.UNKNOWN);
    expect(statSync(outside).size).toBe(0);
    rmSync(outside);
  });
});
