/**
 * What a node that has nothing to do costs: a runtime under a real kubelet with some idle pods, watched for a while.
 * One runtime and one kind of PLEG after the other, each with a kubelet of its own.
 */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PodSandboxState } from "../../cri-api/index.ts";
import { criClient } from "../../test/support/cri-client.ts";
import { type BuiltImage, buildImage, push } from "../../test/support/image-builder.ts";
import { KubeletApi } from "../../test/support/kubelet.ts";
import { program } from "../../test/support/programs.ts";
import { Registry } from "../../test/support/registry.ts";
import { tempDir } from "../../test/support/temp-dir.ts";
import { waitFor } from "../../test/support/wait.ts";
import { registryName } from "../kubernetes/images.ts";
import { Node } from "../kubernetes/node.ts";
import { startContainerd } from "./containerd.ts";
import { interruption, pause } from "./interruption.ts";
import { cpuMs, listener, runtimeProcesses, totalPssKib } from "./runtime-processes.ts";

export interface IdleCounts {
  readonly pods: number;
  /** After the last pod is ready, before anything is counted. */
  readonly settleMs: number;
  readonly watchMs: number;
}

interface Cost {
  readonly memoryKib: number;
  readonly cpuMsPerSecond: number;
}

export interface IdleResult {
  /** Of the runtime, and how the kubelet follows it. */
  readonly name: string;
  readonly daemon: Cost;
  /** Whatever the runtime keeps for its pods; without the workload. */
  readonly beside: Cost & { readonly processes: number };
  readonly kubelet: Cost;
}

const workload = "/waiter";
const image = `${registryName}/waiter:1`;

/** Both runtimes with either PLEG. */
export async function measureUnderKubelet(counts: IdleCounts): Promise<IdleResult[]> {
  const built = await buildImage({
    layers: [[{ name: "waiter", mode: 0o755, content: program("waiter") }]],
    config: { Entrypoint: [workload] },
  });
  const results: IdleResult[] = [];
  for (const evented of [false, true]) {
    results.push(await underKubelet("kobako", evented, counts, built));
    await using registry = await Registry.start();
    await push(registry.url, "waiter", "1", built);
    await using peer = await startContainerd(registry, [registryName]);
    results.push(await underKubelet(peer.name, evented, counts, built, peer));
  }
  return results;
}

async function underKubelet(
  runtime: string,
  evented: boolean,
  counts: IdleCounts,
  built: BuiltImage,
  peer?: { readonly endpoint: string; readonly marks: readonly string[] },
): Promise<IdleResult> {
  const name = `${runtime}, ${evented ? "evented" : "ordinary"} PLEG`;
  console.error(`bench: ${name}`);
  await using folder = await tempDir("idle");
  await using undo = new AsyncDisposableStack();
  const node = await Node.up(folder.path, {
    featureGates: { EventedPLEG: evented },
    ...(peer === undefined ? {} : { runtimeSocket: peer.endpoint }),
  });
  undo.defer(() => node.down());
  await push(node.registryUrl, "waiter", "1", built);
  const names = Array.from({ length: counts.pods }, (_, i) => `idle-${i}`);
  undo.defer(() => removePods(node, names));
  for (const pod of names) writeFileSync(manifest(node, pod), JSON.stringify(waitingPod(pod)));
  const kubelet = new KubeletApi(node);
  for (const pod of names) {
    interruption.throwIfAborted();
    await kubelet.ready(pod, 120_000);
  }
  await pause(counts.settleMs);
  return { name, ...(await watch(node, peer?.marks ?? [node.kobakoFolder], counts.watchMs)) };
}

/** The processor time of each kind of process over `watchMs`, and its memory at the end. */
async function watch(
  node: Node,
  runtimeMarks: readonly string[],
  watchMs: number,
): Promise<Omit<IdleResult, "name">> {
  const daemon = listener(node.socket);
  const kubelet = node.processes.pid("kubelet");
  if (kubelet === undefined) throw new Error(`the kubelet has ended\n${node.processes.tail("kubelet")}`);
  // The kubelet has the runtime's socket in no argument, but files of its pods open.
  const beside = runtimeProcesses([...runtimeMarks, node.cgroupRoot], workload).filter(
    (pid) => pid !== daemon && !node.processes.names().some((other) => node.processes.pid(other) === pid),
  );
  const groups = { daemon: [daemon], beside, kubelet: [kubelet] };
  const spent = () => Object.values(groups).map((pids) => cpuMs(pids, { children: true }));
  const begun = performance.now();
  const before = spent();
  await pause(watchMs);
  const after = spent();
  const seconds = (performance.now() - begun) / 1000;
  const [own, others, client] = Object.values(groups).map((pids, i) => ({
    memoryKib: totalPssKib(pids),
    cpuMsPerSecond: ((after[i] ?? 0) - (before[i] ?? 0)) / seconds,
  }));
  if (own === undefined || others === undefined || client === undefined) throw new Error("three groups");
  return { daemon: own, beside: { ...others, processes: beside.length }, kubelet: client };
}

function manifest(node: Node, pod: string): string {
  return join(node.folders.manifests, `${pod}.json`);
}

function waitingPod(name: string): unknown {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default" },
    spec: { terminationGracePeriodSeconds: 2, containers: [{ name: "c", image }] },
  };
}

/** By the kubelet, as long as it is there: it would start again what somebody else removes. */
async function removePods(node: Node, names: readonly string[]): Promise<void> {
  for (const name of names) rmSync(manifest(node, name), { force: true });
  const client = criClient(node.socket);
  try {
    const filter = { state: { state: PodSandboxState.SANDBOX_READY } };
    await waitFor(
      "the end of all pods",
      async () => (await client.listPodSandbox({ filter })).items.length === 0,
      { timeoutMs: 120_000, intervalMs: 200 },
    );
  } finally {
    client.close();
  }
}

/** As head and rows of a table. */
export function idleRows(results: readonly IdleResult[]): { head: string[]; rows: string[][] } {
  const ms = ({ cpuMsPerSecond }: Cost) => cpuMsPerSecond.toFixed(1);
  const mib = ({ memoryKib }: Cost) => (memoryKib / 1024).toFixed(1);
  const row = (label: string, pick: (result: IdleResult) => string) => [label, ...results.map(pick)];
  return {
    head: ["idle pods under a kubelet", ...results.map(({ name }) => name)],
    rows: [
      row("daemon: processor time, ms per s", ({ daemon }) => ms(daemon)),
      row("monitors or shims: processor time, ms per s", ({ beside }) => ms(beside)),
      row("daemon: memory, MiB PSS", ({ daemon }) => mib(daemon)),
      row("monitors or shims, pauses: memory, MiB PSS", ({ beside }) => mib(beside)),
      row("their processes", ({ beside }) => String(beside.processes)),
      row("kubelet: processor time, ms per s", ({ kubelet }) => ms(kubelet)),
    ],
  };
}
