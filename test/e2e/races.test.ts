/** Calls about one thing at the same time, and callers that leave: an answer that fits, never INTERNAL, nothing left. */
import { status as code } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { ContainerState } from "../../cri-api/index.ts";
import { CriError } from "../support/cri-client.ts";
import { container, containerStatus, exited, pod, runPod, startContainer } from "../support/pods.ts";
import { rounds, scale } from "../support/scale.ts";
import { within } from "../support/slowness.ts";
import { useNode } from "../support/use-node.ts";

const node = useNode();

/** What a call about something that ends meanwhile may answer. */
const fitting: readonly number[] = [code.NOT_FOUND, code.FAILED_PRECONDITION];

/** Names of the codes that do not fit, of calls that were made at once. */
async function misfits(
  calls: readonly Promise<unknown>[],
  alsoFits: readonly number[] = [],
): Promise<string[]> {
  const results = await Promise.allSettled(calls);
  return results
    .filter((result) => result.status === "rejected")
    .map(({ reason }) => reason as unknown)
    .filter((error) => !(error instanceof CriError && [...fitting, ...alsoFits].includes(error.code)))
    .map(String);
}

describe("one container, many callers", () => {
  it(
    "exec, status, statistics, stop and remove at once are answered each by itself",
    async () => {
      const { daemon, image } = node();
      const { client } = daemon;
      const sandbox = await runPod(daemon, pod(daemon));
      for (let round = 0; round < rounds(15, 500); round++) {
        const containerId = await startContainer(
          daemon,
          sandbox,
          container(image, { metadata: { name: `c${round}` } }),
        );
        const cmd = ["/bin/true"];
        const wrong = await misfits([
          ...Array.from({ length: 4 }, () =>
            client.execSync({ containerId, cmd, timeout: BigInt(within(10)) }),
          ),
          client.containerStatus({ containerId }),
          client.containerStats({ containerId }),
          client.stopContainer({ containerId, timeout: 0n }),
          client.execSync({ containerId, cmd, timeout: BigInt(within(10)) }),
          client.removeContainer({ containerId }),
          client.stopContainer({ containerId, timeout: 1n }),
          client.removeContainer({ containerId }),
          client.listContainers({}),
        ]);
        expect(wrong).toEqual([]);
      }
    },
    within(scale(120_000, 1_200_000)),
  );

  it(
    "a pod that is stopped and removed by several at once is gone for all of them",
    async () => {
      const { daemon, image } = node();
      const { client } = daemon;
      for (let round = 0; round < rounds(5, 200); round++) {
        const sandbox = await runPod(daemon, pod(daemon));
        await startContainer(daemon, sandbox, container(image));
        const podSandboxId = sandbox.id;
        const wrong = await misfits([
          client.stopPodSandbox({ podSandboxId }),
          client.removePodSandbox({ podSandboxId }),
          client.stopPodSandbox({ podSandboxId }),
          client.removePodSandbox({ podSandboxId }),
          client.podSandboxStatus({ podSandboxId }),
        ]);
        expect(wrong).toEqual([]);
      }
    },
    within(scale(60_000, 1_200_000)),
  );
});

it(
  "containers that live for a millisecond, all at once, end with their own exit codes",
  async () => {
    const { daemon, image } = node();
    const sandbox = await runPod(daemon, pod(daemon));
    const codes = Array.from({ length: scale(16, 100) }, (_, i) => i);
    const ids = await Promise.all(
      codes.map((n) =>
        startContainer(
          daemon,
          sandbox,
          container(image, { metadata: { name: `exit-${n}` }, command: ["/bin/sh", "-c", `exit ${n}`] }),
        ),
      ),
    );
    const statuses = await Promise.all(ids.map((id) => exited(daemon, id)));
    expect(statuses.map(({ exitCode }) => exitCode)).toEqual(codes);
    for (const { startedAt, finishedAt, createdAt } of statuses) {
      expect(createdAt <= startedAt && startedAt <= finishedAt).toBe(true);
    }
  },
  within(60_000),
);

describe("a caller that leaves", () => {
  it.each([1, 5, 20, 60])(
    "after %i ms of RunPodSandbox, CreateContainer or StartContainer: asking again gets it done",
    async (afterMs) => {
      const { daemon, image } = node();
      const { client } = daemon;
      for (let round = 0; round < rounds(3, 50); round++) {
        const config = pod(daemon);
        const patience = { timeoutMs: afterMs };
        const left = [code.DEADLINE_EXCEEDED, code.CANCELLED];
        expect(await misfits([client.runPodSandbox({ config }, patience)], left)).toEqual([]);
        const podSandboxId = (
          await client.runPodSandbox({ config }).catch((error: unknown) => sameAgain(error))
        ).podSandboxId;
        const request = { podSandboxId, config: container(image), sandboxConfig: config };
        expect(await misfits([client.createContainer(request, patience)], left)).toEqual([]);
        const { containerId } = await client.createContainer(request).catch(async (error: unknown) => {
          sameAgain(error);
          const { containers } = await client.listContainers({ filter: { podSandboxId } });
          return { containerId: containers[0]?.id ?? "" };
        });
        expect(await misfits([client.startContainer({ containerId }, patience)], left)).toEqual([]);
        const { state } = await containerStatus(daemon, containerId);
        if (state === ContainerState.CONTAINER_CREATED) {
          // The first call may still be under way: then it is its start that counts.
          expect(await misfits([client.startContainer({ containerId })])).toEqual([]);
        }
        expect((await containerStatus(daemon, containerId)).state).toBe(ContainerState.CONTAINER_RUNNING);
        await client.removePodSandbox({ podSandboxId });
      }
    },
    within(scale(60_000, 600_000)),
  );
});

/** The first call was quick enough to be answered: then its id stands in the refusal of the second. */
function sameAgain(error: unknown): { podSandboxId: string } {
  if (!(error instanceof CriError) || error.code !== code.ALREADY_EXISTS) throw error;
  return { podSandboxId: /exists as ([0-9a-f]{64})/.exec(error.details)?.[1] ?? "" };
}
