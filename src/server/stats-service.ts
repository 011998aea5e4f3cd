/** The four stats calls, and what all containers have written. Works only when asked. */
import type {
  ContainerStatsInit,
  FilesystemUsageInit,
  NetworkInterfaceUsageInit,
  PodSandboxStatsInit,
  runtimeService,
} from "../../cri-api/index.ts";
import type { Container } from "../container/container.ts";
import type { ContainerLifecycle } from "../container/lifecycle.ts";
import { RuntimeError } from "../errors/runtime-error.ts";
import type { Log } from "../log/log.ts";
import type { InterfaceCounters } from "../runtime/handler.ts";
import type { Connections } from "../sandbox/connections.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Snapshotter } from "../snapshot/snapshotter.ts";
import { readInterfaces, type Stats, sumSamples, type UsageSample } from "../stats/stats.ts";
import type { Collection } from "../store/collection.ts";
import type { SpaceUsed } from "./image-service.ts";
import type { Handlers } from "./unary.ts";
import { idField } from "./wire/fields.ts";
import { matchesLabels } from "./wire/status.ts";

/** A runtime that is asked what a container uses. */
const usageMs = 5_000;
/** A pod's interface, as every CNI plugin is asked to name it. */
const podInterface = "eth0";

export interface StatsServiceDeps {
  readonly sandboxes: Collection<Sandbox>;
  readonly containers: Collection<Container>;
  readonly containerLifecycle: ContainerLifecycle;
  readonly connections: Connections;
  readonly snapshots: Snapshotter;
  readonly stats: Stats;
  /** Mount point of the filesystem that the snapshots are on. */
  readonly mountpoint: string;
  readonly nowNs: () => bigint;
  readonly log: Log;
}

export class StatsService {
  readonly #deps: StatsServiceDeps;

  constructor(deps: StatsServiceDeps) {
    this.#deps = deps;
  }

