/**
 * RuntimeService: request in, domain call, answer out. No SQL, no paths, no try: deadlines, log
 * lines and errors are the wrapper's (unary.ts). What is not here answers UNIMPLEMENTED.
 * Source: cri-api/runtime/v1/api.proto.
 */
import {
  CgroupDriver,
  type ContainerFilter,
  type PodSandboxFilter,
  type RuntimeConditionInit,
  type RuntimeHandlerInit,
  type runtimeService,
} from "../../cri-api/index.ts";
import type { Checkpoints } from "../container/checkpoint.ts";
import type { Container } from "../container/container.ts";
import { type ExecBases, execSync } from "../container/exec.ts";
import type { ContainerLifecycle } from "../container/lifecycle.ts";
import { RuntimeError } from "../errors/runtime-error.ts";
import type { Network } from "../network/network.ts";
import type { RuntimeHandler } from "../runtime/handler.ts";
import type { SandboxLifecycle } from "../sandbox/lifecycle.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Collection } from "../store/collection.ts";
import type { StreamingServer } from "../streaming/server.ts";
import type { EventStream } from "./event-stream.ts";
import { askHandlers } from "./handler-info.ts";
import type { StatsService } from "./stats-service.ts";
import { streamingHandlers } from "./streaming-service.ts";
import type { Handlers } from "./unary.ts";
import { containerConfig, containerResources } from "./wire/container-config.ts";
import { idField, required } from "./wire/fields.ts";
import { podConfig } from "./wire/pod-config.ts";
import {
  matchesLabels,
  wireContainer,
  wireContainerState,
  wireContainerStatus,
  wireSandbox,
  wireSandboxState,
  wireSandboxStatus,
} from "./wire/status.ts";

/** The version of the kubelet's runtime API: kubelets compare it with this text. */
const kubeletApiVersion = "0.1.0";

export interface RuntimeServiceDeps {
  readonly sandboxes: Collection<Sandbox>;
  readonly containers: Collection<Container>;
  readonly sandboxLifecycle: SandboxLifecycle;
  readonly containerLifecycle: ContainerLifecycle;
  readonly execBases: ExecBases;
  readonly checkpoints: Checkpoints;
  readonly handlers: ReadonlyMap<string, RuntimeHandler>;
  readonly defaultHandler: string;
  readonly network: Network;
  readonly stats: StatsService;
  readonly streaming: StreamingServer;
  readonly events: EventStream;
  readonly cgroupDriver: "cgroupfs" | "systemd";
  readonly version: string;
  readonly nowNs: () => bigint;
  /** The running configuration without secrets, for `crictl info`. */
  readonly describeConfig: () => object;
}

type RuntimeHandlers = Handlers<typeof runtimeService>;

export function runtimeHandlers(deps: RuntimeServiceDeps): RuntimeHandlers {
  return {
    ...nodeHandlers(deps),
    ...sandboxHandlers(deps),
    ...containerHandlers(deps),
    ...deps.stats.handlers(),
    ...streamingHandlers(deps),
  };
}

function nodeHandlers(deps: RuntimeServiceDeps): RuntimeHandlers {
  return {
    async version() {
      return {
        version: kubeletApiVersion,
        runtimeName: "kobako",
        runtimeVersion: deps.version,
        runtimeApiVersion: "v1",
      };
    },

    async status(request, signal) {
      const network = deps.network.status();
      const conditions: RuntimeConditionInit[] = [
        { type: "RuntimeReady", status: true, reason: "", message: "" },
        { type: "NetworkReady", status: network.ready, reason: network.reason, message: network.message },
      ];
      const known = await askHandlers(deps.handlers, signal);
      const runtimeHandlers: RuntimeHandlerInit[] = known.map(({ name, features }) => ({ name, features }));
      const byDefault = known.find(({ name }) => name === deps.defaultHandler);
      if (byDefault !== undefined) runtimeHandlers.unshift({ name: "", features: byDefault.features });
      return {
        status: { conditions },
        runtimeHandlers,
        features: { supplementalGroupsPolicy: true },
        info: request.verbose
          ? { config: JSON.stringify(deps.describeConfig()), handlers: JSON.stringify(known) }
          : {},
      };
    },

    async runtimeConfig() {
      const driver = deps.cgroupDriver === "systemd" ? CgroupDriver.SYSTEMD : CgroupDriver.CGROUPFS;
      return { linux: { cgroupDriver: driver } };
    },

    async updateRuntimeConfig(request) {
      const podCidr = request.runtimeConfig?.networkConfig?.podCidr ?? "";
      if (podCidr !== "") deps.network.setPodCidr(podCidr);
      return {};
    },

    getContainerEvents: (_request, signal) => deps.events.subscribe(signal),
  };
}

function sandboxHandlers({
  sandboxes,
  containers,
  sandboxLifecycle,
  nowNs,
}: RuntimeServiceDeps): RuntimeHandlers {
  const find = (id: string) => sandboxes.findByPrefix(idField("pod_sandbox_id", id));
  return {
    async runPodSandbox(request, signal) {
      return {
        podSandboxId: await sandboxLifecycle.run(podConfig(request.config), request.runtimeHandler, signal),
      };
    },

    async stopPodSandbox(request, signal) {
      const sandbox = find(request.podSandboxId);
      if (sandbox !== undefined) await sandboxLifecycle.stop(sandbox.id, signal);
      return {};
    },

    async removePodSandbox(request, signal) {
      const sandbox = find(request.podSandboxId);
      if (sandbox !== undefined) await sandboxLifecycle.remove(sandbox.id, signal);
      return {};
    },

    async podSandboxStatus(request) {
      const sandbox = find(request.podSandboxId);
      if (sandbox === undefined || sandbox.state === "creating") {
        throw new RuntimeError("not-found", `sandbox ${request.podSandboxId} does not exist`);
      }
      const statuses = [...containers.values()].filter(
        (c) => c.sandboxId === sandbox.id && c.state !== "creating",
      );
      return {
        status: wireSandboxStatus(sandbox),
        containersStatuses: statuses.map(wireContainerStatus),
        timestamp: nowNs(),
        info: request.verbose ? { info: JSON.stringify(sandboxInfo(sandbox)) } : {},
      };
    },

    async listPodSandbox(request) {
      const items = [...sandboxes.values()].filter(
        (s) => s.state !== "creating" && sandboxMatches(s, request.filter),
      );
      return { items: items.map(wireSandbox) };
    },
  };
}

