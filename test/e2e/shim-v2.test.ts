/** Pods over gVisor's and containerd's own shim, as a kubelet and a person with crictl meet them. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { ContainerState, PodSandboxState } from "../../cri-api/index.ts";
import { ask, CrictlSession, crictlExec, crictlPortForward } from "../support/crictl-session.ts";
import {
  container,
  exec,
  exited,
  logFile,
  pod,
  type RunningPod,
  runPod,
  startContainer,
} from "../support/pods.ts";
import { fileDir } from "../support/file-dir.ts";
import { allPids } from "../support/host.ts";
import { shimHandlers, toolPaths } from "../support/shims.ts";
import { within } from "../support/slowness.ts";
import { useNode } from "../support/use-node.ts";
import { waitFor } from "../support/wait.ts";

const folder = fileDir("shims");
const [runcShim = "", runc = ""] = toolPaths("containerd-shim-runc-v2", "runc");
const hasty = `
[runtimes.hasty]
type = "shim-v2"
path = "${runcShim}"
options = { binary_name = "${runc}", root = "${folder}/hasty" }
timeout = "3s"
`;
const node = useNode({ config: `${shimHandlers(folder)}${hasty}` });

const sh = (script: string): string[] => ["/bin/sh", "-c", script];

describe.each(["runsc-shim", "runc-shim"])("a pod of the handler %s", (runtimeHandler) => {
  const run = (): Promise<RunningPod> => runPod(node().daemon, pod(node().daemon), runtimeHandler);
  /** A container's log without its prefixes. */
  const logged = (sandbox: RunningPod, name: string): string =>
    readFileSync(logFile(sandbox, name), "utf8").replaceAll(/^\S+ \S+ [FP] /gm, "");

  it("has two containers with logs, execs and statistics, and stops", async () => {
    const { daemon, image } = node();
    const sandbox = await run();
    const one = await startContainer(
      daemon,
      sandbox,
      container(image, { metadata: { name: "one" }, command: sh("echo from one; sleep 1000") }),
    );
    const two = await startContainer(
      daemon,
      sandbox,
      container(image, { metadata: { name: "two" }, command: sh("echo from two; exit 3") }),
    );
    expect((await exited(daemon, two)).exitCode).toBe(3);
    expect(logged(sandbox, "two")).toBe("from two\n");
    await waitFor("the log", () => logged(sandbox, "one") === "from one\n");
    expect(await exec(daemon, one, "echo exec; exit 4")).toMatchObject({ exitCode: 4, stdout: "exec\n" });
    const { stats } = await daemon.client.containerStats({ containerId: one });
    expect(stats?.memory?.usageBytes?.value ?? 0n).toBeGreaterThan(0n);
    expect(stats?.cpu?.usageCoreNanoSeconds?.value ?? 0n).toBeGreaterThan(0n);
    await daemon.client.stopContainer({ containerId: one, timeout: 1n }, { timeoutMs: within(30_000) });
    expect((await exited(daemon, one)).state).toBe(ContainerState.CONTAINER_EXITED);
  });

  it("shares its network: one container reaches the other's port, and so does port-forward", async () => {
    const { daemon, image } = node();
    const sandbox = await run();
    await startContainer(
      daemon,
      sandbox,
      container(image, { command: ["/bin/nc", "-ll", "-p", "8080", "-e", "echo", "from the pod"] }),
    );
    const client = await startContainer(daemon, sandbox, container(image, { command: sh("sleep 1000") }));
    await waitFor("the port", async () =>
      (await exec(daemon, client, "nc 127.0.0.1 8080 </dev/null")).stdout.includes("from the pod"),
    );
    const { session, local } = await crictlPortForward(daemon.socket, "spdy", sandbox.id, 8080);
    using _ = session;
    await waitFor("an answer through the forwarded port", async () =>
      (await ask(local, "")).includes("from the pod"),
    );
  });

  it("gives a terminal, and takes an attach", async () => {
    const { daemon, image } = node();
    const sandbox = await run();
    const shell = await startContainer(
      daemon,
      sandbox,
      container(image, { command: ["/bin/sh"], tty: true, stdin: true }),
    );
    using attached = await CrictlSession.start(daemon.socket, ["attach", "-it", shell], { terminal: true });
    attached.child.stdin.write("echo a$((40+2))b; until stty size | grep -q 99; do :; done; stty size\r");
    await attached.says("a42b");
    await attached.says("33 99");
    const { stdout } = await crictlExec(daemon.socket, "spdy", shell, sh("cat; echo over"), "input");
    expect(stdout).toBe("inputover\n");
  });

  it("goes on while the daemon is killed, and is found again", async () => {
    const { daemon, image } = node();
    const sandbox = await run();
    const id = await startContainer(
      daemon,
      sandbox,
      container(image, {
        metadata: { name: "lines" },
        command: sh("i=0; while :; do i=$((i+1)); echo line $i; sleep 0.05; done"),
      }),
    );
    const short = await startContainer(daemon, sandbox, container(image, { command: sh("sleep 1; exit 9") }));
    await daemon.kill9();
    const record = join(daemon.state, "pods", sandbox.id.slice(0, 16), short.slice(0, 16), "exit.json");
    await waitFor("the end while nobody looks", () => existsSync(record));
    await daemon.start();
    expect((await exited(daemon, short)).exitCode).toBe(9);
    const status = await daemon.client.containerStatus({ containerId: id });
    expect(status.status?.state).toBe(ContainerState.CONTAINER_RUNNING);
    const lines = logged(sandbox, "lines").trimEnd().split("\n");
    expect(lines.slice(0, 20)).toEqual(Array.from({ length: 20 }, (_, i) => `line ${i + 1}`));
    expect((await exec(daemon, id, "echo on")).exitCode).toBe(0);
    const { status: found } = await daemon.client.podSandboxStatus({ podSandboxId: sandbox.id });
    expect(found?.state).toBe(PodSandboxState.SANDBOX_READY);
  });
});

