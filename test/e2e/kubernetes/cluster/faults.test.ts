/**
 * kobako killed, its kubelet killed, the node switched off, kobako's programs replaced: what a cluster notices of it.
 * On a cluster of this file's own, since every pod of the node has its share. KOBAKO_SOAK=1: kills for two minutes.
 */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { cp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { V1Deployment, V1Pod } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Node } from "../../../../hack/kubernetes/node.ts";
import { Namespace, shell, sleeps } from "../../../support/cluster.ts";
import { containerIds, isReady } from "../../../support/kubelet.ts";
import { addressesInUse, powerOff } from "../../../support/reboot.ts";
import { type TempDir, tempDir } from "../../../support/temp-dir.ts";
import { waitFor } from "../../../support/wait.ts";

const built = join(import.meta.dirname, "../../../../build");
const killEveryMs = 5000;
const killsForMs = process.env.KOBAKO_SOAK === "1" ? 120_000 : 30_000;
const slow = { timeoutMs: 120_000, intervalMs: 200, retryErrors: true };

let folder: TempDir;
let node: Node;
let namespace: Namespace;

/** What a release consists of, as `path`. */
async function copyPrograms(path: string): Promise<void> {
  for (const part of ["bin", "lib", "cni"])
    await cp(join(built, part), join(path, part), { recursive: true, verbatimSymlinks: true });
}

const installed = () => join(folder.path, "installed");

beforeAll(async () => {
  folder = await tempDir("faults");
  await copyPrograms(installed());
  node = await Node.up(folder.path, { controlPlane: true, kobako: join(installed(), "bin/kobako") });
  namespace = new Namespace(node);
  await namespace.create();
}, 240_000);

afterAll(async () => {
  if (node !== undefined) await node.down();
  await folder?.[Symbol.asyncDispose]();
}, 120_000);

/** Every start of its program is a line of the host's file `starts`: the pod's name. */
function deployment(name: string, replicas: number, version: number): V1Deployment {
  const starts = join(folder.path, "starts");
  mkdirSync(starts, { recursive: true });
  const mount = { name: "starts", mountPath: "/starts" };
  return {
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name }, annotations: { version: String(version) } },
        spec: {
          terminationGracePeriodSeconds: 2,
          volumes: [{ name: "starts", hostPath: { path: starts } }],
          containers: [shell(`hostname >> /starts/${name}; ${sleeps}`, { volumeMounts: [mount] })],
        },
      },
    },
  };
}

function starts(name: string): string[] {
  const file = join(folder.path, "starts", name);
  return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
}

async function podsOf(app: string): Promise<V1Pod[]> {
  const { core, name } = namespace;
  return (await core.listNamespacedPod({ namespace: name, labelSelector: `app=${app}` })).items;
}

async function settled(name: string, replicas: number): Promise<void> {
  await waitFor(
    `all pods of ${name} in their last version, and no other`,
    async () => {
      const { status, metadata } = await namespace.apps.readNamespacedDeployment({
        namespace: namespace.name,
        name,
      });
      return (
        status?.observedGeneration === metadata?.generation &&
        status?.updatedReplicas === replicas &&
        status.availableReplicas === replicas &&
        status.replicas === replicas &&
        (await podsOf(name)).length === replicas
      );
    },
    slow,
  );
}

async function deploy(name: string, replicas: number): Promise<void> {
  const body = deployment(name, replicas, 1);
  await namespace.apps.createNamespacedDeployment({ namespace: namespace.name, body });
  await settled(name, replicas);
}

async function roll(name: string, replicas: number, version: number): Promise<void> {
  const body = deployment(name, replicas, version);
  await namespace.apps.replaceNamespacedDeployment({ namespace: namespace.name, name, body });
  await settled(name, replicas);
}

/** Ids of all containers of a Deployment, by pod. */
async function idsOf(app: string): Promise<Record<string, Record<string, string>>> {
  const pods = await podsOf(app);
  return Object.fromEntries(pods.map((pod) => [pod.metadata?.name ?? "", containerIds(pod)]));
}