function containerHandlers(deps: RuntimeServiceDeps): RuntimeHandlers {
  const { containers, containerLifecycle, execBases } = deps;
  const find = (id: string) => containers.findByPrefix(idField("container_id", id));
  const get = (id: string) => containerLifecycle.get(idField("container_id", id)).id;
  return {
    async createContainer(request, signal) {
      const id = idField("pod_sandbox_id", request.podSandboxId);
      return { containerId: await containerLifecycle.create(id, containerConfig(request.config), signal) };
    },

    async startContainer(request, signal) {
      await containerLifecycle.start(get(request.containerId), signal);
      return {};
    },

    async stopContainer(request, signal) {
      const container = find(request.containerId);
      if (request.timeout < 0n)
        throw new RuntimeError(
          "invalid-argument",
          `timeout ${request.timeout} is negative: give seconds, 0 kills at once`,
        );
      if (container !== undefined)
        await containerLifecycle.stop(container.id, milliseconds(request.timeout), signal);
      return {};
    },

    async removeContainer(request, signal) {
      const container = find(request.containerId);
      if (container !== undefined) await containerLifecycle.remove(container.id, signal);
      return {};
    },

    async listContainers(request) {
      const items = [...containers.values()].filter(
        (c) => c.state !== "creating" && containerMatches(c, request.filter),
      );
      return { containers: items.map(wireContainer) };
    },

    async containerStatus(request) {
      const container = find(request.containerId);
      if (container === undefined || container.state === "creating") {
        throw new RuntimeError("not-found", `container ${request.containerId} does not exist`);
      }
      return {
        status: wireContainerStatus(container),
        info: request.verbose ? { info: JSON.stringify(containerInfo(container)) } : {},
      };
    },

    async reopenContainerLog(request, signal) {
      const { container, connection } = await containerLifecycle.running(get(request.containerId), signal);
      await connection.reopenLog(container.id, signal);
      return {};
    },

    async updateContainerResources(request, signal) {
      const resources = containerResources(required("linux", request.linux));
      await containerLifecycle.update(get(request.containerId), resources, signal);
      return {};
    },

    async checkpointContainer(request, signal) {
      const timeoutMs = limitMs(request.timeout);
      const { container, connection } = await containerLifecycle.running(get(request.containerId), signal);
      await deps.checkpoints.save(container, connection, request.location, timeoutMs, signal);
      return {};
    },

    async execSync(request, signal) {
      const timeoutMs = limitMs(request.timeout);
      const target = await containerLifecycle.running(get(request.containerId), signal);
      const result = await execSync(target, execBases, request.cmd, timeoutMs, signal);
      return { stdout: result.stdout, stderr: result.stderr, exitCode: result.end.exitCode };
    },
  };
}

/** Seconds of the wire to milliseconds; more than a day is a day. */
function milliseconds(seconds: bigint): number {
  return Number(seconds > 86_400n ? 86_400n : seconds) * 1000;
}

/** Of a call that names its own time. @throws RuntimeError `invalid-argument`. */
function limitMs(seconds: bigint): number {
  if (seconds < 0n)
    throw new RuntimeError("invalid-argument", `timeout ${seconds} is negative: give seconds, or 0`);
  return milliseconds(seconds);
}

function sandboxMatches(sandbox: Sandbox, filter: PodSandboxFilter | undefined): boolean {
  if (filter === undefined) return true;
  if (filter.id !== "" && !sandbox.id.startsWith(filter.id)) return false;
  if (filter.state !== undefined && wireSandboxState(sandbox) !== filter.state.state) return false;
  return matchesLabels(sandbox.config.labels, filter.labelSelector);
}

function containerMatches(container: Container, filter: ContainerFilter | undefined): boolean {
  if (filter === undefined) return true;
  if (filter.id !== "" && !container.id.startsWith(filter.id)) return false;
  if (filter.podSandboxId !== "" && !container.sandboxId.startsWith(filter.podSandboxId)) return false;
  if (filter.state !== undefined && wireContainerState(container) !== filter.state.state) return false;
  return matchesLabels(container.config.labels, filter.labelSelector);
}

/** For people (`crictl inspectp`): where things are. */
function sandboxInfo(sandbox: Sandbox): object {
  return {
    state: sandbox.state,
    reason: sandbox.reason,
    handler: sandbox.handler,
    folder: sandbox.folder,
    netns: sandbox.netnsPath,
    cgroupParent: sandbox.cgroupParent,
    monitor: sandbox.monitor,
    pid: sandbox.monitor?.pid,
    network: sandbox.network,
  };
}

/** For people (`crictl inspect`): where things are. */
function containerInfo(container: Container): object {
  return {
    state: container.state,
    sandboxID: container.sandboxId,
    pid: container.pid,
    bundle: container.bundle,
    cgroup: container.cgroup,
    image: container.imageId,
    stopSignal: container.stopSignal,
    user: container.user,
  };
}