/** Pids of processes with these words on their command line. */
function running(...words: string[]): number[] {
  return allPids().filter((pid) => {
    try {
      const args = readFileSync(`/proc/${pid}/cmdline`, "latin1");
      return words.every((word) => args.includes(word));
    } catch {
      return false; // it has ended
    }
  });
}

it(
  "a pod whose shim hangs is stopped and removed, and nothing of it stays",
  async () => {
    const { daemon, image } = node();
    const { client } = daemon;
    const sandbox = await runPod(daemon, pod(daemon), "hasty");
    const one = await startContainer(daemon, sandbox, container(image, { command: sh("sleep 1000") }));
    const two = await startContainer(
      daemon,
      sandbox,
      container(image, { metadata: { name: "two" }, command: sh("sleep 1000") }),
    );
    const [shim = 0, ...more] = running("containerd-shim", sandbox.id);
    expect([shim > 1, more]).toEqual([true, []]);
    process.kill(shim, "SIGSTOP");
    await client.stopContainer({ containerId: one, timeout: 1n }, { timeoutMs: within(30_000) });
    expect((await exited(daemon, one)).exitCode).toBe(137);
    await client.stopPodSandbox({ podSandboxId: sandbox.id }, { timeoutMs: within(60_000) });
    expect((await exited(daemon, two)).exitCode).toBe(137);
    await client.removePodSandbox({ podSandboxId: sandbox.id }, { timeoutMs: within(30_000) });
    expect(running("containerd-shim", sandbox.id)).toEqual([]);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(sandbox.id.slice(0, 16));
    expect(existsSync(join(daemon.state, "pods", sandbox.id.slice(0, 16)))).toBe(false);
  },
  within(120_000),
);

describe("a daemon that starts", () => {
  it("does not end anew what was stopped, and leaves no socket of a shim that nobody has a record of", async () => {
    const { daemon } = node();
    const stopped = await runPod(daemon, pod(daemon), "runc-shim");
    await daemon.client.stopPodSandbox({ podSandboxId: stopped.id }, { timeoutMs: within(30_000) });
    const forgotten = await runPod(daemon, pod(daemon), "runc-shim");
    const folder = join(daemon.state, "pods", forgotten.id.slice(0, 16));
    const { address } = JSON.parse(readFileSync(join(folder, "shim.json"), "utf8")) as {
      address: { path: string };
    };
    expect(existsSync(address.path)).toBe(true);
    await daemon.kill9();
    const db = new DatabaseSync(join(daemon.root, "kobako.db"));
    db.prepare("DELETE FROM sandbox WHERE id = ?").run(forgotten.id);
    db.close();
    const before = daemon.log().length;
    await daemon.start();
    const ended = daemon
      .log()
      .slice(before)
      .split("\n")
      .filter((line) => line.includes("sandbox without a record"));
    expect(ended).toHaveLength(1);
    expect(ended[0]).toContain(folder);
    expect(existsSync(address.path)).toBe(false);
    await daemon.client.removePodSandbox({ podSandboxId: stopped.id });
  });
});

it("a container on a block device uses what it wrote, not what its image holds", async () => {
  const { daemon, image } = node();
  const sandbox = await runPod(daemon, pod(daemon), "block");
  const settings = container(image, { command: sh("dd if=/dev/zero of=/f bs=1M count=8; sync; sleep 1000") });
  const containerId = await startContainer(daemon, sandbox, settings);
  const used = async () => {
    const { stats } = await daemon.client.containerStats({ containerId });
    return Number(stats?.writableLayer?.usedBytes?.value ?? 0n);
  };
  await waitFor("the file on the disk", async () => (await used()) >= 8 << 20);
  expect(await used()).toBeLessThan(10 << 20);
  await daemon.restart("SIGKILL");
  expect(await used()).toBeGreaterThanOrEqual(8 << 20);
});
