/**
 * The daemon is killed with -9 at random moments while pods are made, used and removed. Containers must not
 * notice; no log line, exit code or repeat of a call may be lost; nothing may be left behind.
 */
import { expect, it } from "vitest";
import { NamespaceMode, type NamespaceOptionInit } from "../../cri-api/index.ts";
import {
  expectAgreement,
  expectCounting,
  expectServes,
  expectUndisturbed,
  vitals,
} from "../support/oracle.ts";
import { container, counter, logFile, runPod, startContainer } from "../support/pods.ts";
import { rounds } from "../support/scale.ts";
import { within } from "../support/slowness.ts";
import { useNode } from "../support/use-node.ts";
import { killDuring, onePod } from "../support/work.ts";

const node = useNode();

const kills = rounds(50, 1000);
const ids = [{ hostId: 2_000_000, containerId: 0, length: 65_536 }];
/** Its own users, and one reaping process for its containers: all that a pod can have made for it. */
const withUserNamespace: NamespaceOptionInit = {
  pid: NamespaceMode.POD,
  usernsOptions: { mode: NamespaceMode.POD, uids: ids, gids: ids },
};

it(
  `${kills} times kill -9 during work: no container disturbed, no line or exit code lost, no leak`,
  async () => {
    const { daemon, image } = node();
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

    await killDuring(node(), {
      workers: 3,
      work: (dice) =>
        onePod(node(), dice.between(0, 120), "", dice.between(0, 2) === 0 ? withUserNamespace : undefined),
      kills,
      pauseMs: 250,
      afterEach: () => expectUndisturbed(before),
    });

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
