/** What a daemon does at its start with what it finds: broken connections, hung monitors, bad records, missing files. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { ContainerState, type PodSandboxConfigInit, PodSandboxState } from "../../cri-api/index.ts";
import { type TestDaemon, testDaemon } from "../support/daemon.ts";
import { processInfo, removeCgroups } from "../support/host.ts";
import { containerPid, expectAgreement, expectServes, expectUndisturbed, vitals } from "../support/oracle.ts";
import {
  container,
  containerStatus,
  createContainer,
  exited,
  output,
  pod,
  type RunningPod,
  runPod,
  startContainer,
} from "../support/pods.ts";
import { within } from "../support/slowness.ts";
import { useNode } from "../support/use-node.ts";
import { waitFor } from "../support/wait.ts";

const node = useNode();

async function running(config?: PodSandboxConfigInit): Promise<{ sandbox: RunningPod; id: string }> {
  const { daemon, image } = node();
  const sandbox = await runPod(daemon, config);
  return { sandbox, id: await startContainer(daemon, sandbox, container(image)) };
}

/** A pod whose cgroup is the daemon's own affair. */
const withOwnCgroup = (): PodSandboxConfigInit => {
  const config = pod(node().daemon);
  return { ...config, linux: { ...config.linux, cgroupParent: "" } };
};

const podFolder = (daemon: TestDaemon, id: string) => join(daemon.state, "pods", id.slice(0, 16));

async function sandboxState(daemon: TestDaemon, podSandboxId: string): Promise<number | undefined> {
  return (await daemon.client.podSandboxStatus({ podSandboxId })).status?.state;
}

async function monitorPid(daemon: TestDaemon, podSandboxId: string): Promise<number> {
  const { info } = await daemon.client.podSandboxStatus({ podSandboxId, verbose: true });
  return (JSON.parse(info.info ?? "{}") as { pid: number }).pid;
}

/** Changes the database of a daemon that does not run. */
function edit(daemon: TestDaemon, sql: string, ...values: string[]): void {
  const db = new DatabaseSync(join(daemon.root, "kobako.db"));
  db.prepare(sql).run(...values);
  db.close();
}

/** Stands between the daemon and a monitor, until disposed. */
async function middleman(folder: string) {
  const links = new Set<Socket>();
  renameSync(join(folder, "m.sock"), join(folder, "real.sock"));
  const server = createServer((near) => {
    const far = connect(join(folder, "real.sock"));
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      links.add(from);
      from.on("error", () => {});
      from.pipe(to);
      from.once("close", () => {
        links.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(join(folder, "m.sock"), resolve));
  return {
    connections: () => links.size / 2,
    cut: () => {
      for (const link of links) link.destroy();
    },
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        for (const link of links) link.destroy();
      });
      // Closing has unlinked our name.
      if (existsSync(join(folder, "real.sock")))
        renameSync(join(folder, "real.sock"), join(folder, "m.sock"));
    },
  };
}

describe("a connection that breaks while the monitor lives", () => {
  it("is made anew, and what happened meanwhile is told", async () => {
    const { daemon, image } = node();
    const { sandbox, id } = await running();
    const other = await startContainer(daemon, sandbox, container(image));
    const waiting = await createContainer(daemon, sandbox, container(image));
    await daemon.kill9();
    await using between = await middleman(podFolder(daemon, sandbox.id));
    await daemon.start();
    await waitFor("the daemon's connection", () => between.connections() === 1);
    const pid = await containerPid(daemon, id);
    // In one turn of the daemon's: the event is cut off with its connection, or comes before it. Both must do.
    process.kill(pid, "SIGKILL");
    between.cut();
    expect(await exited(daemon, id)).toMatchObject({ exitCode: 137, reason: "Error" });
    await waitFor("a new connection", () => between.connections() === 1);
    expect(await output(daemon, other, "echo on")).toBe("on");
    await daemon.client.startContainer({ containerId: waiting });
    expect(await sandboxState(daemon, sandbox.id)).toBe(PodSandboxState.SANDBOX_READY);
    await expectAgreement(daemon);
    await daemon.removeAllPods();
  });

  it("is made anew also after a time without a free descriptor: nobody is ended for that", async () => {
    const { daemon } = node();
    const pods = [await running(), await running(), await running()];
    await daemon.kill9();
    await using stack = new AsyncDisposableStack();
    const between = await Promise.all(
      pods.map(async ({ sandbox }) => stack.use(await middleman(podFolder(daemon, sandbox.id)))),
    );
    await daemon.start();
    await waitFor("the daemon's connections", () => between.every((one) => one.connections() === 1));
    const before = await vitals(daemon);
    const from = daemon.log().length;
    const limit = (files: string) =>
      execFileSync("prlimit", ["--pid", String(daemon.pid), `--nofile=${files}:`]);
    limit("5");
    for (const one of between) one.cut();
    await waitFor("the pods to be missed", () => {
      const said = daemon.log().slice(from);
      return pods.every(({ sandbox }) => said.includes(`"sandbox":"${sandbox.id}"`));
    });
    limit("1024");
    await waitFor("new connections", () => between.every((one) => one.connections() === 1));
    for (const { id } of pods) expect(await output(daemon, id, "echo on")).toBe("on");
    expectUndisturbed(before);
    await daemon.removeAllPods();
  });
});