  handlers(): Handlers<typeof runtimeService> {
    const { sandboxes, containers, containerLifecycle } = this.#deps;
    return {
      containerStats: async (request, signal) => {
        const container = containerLifecycle.get(idField("container_id", request.containerId));
        return { stats: await this.#container(container, signal) };
      },

      listContainerStats: async (request, signal) => {
        const { id = "", podSandboxId = "", labelSelector = {} } = request.filter ?? {};
        const wanted = [...containers.values()].filter(
          (c) =>
            c.state === "running" &&
            c.id.startsWith(id) &&
            c.sandboxId.startsWith(podSandboxId) &&
            matchesLabels(c.config.labels, labelSelector),
        );
        return { stats: await Promise.all(wanted.map((c) => this.#container(c, signal))) };
      },

      podSandboxStats: async (request, signal) => {
        const sandbox = sandboxes.findByPrefix(idField("pod_sandbox_id", request.podSandboxId));
        if (sandbox === undefined)
          throw new RuntimeError("not-found", `sandbox ${request.podSandboxId} does not exist`);
        if (sandbox.state !== "ready") {
          throw new RuntimeError(
            "failed-precondition",
            `sandbox ${sandbox.id} is ${sandbox.state}: only a ready one has usage`,
          );
        }
        return { stats: await this.#pod(sandbox, signal) };
      },

      listPodSandboxStats: async (request, signal) => {
        const { id = "", labelSelector = {} } = request.filter ?? {};
        const wanted = [...sandboxes.values()].filter(
          (s) => s.state === "ready" && s.id.startsWith(id) && matchesLabels(s.config.labels, labelSelector),
        );
        return { stats: await Promise.all(wanted.map((s) => this.#pod(s, signal))) };
      },
    };
  }

  /** What all containers have written to their root filesystems. */
  async writableLayers(): Promise<SpaceUsed> {
    const { snapshots, mountpoint, nowNs } = this.#deps;
    const used = await Promise.all([...snapshots.list()].map((id) => snapshots.usage(id)));
    return {
      mountpoint,
      usedBytes: BigInt(used.reduce((sum, { usedBytes }) => sum + usedBytes, 0)),
      inodesUsed: BigInt(used.reduce((sum, { inodesUsed }) => sum + inodesUsed, 0)),
      takenAtNs: nowNs(),
    };
  }

  async #container(container: Container, signal: AbortSignal): Promise<ContainerStatsInit> {
    const [sample, layer] = await Promise.all([
      this.#sample(container, signal),
      this.#writableLayer(container),
    ]);
    return containerStats(container, sample, layer);
  }

  /** Of its cgroup, or as its runtime counts where its processes are not this host's. */
  async #sample(container: Container, signal: AbortSignal): Promise<UsageSample | undefined> {
    const { stats, connections, log } = this.#deps;
    const connection = connections.find(container.sandboxId);
    if (container.pid !== 0 || container.state !== "running" || connection?.usage === undefined)
      return stats.sample(container.cgroup);
    try {
      const asked = AbortSignal.any([signal, AbortSignal.timeout(usageMs)]);
      return stats.sampleOf(container.id, await connection.usage(container.id, asked));
    } catch (error) {
      log.warn({ container: container.id, error }, "a runtime does not tell what its container uses");
      return undefined; // one that is slow must not keep back the others
    }
  }

  async #writableLayer(container: Container): Promise<FilesystemUsageInit | undefined> {
    const { snapshots, mountpoint, nowNs } = this.#deps;
    if (snapshots.find(container.id) === undefined) return undefined;
    const { usedBytes, inodesUsed } = await snapshots.usage(container.id);
    return {
      timestamp: nowNs(),
      fsId: { mountpoint },
      usedBytes: { value: BigInt(usedBytes) },
      inodesUsed: { value: BigInt(inodesUsed) },
    };
  }

  async #pod(sandbox: Sandbox, signal: AbortSignal): Promise<PodSandboxStatsInit> {
    const { stats, nowNs } = this.#deps;
    const running = this.#deps.containerLifecycle.ofSandbox(sandbox.id).filter((c) => c.state === "running");
    const samples = await Promise.all(
      running.map(async (c) => ({ container: c, sample: await this.#sample(c, signal) })),
    );
    const known = samples.map(({ sample }) => sample).filter((sample) => sample !== undefined);
    const whole = stats.sample(sandbox.cgroupParent) ?? sumSamples(known, nowNs());
    const [interfaces, containers] = await Promise.all([
      this.#interfaces(sandbox, running, signal),
      Promise.all(
        samples.map(async ({ container, sample }) =>
          containerStats(container, sample, await this.#writableLayer(container)),
        ),
      ),
    ]);
    return {
      attributes: {
        id: sandbox.id,
        metadata: sandbox.config.metadata,
        labels: sandbox.config.labels,
        annotations: sandbox.config.annotations,
      },
      linux: {
        ...usage(whole),
        network: interfaces === undefined ? undefined : network(interfaces, nowNs()),
        process:
          whole.processes === undefined
            ? undefined
            : { timestamp: whole.cpu.atNs, processCount: { value: whole.processes } },
        containers,
      },
    };
  }

  /** undefined with the host's network: its counters are not the pod's. */
  async #interfaces(
    sandbox: Sandbox,
    running: readonly Container[],
    signal: AbortSignal,
  ): Promise<readonly InterfaceCounters[] | undefined> {
    if (sandbox.netnsPath === undefined) return undefined;
    // A process in the pod's network tells at once; only a pod without one is asked through its monitor.
    for (const { pid, startTime } of running) {
      const counters = readInterfaces(pid, startTime);
      if (counters !== undefined) return counters;
    }
    return await this.#deps.connections.find(sandbox.id)?.netStats(signal);
  }
}

function containerStats(
  container: Container,
  sample: UsageSample | undefined,
  writableLayer: FilesystemUsageInit | undefined,
): ContainerStatsInit {
  return {
    attributes: {
      id: container.id,
      metadata: container.config.metadata,
      labels: container.config.labels,
      annotations: container.config.annotations,
    },
    ...(sample === undefined ? {} : usage(sample)),
    ...(sample?.swap === undefined
      ? {}
      : {
          swap: {
            timestamp: sample.swap.atNs,
            swapUsageBytes: { value: sample.swap.usageBytes },
            swapAvailableBytes: { value: sample.swap.availableBytes },
          },
        }),
    writableLayer,
  };
}

function usage({ cpu, memory }: UsageSample): Pick<ContainerStatsInit, "cpu" | "memory"> {
  return {
    cpu: {
      timestamp: cpu.atNs,
      usageCoreNanoSeconds: { value: cpu.usageCoreNs },
      usageNanoCores: { value: cpu.usageNanoCores },
    },
    memory: {
      timestamp: memory.atNs,
      workingSetBytes: { value: memory.workingSetBytes },
      availableBytes: { value: memory.availableBytes },
      usageBytes: { value: memory.usageBytes },
      rssBytes: { value: memory.rssBytes },
      pageFaults: { value: memory.pageFaults },
      majorPageFaults: { value: memory.majorPageFaults },
    },
  };
}

function network(interfaces: readonly InterfaceCounters[], timestamp: bigint) {
  const all = interfaces.filter(({ name }) => name !== "lo").map(wireInterface);
  return {
    timestamp,
    defaultInterface: all.find(({ name }) => name === podInterface),
    interfaces: all.filter(({ name }) => name !== podInterface),
  };
}

function wireInterface(counters: InterfaceCounters): NetworkInterfaceUsageInit {
  return {
    name: counters.name,
    rxBytes: { value: counters.rxBytes },
    rxErrors: { value: counters.rxErrors },
    txBytes: { value: counters.txBytes },
    txErrors: { value: counters.txErrors },
  };
}
