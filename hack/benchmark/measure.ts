/** One runtime measured: calls one after the other, then many pods at once, then what they cost while idle. */
import { NamespaceMode } from "../../cri-api/index.ts";
import { type CriClient, criClient } from "../../test/support/cri-client.ts";
import { removeCgroups } from "../../test/support/host.ts";
import { tempDir } from "../../test/support/temp-dir.ts";
import { interruption, pause } from "./interruption.ts";
import { type Pod, Pods, type Workload } from "./pods.ts";
import { cpuMs, listener, runtimeProcesses, totalPssKib } from "./runtime-processes.ts";
import { Samples, type Summary } from "../sample.ts";

export interface Subject extends Workload {
  readonly name: string;
  /** Path of the socket. */
  readonly endpoint: string;
  /** See runtimeProcesses. */
  readonly marks: readonly string[];
  readonly exec: readonly string[];
  readonly startMs?: number;
}

export interface Counts {
  readonly pods: number;
  readonly atOnce: number;
  readonly execs: number;
}

export interface Result {
  readonly name: string;
  readonly version: string;
  readonly pods: number;
  readonly atOnce: number;
  readonly startMs: number | undefined;
  /** By call name, milliseconds. */
  readonly calls: Readonly<Record<string, Summary>>;
  readonly burst: { readonly startMs: number; readonly removeMs: number };
  readonly memory: {
    readonly daemonIdleKib: number;
    /** With no pod, after as many have come and gone as are then run at once. */
    readonly daemonWarmKib: number;
    readonly daemonKib: number;
    readonly totalKib: number;
    /** (total with pods - total without) / pods. */
    readonly perPodKib: number;
    readonly perPodOutsideDaemonKib: number;
  };
  readonly idle: { readonly cpuMsPerSecond: number };
}

/** Calls that make code warm and are not counted. */
const warmUpPods = 3;
/** A kubelet asks twice a second; what it has asked in some minutes has made both ends' RPC code warm. */
const warmUpLists = 600;
const settleMs = 2000;
const idleMs = 5000;

export async function measure(subject: Subject, counts: Counts): Promise<Result> {
  await using logs = await tempDir("bench-logs");
  const client = criClient(subject.endpoint);
  const pods = new Pods(client, subject, logs.path);
  const samples = new Samples();
  try {
    const version = await client.version({});
    await client.pullImage({ image: { image: subject.image } }, { timeoutMs: 60_000 });
    for (let i = 0; i < warmUpLists; i++) {
      await client.listPodSandbox({});
      await client.listContainers({});
    }
    for (let i = 0; i < warmUpPods; i++) {
      const pod = await pods.start(new Samples());
      if (i === 0 && counts.execs > 0) await pods.warmUpExecs(pod, subject.exec);
      await pods.remove(pod, new Samples());
    }

    await pause(settleMs);
    const daemon = listener(subject.endpoint);
    const marks = [...subject.marks, pods.cgroupParent];
    const processes = () => [...new Set([daemon, ...runtimeProcesses(marks, subject.workload[0] ?? "")])];
    const daemonIdleKib = totalPssKib([daemon]);
    await sequential(client, pods, subject, samples, counts);

    // What a warm daemon keeps with no pod at all: what stands now belongs to no pod. The same burst has come and gone,
    // and its collections: code that only one of the two had run would count as pods' memory, or against it.
    await manyAtOnce(client, pods, new Samples(), counts, () => pause(settleMs));
    await pause(settleMs);
    const daemonWarmKib = totalPssKib([daemon]);
    const warmKib = totalPssKib(processes());
    const burst = await manyAtOnce(client, pods, samples, counts, async () => {
      await pause(settleMs);
      const before = cpuMs(processes());
      await pause(idleMs);
      const cpuMsPerSecond = ((cpuMs(processes()) - before) * 1000) / idleMs;
      return { totalKib: totalPssKib(processes()), daemonKib: totalPssKib([daemon]), cpuMsPerSecond };
    });

    const { totalKib, daemonKib, cpuMsPerSecond } = burst.between;
    return {
      name: subject.name,
      version: `${version.runtimeName} ${version.runtimeVersion}`,
      pods: counts.pods,
      atOnce: counts.atOnce,
      startMs: subject.startMs,
      calls: samples.summaries(),
      burst: { startMs: burst.startMs, removeMs: burst.removeMs },
      memory: {
        daemonIdleKib,
        daemonKib,
        totalKib,
        daemonWarmKib,
        perPodKib: (totalKib - warmKib) / counts.pods,
        perPodOutsideDaemonKib: (totalKib - daemonKib - (warmKib - daemonWarmKib)) / counts.pods,
      },
      idle: { cpuMsPerSecond },
    };
  } finally {
    await pods.removeAll();
    client.close();
    removeCgroups(pods.cgroupParent);
  }
}

/** One pod after the other, each with some execs. */
async function sequential(client: CriClient, pods: Pods, subject: Subject, samples: Samples, counts: Counts) {
  for (let i = 0; i < counts.pods; i++) {
    const pod = await pods.start(samples);
    const exec = (name: string) =>
      samples.time(name, () =>
        client.execSync({ containerId: pod.container, cmd: [...subject.exec], timeout: 10n }),
      );
    // By itself: it finds the pod just started, and nothing prepared for execs. A probe is the first one once.
    if (counts.execs > 0) await exec("first ExecSync");
    for (let n = i; n < counts.execs; n += counts.pods) await exec("ExecSync");
    await samples.time("ContainerStatus", () => client.containerStatus({ containerId: pod.container }));
    await pods.remove(pod, samples);
  }
  for (let i = 0; i < counts.pods; i++) {
    interruption.throwIfAborted();
    const config = pods.config({ network: NamespaceMode.NODE });
    const { podSandboxId } = await samples.time("RunPodSandbox host network", () =>
      client.runPodSandbox({ config }),
    );
    await client.stopPodSandbox({ podSandboxId });
    await client.removePodSandbox({ podSandboxId });
  }
}

/** All pods, `atOnce` at a time; `between` is asked while they all run. */
async function manyAtOnce<T>(
  client: CriClient,
  pods: Pods,
  samples: Samples,
  counts: Counts,
  between: () => Promise<T>,
): Promise<{ startMs: number; removeMs: number; between: T }> {
  const started: Pod[] = [];
  const ignored = new Samples();
  const startMs = await inParallel(counts, async () => {
    started.push(await pods.start(ignored));
  });
  for (let i = 0; i < 20; i++) {
    await samples.time("ListContainers", () => client.listContainers({}));
    await samples.time("ListContainerStats", () => client.listContainerStats({}));
    await samples.time("ListPodSandboxStats", () => client.listPodSandboxStats({}));
  }
  const value = await between();
  const removeMs = await inParallel(counts, async () => {
    const pod = started.pop();
    if (pod) await pods.remove(pod, ignored);
  });
  return { startMs, removeMs, between: value };
}

async function inParallel(counts: Counts, one: () => Promise<void>): Promise<number> {
  let left = counts.pods;
  const begun = performance.now();
  const all = await Promise.allSettled(
    Array.from({ length: counts.atOnce }, async () => {
      while (left-- > 0) await one();
    }),
  );
  const tookMs = performance.now() - begun;
  // Only when none makes a pod any more: whoever clears up then finds them all.
  for (const each of all) if (each.status === "rejected") throw each.reason;
  return tookMs;
}
