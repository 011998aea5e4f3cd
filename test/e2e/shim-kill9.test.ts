/**
 * The daemon is killed with -9 at random moments while pods of a shim are made, used and removed: each call is
 * answered when it is repeated, no log line and no exit code is lost, nothing is left behind.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import { expect, it } from "vitest";
import { ContainerState } from "../../cri-api/index.ts";
import { CriError } from "../support/cri-client.ts";
import { expectAgreement, expectServes } from "../support/oracle.ts";
import { persist } from "../support/persist.ts";
import { container, logFile, pod } from "../support/pods.ts";
import { Dice, scale } from "../support/scale.ts";
import { fileDir } from "../support/file-dir.ts";
import { runscShim, toolPaths } from "../support/shims.ts";
import { within } from "../support/slowness.ts";
import { useNode } from "../support/use-node.ts";
import { waitFor } from "../support/wait.ts";

const folder = fileDir("shims");
const gvisor = runscShim(join(folder, "runsc"));
const [runcShim = "", runc = ""] = toolPaths("containerd-shim-runc-v2", "runc");

const node = useNode({
  config: `
[runtimes.gvisor]
type = "shim-v2"
path = "${gvisor.shim}"
options = { config_path = "${gvisor.config}" }

[runtimes.runc-shim]
type = "shim-v2"
path = "${runcShim}"
options = { binary_name = "${runc}", root = "${folder}/runc" }
`,
});

/** One pod from RunPodSandbox to RemovePodSandbox, each call repeated until it is answered. */
async function onePod(runtimeHandler: string, exitCode: number): Promise<void> {
  const { daemon, image } = node();
  const { client } = daemon;
  const config = pod(daemon);
  const { podSandboxId } = await persist(() => client.runPodSandbox({ config, runtimeHandler }));
  const settings = container(image, {
    command: ["/bin/sh", "-c", `echo one; echo two; exit ${exitCode}`],
    metadata: { name: "work" },
  });
  const { containerId } = await persist(() =>
    client.createContainer({ podSandboxId, config: settings, sandboxConfig: config }),
  );
  await persist(async () => {
    try {
      await client.startContainer({ containerId });
    } catch (error) {
      // The first answer was lost, but the start was not.
      const begun = error instanceof CriError && error.code === status.FAILED_PRECONDITION;
      if (!begun || !/running|exited/.test(error.details)) throw error;
    }
  });
  const ended = await waitFor(
    "the end of the container",
    async () => {
      const response = await persist(() => client.containerStatus({ containerId }));
      return response.status?.state === ContainerState.CONTAINER_EXITED ? response.status : undefined;
    },
    { timeoutMs: 30_000 },
  );
  // gVisor's shim ends a start under way with the connection that asked for it, and says 128 of the container.
  const cutShort = runtimeHandler === "gvisor" && ended.exitCode === 128;
  if (!cutShort) expect([ended.exitCode, ended.message]).toEqual([exitCode, ""]);
  const log = readFileSync(logFile({ id: podSandboxId, config, ip: "", ips: [] }, "work"), "utf8");
  if (!cutShort) expect(log.replaceAll(/^\S+ /gm, "")).toBe("stdout F one\nstdout F two\n");
  await persist(() => client.stopPodSandbox({ podSandboxId }));
  await persist(() => client.removePodSandbox({ podSandboxId }));
}

it.each(["runc-shim", "gvisor"])(
  "kill -9 during work of %s: no line or exit code lost, no leak",
  async (handler) => {
    const { daemon } = node();
    const dice = new Dice();
    const stop = new AbortController();
    let done = 0;
    const worker = async () => {
      while (!stop.signal.aborted) {
        await onePod(handler, dice.between(0, 100));
        done++;
      }
    };
    const workers = Promise.all([worker(), worker()]);
    let failed: unknown;
    workers.catch((error) => {
      failed = error;
    });
    const kills = scale(12, 300);
    for (let i = 0; i < kills && failed === undefined; i++) {
      await delay(dice.between(5, 700));
      await daemon.restart("SIGKILL");
    }
    stop.abort();
    await workers.catch((error) => {
      throw new Error(`seed ${dice.seed}, after ${done} pods`, { cause: error });
    });
    expect(done).toBeGreaterThan(0);
    await expectServes(daemon);
    await expectAgreement(daemon);
  },
  within(10 * 60_000),
);
