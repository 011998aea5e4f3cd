/** Logs that may wait, to spare a flash disk: when they are exact all the same. */
import { readFileSync, renameSync, statSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  container,
  exec,
  exited,
  hostNetwork,
  logFile,
  pod,
  runPod,
  startContainer,
} from "../support/pods.ts";
import { testDaemon } from "../support/daemon.ts";
import { useNode } from "../support/use-node.ts";
import { waitFor } from "../support/wait.ts";

const node = useNode({ config: '[logs]\nflush_interval = "10m"\nflush_bytes = "1MiB"' });

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => `${from + i}\n`).join("");
const said = (file: string) => readFileSync(file, "utf8").replaceAll(/^\S+ stdout F /gm, "");

/** A container that says 1 to 1000 and then 1001 to 2000 once it is told to; the first thousand are out. */
async function started() {
  const { daemon, image } = node();
  const sandbox = await runPod(daemon);
  const script =
    "seq 1 1000; touch /tmp/said; while [ ! -e /tmp/go ]; do sleep 0.05; done; seq 1001 2000; exit 3";
  const id = await startContainer(
    daemon,
    sandbox,
    container(image, {
      metadata: { name: "main", attempt: 0 },
      logPath: "main.log",
      command: ["/bin/sh", "-c", script],
    }),
  );
  await waitFor("its lines", async () => (await exec(daemon, id, "test -e /tmp/said")).exitCode === 0);
  return { daemon, sandbox, id, log: logFile(sandbox, "main") };
}

describe("a log that may wait for ten minutes", () => {
  it("waits, and is whole before the exit is told", async () => {
    const { daemon, id, log } = await started();
    expect(statSync(log).size).toBe(0);
    await exec(daemon, id, "touch /tmp/go");
    expect((await exited(daemon, id)).exitCode).toBe(3);
    expect(said(log)).toBe(numbers(1, 2000));
  });

  it("is whole in its old file once it was rotated", async () => {
    const { daemon, id, log } = await started();
    renameSync(log, `${log}.1`);
    await daemon.client.reopenContainerLog({ containerId: id });
    expect(said(`${log}.1`)).toBe(numbers(1, 1000));
    await exec(daemon, id, "touch /tmp/go");
    await exited(daemon, id);
    expect(said(log)).toBe(numbers(1001, 2000));
  });

  it("is whole when its container is killed, and when its pod is stopped", async () => {
    const killed = await started();
    await killed.daemon.client.stopContainer({ containerId: killed.id, timeout: 0n });
    expect(said(killed.log)).toBe(numbers(1, 1000));
    const stopped = await started();
    await stopped.daemon.client.stopPodSandbox({ podSandboxId: stopped.sandbox.id });
    expect(said(stopped.log)).toBe(numbers(1, 1000));
  });

  it("goes on to wait, and is whole at the end, though the daemon is killed meanwhile", async () => {
    const { daemon, id, log } = await started();
    await daemon.restart("SIGKILL");
    expect(statSync(log).size).toBe(0);
    await exec(daemon, id, "touch /tmp/go");
    await exited(daemon, id);
    expect(said(log)).toBe(numbers(1, 2000));
  });
});

describe("without the setting", () => {
  it("each line is written at once", async () => {
    await using daemon = await testDaemon({ network: "none" });
    const { image } = node();
    await daemon.client.pullImage({ image: { image } });
    const sandbox = await runPod(daemon, pod(daemon, { linux: hostNetwork }));
    const command = ["/bin/sh", "-c", "echo one; sleep 1000"];
    await startContainer(daemon, sandbox, container(image, { metadata: { name: "main" }, command }));
    await waitFor("the line", () => said(logFile(sandbox, "main")) === "one\n");
  });
});
