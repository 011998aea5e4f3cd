/**
 * The daemon is killed with -9 at random moments while pods are made, used and removed. Containers must not
 * notice; no log line, exit code or repeat of a call may be lost; nothing may be left behind.
 */
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import { expect, it } from "vitest";
import { ContainerState } from "../../cri-api/index.ts";
import { CriError } from "../support/cri-client.ts";
import type { TestNode } from "../support/node.ts";
import {
  expectAgreement,
  expectCounting,
  expectServes,
  expectUndisturbed,
  vitals,
} from "../support/oracle.ts";
import { persist } from "../support/persist.ts";
import { container, counter, logFile, pod, runPod, startContainer } from "../support/pods.ts";
import { Dice, scale } from "../support/scale.ts";
import { within } from "../support/slowness.ts";
import { useNode } from "../support/use-node.ts";
import { waitFor } from "../support/wait.ts";

const node = useNode();

/** One pod from RunPodSandbox to RemovePodSandbox, each call repeated until it is answered. */
async function onePod({ daemon, image }: TestNode, exitCode: number): Promise<void> {
  const { client } = daemon;
  const config = pod(daemon);
  const { podSandboxId } = await persist(() => client.runPodSandbox({ config }));
  const text = `echo one; echo two; exit ${exitCode}`;
  const settings = container(image, { command: ["/bin/sh", "-c", text], metadata: { name: "work" } });
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
    { timeoutMs: 20_000 },
  );
  expect(ended).toMatchObject({ exitCode, reason: exitCode === 0 ? "Completed" : "Error" });
  expect(ended.finishedAt).toBeGreaterThanOrEqual(ended.startedAt);
  const log = readFileSync(logFile({ id: podSandboxId, config, ip: "", ips: [] }, "work"), "utf8");
  expect(
    log
      .trimEnd()
      .split("\n")
      .map((line) => line.split(" ").slice(1).join(" ")),
  ).toEqual(["stdout F one", "stdout F two"]);
  await persist(() => client.stopPodSandbox({ podSandboxId }));
  await persist(() => client.removePodSandbox({ podSandboxId }));
}

it(
  "50 times kill -9 during work: no container disturbed, no line or exit code lost, no leak",
  async () => {
    const { daemon, image } = node();
    const dice = new Dice();
    const witnesses = [];
    for (let i = 0; i < 3; i++) {
      const sandbox = await runPod(daemon);
      await startContainer(
        daemon,
        sandbox,
        container(image, { metadata: { name: "witness" }, command: counter("tick", 10) }),
      );
      witnesses.push(sandbox);
    }
    const before = await vitals(daemon);
    expect(before).toHaveLength(3);

    const stop = new AbortController();
    let done = 0;
    const worker = async () => {
      while (!stop.signal.aborted) {
        await onePod(node(), dice.between(0, 120));
        done++;
      }
    };
    const workers = Promise.all([worker(), worker(), worker()]);
    let failed: unknown;
    workers.catch((error) => {
      failed = error;
    });

    const kills = scale(50, 1000);
    for (let i = 0; i < kills && failed === undefined; i++) {
      await delay(dice.between(5, 250));
      await daemon.restart("SIGKILL");
      expectUndisturbed(before);
    }
    stop.abort();
    await workers.catch((error) => {
      throw new Error(`seed ${dice.seed}, after ${done} pods`, { cause: error });
    });
    expect(done).toBeGreaterThan(0);

    await expectServes(daemon);
    await expectAgreement(daemon);
    expectUndisturbed(before);
    expect(await vitals(daemon)).toEqual(before);
    for (const sandbox of witnesses) {
      await daemon.client.stopPodSandbox({ podSandboxId: sandbox.id });
      expect(expectCounting(logFile(sandbox, "witness"), "tick")).toBeGreaterThan(50);
    }
  },
  within(15 * 60_000),
);