describe("an exec", () => {
  it("has its container's environment, folder and user, from the next daemon too", async () => {
    const { daemon, image } = node();
    const sandbox = await runPod(daemon);
    const config = container(image, {
      envs: [{ key: "COLOUR", value: Buffer.from("green") }],
      workingDir: "/etc",
      security: { runAsUser: { value: 7n } },
    });
    const id = await startContainer(daemon, sandbox, config);
    const seen = () => output(daemon, id, "echo $COLOUR $(pwd) $(id -u)");
    expect(await seen()).toBe("green /etc 7");
    await daemon.restart("SIGKILL");
    expect(await seen()).toBe("green /etc 7");
    await daemon.removeAllPods();
  });
});

describe("a monitor that hangs", () => {
  it(
    "keeps nobody else waiting, and its pod is ended with a reason",
    async () => {
      const { daemon } = node();
      const [hung, other] = [await running(), await running()];
      const pid = await monitorPid(daemon, hung.sandbox.id);
      await daemon.kill9();
      process.kill(pid, "SIGSTOP");
      await daemon.start();
      expect(daemon.servedAfterMs).toBeLessThan(within(4000));
      expect(await output(daemon, other.id, "echo on")).toBe("on");
      const end = await exited(daemon, hung.id, 30_000);
      expect(end).toMatchObject({ exitCode: 137, reason: "MonitorLost" });
      expect(await sandboxState(daemon, hung.sandbox.id)).toBe(PodSandboxState.SANDBOX_NOTREADY);
      await waitFor("the end of the monitor", () => (processInfo(pid)?.state ?? "Z") === "Z");
    },
    within(60_000),
  );
});

describe("bad records", () => {
  it("of one pod: the others go on, what it had is given back", async () => {
    const { daemon } = node();
    const [bad, other] = [await running(withOwnCgroup()), await running()];
    await daemon.kill9();
    edit(daemon, "UPDATE sandbox SET config = '{' WHERE id = ?", bad.sandbox.id);
    await daemon.start();
    expect(daemon.log()).toContain("record is unreadable");
    expect(await output(daemon, other.id, "echo on")).toBe("on");
    expect((await daemon.client.listPodSandbox({})).items.map(({ id }) => id)).toEqual([other.sandbox.id]);
    await expectAgreement(daemon);
    await daemon.kill9();
    edit(daemon, "DELETE FROM sandbox WHERE id = ?", bad.sandbox.id);
    await daemon.start();
  });

  it("of one container: it is ended, its neighbour goes on", async () => {
    const { daemon, image } = node();
    const { sandbox, id } = await running();
    const neighbour = await startContainer(daemon, sandbox, container(image));
    await daemon.kill9();
    edit(daemon, "UPDATE container SET detail = 'x' WHERE id = ?", id);
    await daemon.start();
    expect(await output(daemon, neighbour, "echo on")).toBe("on");
    await expectAgreement(daemon);
    await daemon.kill9();
    edit(daemon, "DELETE FROM container WHERE id = ?", id);
    await daemon.start();
  });

  it("a container of no sandbox is removed", async () => {
    const { daemon } = node();
    const { sandbox, id } = await running(withOwnCgroup());
    await daemon.kill9();
    edit(daemon, "DELETE FROM sandbox WHERE id = ?", sandbox.id);
    await daemon.start();
    await expect(containerStatus(daemon, id)).rejects.toThrow(/NOT_FOUND/);
    await expectAgreement(daemon);
  });
});