/** A pod that is asked for now: only it proves that everybody works again. */
async function runsAnother(): Promise<void> {
  expect(await namespace.output("echo hi")).toBe("hi");
}

async function saysOn(pod: string): Promise<void> {
  const said = await waitFor("an exec", () => namespace.sh(pod, "echo on"), slow);
  expect(said).toBe("on");
}

describe("faults", () => {
  it("kobako is killed every 5 s while a Deployment rolls out: it completes, no container starts twice", async () => {
    await deploy("steady", 2);
    await deploy("rolled", 3);
    const before = await idsOf("steady");
    const end = performance.now() + killsForMs;
    let [kills, version] = [0, 1];
    const killing = async () => {
      for (; performance.now() < end; kills++) {
        await delay(killEveryMs);
        await node.killKobako();
        await node.startKobako();
      }
    };
    const rolling = async () => {
      while (performance.now() < end) await roll("rolled", 3, ++version);
    };
    await Promise.all([killing(), rolling()]);
    console.log(`faults: ${kills} kills in ${version - 1} rollouts, ${starts("rolled").length} pods`);
    expect(kills).toBeGreaterThanOrEqual(Math.floor(killsForMs / killEveryMs / 2));
    expect(version).toBeGreaterThan(1);
    for (const name of ["steady", "rolled"]) {
      const started = starts(name);
      expect(started.toSorted()).toEqual([...new Set(started)].toSorted());
      expect(started).toEqual(
        expect.arrayContaining((await podsOf(name)).map(({ metadata }) => metadata?.name)),
      );
    }
    expect(await idsOf("steady")).toEqual(before);
    await runsAnother();
  }, 600_000);

  it("the kubelet is killed and started: the same containers, and new pods run", async () => {
    await deploy("watched", 2);
    const before = await idsOf("watched");
    await node.stopKubelet("SIGKILL");
    await node.startKubelet();
    await runsAnother();
    expect(await idsOf("watched")).toEqual(before);
    expect(starts("watched")).toHaveLength(2);
  });

  it("kobako's programs are replaced and it is started: the same containers, to be used and ended by the new ones", async () => {
    await deploy("upgraded", 2);
    const before = await idsOf("upgraded");
    const [old, next] = [`${installed()}.old`, `${installed()}.new`];
    await copyPrograms(next);
    await rename(installed(), old);
    await rename(next, installed());
    await rm(old, { recursive: true });
    await node.killKobako("SIGTERM");
    await node.startKobako();
    for (const pod of Object.keys(before)) await saysOn(pod);
    await runsAnother();
    expect(await idsOf("upgraded")).toEqual(before);
    await roll("upgraded", 2, 2);
    expect(starts("upgraded")).toHaveLength(4);
  });

  it("the node is switched off and on: every pod comes back as it was asked for, and no address is lost", async () => {
    await deploy("returning", 3);
    const before = await idsOf("returning");
    await powerOff(node);
    await node.start();
    await waitFor(
      "all pods with new containers",
      async () => {
        const pods = await podsOf("returning");
        return pods.every((pod) => {
          const was = before[pod.metadata?.name ?? ""]?.c;
          return isReady(pod) && was !== undefined && containerIds(pod).c !== was;
        });
      },
      slow,
    );
    expect(Object.keys(await idsOf("returning")).toSorted()).toEqual(Object.keys(before).toSorted());
    await runsAnother();
    const addresses = async () => {
      const { items } = await namespace.core.listPodForAllNamespaces();
      const running = items.filter(({ status }) => status?.phase === "Running");
      return running.flatMap(({ status }) => (status?.podIPs ?? []).map(({ ip }) => ip)).toSorted();
    };
    await waitFor(
      "no address in use but those of pods that run",
      async () => addressesInUse(node).toSorted().join() === (await addresses()).join(),
      slow,
    );
  });
});
