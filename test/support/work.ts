/** Work of a node as a kubelet does it, while its daemon is killed. */
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import { expect } from "vitest";
import { ContainerState, type NamespaceOptionInit } from "../../cri-api/index.ts";
import { CriError } from "./cri-client.ts";
import type { TestNode } from "./node.ts";
import { persist } from "./persist.ts";
import { container, logFile, pod } from "./pods.ts";
import { Dice } from "./scale.ts";
import { waitFor } from "./wait.ts";

/** One pod from RunPodSandbox to RemovePodSandbox, each call repeated until it is answered: no line or exit code is lost. */
export async function onePod(
  { daemon, image }: TestNode,
  exitCode: number,
  runtimeHandler = "",
  namespaceOptions?: NamespaceOptionInit,
): Promise<void> {
  const { client } = daemon;
  const config = pod(daemon, namespaceOptions && { linux: { securityContext: { namespaceOptions } } });
  const { podSandboxId } = await persist(() => client.runPodSandbox({ config, runtimeHandler }));
  const text = `echo one; echo two; exit ${exitCode}`;
  const settings = container(image, {
    command: ["/bin/sh", "-c", text],
    metadata: { name: "work" },
    ...(namespaceOptions && { security: { namespaceOptions } }),
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
  expect(ended).toMatchObject({ exitCode, reason: exitCode === 0 ? "Completed" : "Error", message: "" });
  expect(ended.finishedAt).toBeGreaterThanOrEqual(ended.startedAt);
  const log = readFileSync(logFile({ id: podSandboxId, config, ip: "", ips: [] }, "work"), "utf8");
  expect(log.replaceAll(/^\S+ /gm, "")).toBe("stdout F one\nstdout F two\n");
  await persist(() => client.stopPodSandbox({ podSandboxId }));
  await persist(() => client.removePodSandbox({ podSandboxId }));
}

export interface Killing {
  /** So many do `work`, again and again. */
  readonly workers: number;
  readonly work: (dice: Dice) => Promise<void>;
  readonly kills: number;
  /** The most between a daemon that answers and its end. */
  readonly pauseMs: number;
  readonly afterEach?: () => void;
}

/** Kills the daemon with -9 at random moments while others work with it. */
export async function killDuring(
  { daemon }: TestNode,
  { workers, work, kills, pauseMs, afterEach }: Killing,
): Promise<void> {
  const dice = new Dice();
  const stop = new AbortController();
  let done = 0;
  const worker = async () => {
    while (!stop.signal.aborted) {
      await work(dice);
      done++;
    }
  };
  const all = Promise.all(Array.from({ length: workers }, worker));
  let failed: unknown;
  all.catch((error) => {
    failed = error;
  });
  for (let i = 0; i < kills && failed === undefined; i++) {
    await delay(dice.between(5, pauseMs)); // that is what it is for
    await daemon.restart("SIGKILL");
    afterEach?.();
  }
  stop.abort();
  await all.catch((error) => {
    throw new Error(`seed ${dice.seed}, after ${done} rounds of work`, { cause: error });
  });
  expect(done).toBeGreaterThan(0);
}