describe("files that are gone (C13)", () => {
  it(
    "each file of the state folder, one at a time: served in time, what can't be known is ended, all can be removed",
    async () => {
      const { daemon } = node();
      const first = await running();
      const names = readdirSync(podFolder(daemon, first.sandbox.id), { recursive: true, encoding: "utf8" });
      const bundle = first.id.slice(0, 16);
      expect(names).toEqual(expect.arrayContaining(["m.sock", "hosts", bundle, `${bundle}/config.json`]));
      await daemon.removeAllPods();
      for (const name of [...names, "", "../../fingerprint.key"]) {
        const { sandbox, id } = await running();
        await daemon.kill9();
        rmSync(join(podFolder(daemon, sandbox.id), name.replace(bundle, id.slice(0, 16))), {
          recursive: true,
          force: true,
        });
        await daemon.start();
        await expectServes(daemon);
        await expectAgreement(daemon);
        const { state } = await containerStatus(daemon, id);
        const lost = name === "m.sock" || name === "";
        expect([name, state]).toEqual([
          name,
          lost ? ContainerState.CONTAINER_EXITED : ContainerState.CONTAINER_RUNNING,
        ]);
        await daemon.removeAllPods();
      }
    },
    within(120_000),
  );

  it("the database: what runs is ended, nothing stays, images are pulled again", async () => {
    const { daemon, image, registry } = node();
    const own = await running(withOwnCgroup());
    // A kubelet's pods are in cgroups that are not ours to look through.
    const elsewhere = await running();
    const pids = await Promise.all([own, elsewhere].map(({ id }) => containerPid(daemon, id)));
    await daemon.kill9();
    for (const suffix of ["", "-wal", "-shm"])
      rmSync(join(daemon.root, `kobako.db${suffix}`), { force: true });
    await daemon.start();
    expect((await daemon.client.listPodSandbox({})).items).toEqual([]);
    for (const pid of pids) expect(processInfo(pid)?.state ?? "Z").toBe("Z");
    removeCgroups(elsewhere.sandbox.config.linux?.cgroupParent ?? "");
    await daemon.client.pullImage({ image: { image } });
    expect(image).toContain(registry.host);
    await running();
  });
});

describe("the network's files are empty after a power cut", () => {
  it("the daemon serves, the pods can be stopped and removed, and new ones have a network", async () => {
    await using daemon = await testDaemon();
    const pods = [await runPod(daemon), await runPod(daemon)];
    await daemon.kill9();
    const folder = join(daemon.root, "network");
    for (const name of readdirSync(join(folder, "attachments")))
      truncateSync(join(folder, "attachments", name));
    truncateSync(join(folder, "subnet.json"));
    await daemon.start();
    const { status } = await daemon.client.status({});
    expect(status?.conditions.find(({ type }) => type === "NetworkReady")).toMatchObject({ status: true });
    for (const { id } of pods) {
      await daemon.client.stopPodSandbox({ podSandboxId: id });
      await daemon.client.removePodSandbox({ podSandboxId: id });
    }
    expect(readdirSync(join(folder, "attachments"))).toEqual([]);
    expect((await runPod(daemon)).ips).toHaveLength(2);
  });
});

describe("the machine was started again (C16)", () => {
  it("no container runs, sandboxes are not ready, addresses come back, and all can be removed", async () => {
    const { daemon, image } = node();
    const { sandbox, id } = await running();
    const waiting = await createContainer(daemon, sandbox, container(image));
    const monitor = await monitorPid(daemon, sandbox.id);
    const pid = await containerPid(daemon, id);
    await daemon.kill9();
    // All processes end, what is volatile is empty, and the kernel has another boot id.
    process.kill(monitor, "SIGKILL");
    process.kill(pid, "SIGKILL");
    await waitFor("the end of all", () => (processInfo(pid)?.state ?? "Z") === "Z");
    rmSync(daemon.state, { recursive: true });
    mkdirSync(daemon.state);
    edit(daemon, "UPDATE sandbox SET boot_id = 'another'");
    await daemon.start();
    for (const one of [id, waiting])
      expect(await containerStatus(daemon, one)).toMatchObject({
        state: ContainerState.CONTAINER_EXITED,
        exitCode: 137,
        reason: "NodeRebooted",
      });
    expect(await sandboxState(daemon, sandbox.id)).toBe(PodSandboxState.SANDBOX_NOTREADY);
    // The kubelet makes the pod anew beside the old one.
    const again = await runPod(daemon, {
      ...sandbox.config,
      metadata: { ...sandbox.config.metadata, name: sandbox.config.metadata?.name ?? "", attempt: 1 },
    });
    expect(await output(daemon, await startContainer(daemon, again, container(image)), "echo on")).toBe("on");
    const undisturbed = await vitals(daemon);
    await daemon.client.removePodSandbox({ podSandboxId: sandbox.id });
    expectUndisturbed(undisturbed);
    expect(readFileSync(daemon.logFile, "utf8")).not.toMatch(/unhandled rejection|uncaught exception/);
  });
});
