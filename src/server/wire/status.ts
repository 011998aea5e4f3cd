/** Sandboxes and containers as the CRI shows them. Pure. */
import {
  type ContainerInit,
  ContainerState as WireContainerState,
  type ContainerStatusInit,
  type PodSandboxInit,
  PodSandboxState,
  type PodSandboxStatusInit,
} from "../../../cri-api/index.ts";
import type { Container } from "../../container/container.ts";
import type { ContainerState } from "../../container/state.ts";
import type { NamespaceOptions } from "../../sandbox/config.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import { wireMount, wireResources, wireSignal } from "./container-config.ts";
import { modeNumbers } from "./pod-config.ts";
import { wireUserNamespace } from "./user-namespace.ts";

const containerStates: Readonly<Record<ContainerState, number>> = {
  creating: WireContainerState.CONTAINER_CREATED,
  created: WireContainerState.CONTAINER_CREATED,
  starting: WireContainerState.CONTAINER_CREATED,
  running: WireContainerState.CONTAINER_RUNNING,
  exited: WireContainerState.CONTAINER_EXITED,
  removing: WireContainerState.CONTAINER_EXITED,
};

export function wireSandboxState(sandbox: Sandbox): number {
  return sandbox.state === "ready" ? PodSandboxState.SANDBOX_READY : PodSandboxState.SANDBOX_NOTREADY;
}

export function wireContainerState(container: Container): number {
  return containerStates[container.state];
}

export function wireSandbox(sandbox: Sandbox): PodSandboxInit {
  return {
    id: sandbox.id,
    metadata: sandbox.config.metadata,
    state: wireSandboxState(sandbox),
    createdAt: sandbox.createdAtNs,
    labels: sandbox.config.labels,
    annotations: sandbox.config.annotations,
    runtimeHandler: sandbox.requestedHandler,
  };
}

export function wireSandboxStatus(sandbox: Sandbox): PodSandboxStatusInit {
  const [ip, ...additional] = sandbox.state === "ready" ? (sandbox.network?.ips ?? []) : [];
  return {
    ...wireSandbox(sandbox),
    network: { ip: ip ?? "", additionalIps: additional.map((more) => ({ ip: more })) },
    linux: { namespaces: { options: wireNamespaces(sandbox.config.namespaces) } },
  };
}

export function wireContainer(container: Container): ContainerInit {
  return {
    id: container.id,
    podSandboxId: container.sandboxId,
    metadata: container.config.metadata,
    image: { image: container.config.image, userSpecifiedImage: container.config.userSpecifiedImage },
    imageRef: container.imageRef,
    state: wireContainerState(container),
    createdAt: container.createdAtNs,
    labels: container.config.labels,
    annotations: container.config.annotations,
    imageId: container.imageId,
  };
}

export function wireContainerStatus(container: Container): ContainerStatusInit {
  const { config, user } = container;
  const ended = container.state === "exited" || container.state === "removing";
  return {
    id: container.id,
    metadata: config.metadata,
    state: wireContainerState(container),
    createdAt: container.createdAtNs,
    startedAt: container.startedAtNs,
    finishedAt: container.finishedAtNs,
    exitCode: container.exitCode,
    image: {
      image: config.userSpecifiedImage || config.image,
      userSpecifiedImage: config.userSpecifiedImage,
    },
    imageRef: container.imageRef,
    reason: ended ? container.reason : "",
    message: ended ? container.message : "",
    labels: config.labels,
    annotations: config.annotations,
    mounts: config.mounts.map(wireMount),
    logPath: container.logPath,
    resources: config.resources === undefined ? undefined : { linux: wireResources(config.resources) },
    imageId: container.imageId,
    user:
      user === undefined
        ? undefined
        : {
            linux: {
              uid: BigInt(user.uid),
              gid: BigInt(user.gid),
              supplementalGroups: user.additionalGids.map(BigInt),
            },
          },
    stopSignal: wireSignal(container.stopSignal),
  };
}

function wireNamespaces(options: NamespaceOptions) {
  return {
    network: modeNumbers[options.network],
    pid: modeNumbers[options.pid],
    ipc: modeNumbers[options.ipc],
    targetId: options.targetId,
    usernsOptions: wireUserNamespace(options),
  };
}

/** Whether every pair of `selector` is among `labels`. */
export function matchesLabels(
  labels: Readonly<Record<string, string>>,
  selector: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(selector).every(
    ([key, value]) => Object.hasOwn(labels, key) && labels[key] === value,
  );
}
