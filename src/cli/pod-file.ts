/**
 * From a v1 Pod, as people write it for Kubernetes, to what the CRI is asked for. Pure.
 *
 * Enters: the text of a YAML file. Leaves: a plan: sandbox, containers, the folders that emptyDir volumes need.
 * What a kubelet would do beyond starting containers (probes, restarts, secrets, init containers, ...) is not here:
 * each such field is an error that names it, because leaving one out silently runs something else than was asked for.
 */
import type { V1Container, V1Pod, V1SecurityContext, V1Volume, V1VolumeMount } from "@kubernetes/client-node";
import { parseAllDocuments } from "yaml";
import {
  type ContainerConfigInit,
  type LinuxContainerResourcesInit,
  type LinuxContainerSecurityContextInit,
  MountPropagation,
  type MountInit,
  NamespaceMode,
  type PodSandboxConfigInit,
  type PortMappingInit,
  Protocol,
  ProfileType,
  type SecurityProfileInit,
} from "../../cri-api/index.ts";
import { CliError, exitCode } from "./cli-error.ts";
import { parseQuantity } from "./quantity.ts";

export interface PodPlan {
  readonly sandbox: PodSandboxConfigInit & {
    readonly metadata: { readonly name: string; readonly namespace: string; readonly uid: string };
  };
  readonly runtimeHandler: string;
  readonly containers: readonly ContainerPlan[];
  /** Names of emptyDir volumes: folders `volumes/NAME` in the pod's folder. */
  readonly emptyDirs: readonly string[];
}

export type PullPolicy = "Always" | "IfNotPresent" | "Never";

export interface ContainerPlan {
  readonly config: ContainerConfigInit;
  readonly image: string;
  readonly pullPolicy: PullPolicy;
}

/** Where the pod's own things are. */
export interface PodPlace {
  readonly uid: string;
  /** Absolute; logs and emptyDir volumes go below it. */
  readonly folder: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** The fields that are understood, as paths; `*` stands for every element or key. */
const understood = [
  "apiVersion",
  "kind",
  "metadata.name",
  "metadata.namespace",
  "metadata.labels.*",
  "metadata.annotations.*",
  "spec.hostname",
  "spec.hostNetwork",
  "spec.hostPID",
  "spec.hostIPC",
  "spec.shareProcessNamespace",
  "spec.runtimeClassName",
  "spec.restartPolicy",
  "spec.dnsPolicy",
  "spec.dnsConfig.nameservers.*",
  "spec.dnsConfig.searches.*",
  "spec.securityContext.runAsUser",
  "spec.securityContext.runAsGroup",
  "spec.securityContext.supplementalGroups.*",
  "spec.securityContext.seccompProfile.type",
  "spec.securityContext.seccompProfile.localhostProfile",
  "spec.securityContext.sysctls.*.name",
  "spec.securityContext.sysctls.*.value",
  "spec.volumes.*.name",
  "spec.volumes.*.hostPath.path",
  "spec.volumes.*.hostPath.type",
  "spec.volumes.*.emptyDir",
  "spec.containers.*.name",
  "spec.containers.*.image",
  "spec.containers.*.imagePullPolicy",
  "spec.containers.*.command.*",
  "spec.containers.*.args.*",
  "spec.containers.*.workingDir",
  "spec.containers.*.tty",
  "spec.containers.*.env.*.name",
  "spec.containers.*.env.*.value",
  "spec.containers.*.ports.*.name",
  "spec.containers.*.ports.*.containerPort",
  "spec.containers.*.ports.*.hostPort",
  "spec.containers.*.ports.*.hostIP",
  "spec.containers.*.ports.*.protocol",
  "spec.containers.*.volumeMounts.*.name",
  "spec.containers.*.volumeMounts.*.mountPath",
  "spec.containers.*.volumeMounts.*.readOnly",
  "spec.containers.*.volumeMounts.*.mountPropagation",
  "spec.containers.*.resources.limits.cpu",
  "spec.containers.*.resources.limits.memory",
  "spec.containers.*.resources.requests.cpu",
  "spec.containers.*.resources.requests.memory",
  "spec.containers.*.securityContext.runAsUser",
  "spec.containers.*.securityContext.runAsGroup",
  "spec.containers.*.securityContext.privileged",
  "spec.containers.*.securityContext.readOnlyRootFilesystem",
  "spec.containers.*.securityContext.allowPrivilegeEscalation",
  "spec.containers.*.securityContext.capabilities.add.*",
  "spec.containers.*.securityContext.capabilities.drop.*",
  "spec.containers.*.securityContext.seccompProfile.type",
  "spec.containers.*.securityContext.seccompProfile.localhostProfile",
].map((path) => path.split("."));

/** @throws CliError naming the file's fault */
export function planPod(text: string, place: PodPlace): PodPlan {
  const pod = readPod(text);
  const spec = pod.spec;
  const name = pod.metadata?.name;
  if (!name) throw fault("metadata.name is missing");
  if (!spec?.containers?.length) throw fault("spec.containers is empty");
  if (spec.restartPolicy !== undefined && spec.restartPolicy !== "Never")
    throw fault(`spec.restartPolicy ${spec.restartPolicy}: kobako run starts containers once; write Never`);
  if (spec.dnsConfig && spec.dnsPolicy !== "None")
    throw fault("spec.dnsConfig is taken with dnsPolicy None only: there is no cluster's to merge it with");
  const namespace = pod.metadata?.namespace ?? "default";
  const volumes = new Map((spec.volumes ?? []).map((volume) => [volume.name, volumeSource(volume, place)]));
  const sandbox = {
    metadata: { name, namespace, uid: place.uid, attempt: 0 },
    hostname: spec.hostNetwork ? "" : (spec.hostname ?? name),
    logDirectory: `${place.folder}/logs`,
    labels: {
      ...pod.metadata?.labels,
      "io.kubernetes.pod.name": name,
      "io.kubernetes.pod.namespace": namespace,
      "io.kubernetes.pod.uid": place.uid,
    },
    annotations: { ...pod.metadata?.annotations, ...place.annotations },
    portMappings: spec.containers.flatMap((container) =>
      (container.ports ?? []).map((port, i) => portMapping(port, `${container.name}: ports[${i}]`)),
    ),
    ...(spec.dnsConfig
      ? { dnsConfig: { servers: spec.dnsConfig.nameservers, searches: spec.dnsConfig.searches } }
      : {}),
    linux: {
      sysctls: Object.fromEntries(
        (spec.securityContext?.sysctls ?? []).map(({ name: key, value }) => [key, value]),
      ),
      securityContext: {
        namespaceOptions: namespaces(pod),
        privileged: spec.containers.some(({ securityContext }) => securityContext?.privileged),
        seccomp: seccomp(spec.securityContext?.seccompProfile, { type: ProfileType.RuntimeDefault }),
        supplementalGroups: (spec.securityContext?.supplementalGroups ?? []).map(BigInt),
        ...idOf("runAsUser", spec.securityContext?.runAsUser),
        ...idOf("runAsGroup", spec.securityContext?.runAsGroup),
      },
    },
  };
  return {
    sandbox,
    runtimeHandler: spec.runtimeClassName ?? "",
    containers: spec.containers.map((container) => planContainer(pod, container, volumes)),
    emptyDirs: (spec.volumes ?? [])
      .filter((volume) => volume.emptyDir !== undefined)
      .map((volume) => volume.name),
  };
}

function readPod(text: string): V1Pod {
  const documents = parseAllDocuments(text).filter((document) => document.contents !== null);
  const [document] = documents;
  if (!document || documents.length > 1)
    throw fault(`it holds ${documents.length} documents, one Pod is wanted`);
  const [error] = document.errors;
  if (error) throw fault(error.message.split("\n")[0] ?? "not valid YAML");
  const pod = document.toJS({ maxAliasCount: 100 }) as V1Pod | null;
  if (typeof pod !== "object" || pod === null || pod.apiVersion !== "v1" || pod.kind !== "Pod")
    throw fault(`it is ${pod?.apiVersion ?? "?"} ${pod?.kind ?? "?"}, a v1 Pod is wanted`);
  const unknown = [...fieldsNotUnderstood(pod, [])];
  if (unknown.length > 0)
    throw fault(
      `not supported by kobako run: ${unknown.slice(0, 10).join(", ")}${unknown.length > 10 ? ", ..." : ""}`,
    );
  return pod;
}

function* fieldsNotUnderstood(value: unknown, path: readonly string[]): Generator<string> {
  // Empty things, as tools leave them behind (status: {}, creationTimestamp: null), ask for nothing.
  const isObject = typeof value === "object" && value !== null;
  if (value === null || value === undefined || (isObject && Object.keys(value).length === 0)) return;
  const here = understood.filter((known) => path.every((name, i) => known[i] === name || known[i] === "*"));
  const isWhole = here.some((known) => known.length === path.length);
  if (here.length === 0 || (!isObject && !isWhole)) yield showPath(path);
  else if (isObject)
    for (const [key, inner] of Object.entries(value)) yield* fieldsNotUnderstood(inner, [...path, key]);
}

function showPath(path: readonly string[]): string {
  return path.map((name, i) => (/^\d+$/.test(name) ? `[${name}]` : `${i > 0 ? "." : ""}${name}`)).join("");
}

interface VolumeSource {
  readonly hostPath: string;
}

function volumeSource(volume: V1Volume, place: PodPlace): VolumeSource {
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(volume.name))
    throw fault(`volume name ${volume.name} is not a DNS label`);
  if (volume.emptyDir !== undefined) return { hostPath: `${place.folder}/volumes/${volume.name}` };
  const path = volume.hostPath?.path;
  if (!path?.startsWith("/"))
    throw fault(`volume ${volume.name}: hostPath or emptyDir is wanted, hostPath.path absolute`);
  return { hostPath: path };
}

type Port = { containerPort: number; hostPort?: number; hostIP?: string; protocol?: string };

function portMapping(port: Port, field: string): PortMappingInit {
  const protocol = Protocol[(port.protocol ?? "TCP") as keyof typeof Protocol];
  if (protocol === undefined) throw fault(`${field}.protocol ${port.protocol} is none of TCP, UDP, SCTP`);
  return {
    protocol,
    containerPort: port.containerPort,
    hostPort: port.hostPort ?? 0,
    hostIp: port.hostIP ?? "",
  };
}

function namespaces(pod: V1Pod): { network: NamespaceMode; pid: NamespaceMode; ipc: NamespaceMode } {
  const spec = pod.spec;
  return {
    network: spec?.hostNetwork ? NamespaceMode.NODE : NamespaceMode.POD,
    pid: spec?.hostPID
      ? NamespaceMode.NODE
      : spec?.shareProcessNamespace
        ? NamespaceMode.POD
        : NamespaceMode.CONTAINER,
    ipc: spec?.hostIPC ? NamespaceMode.NODE : NamespaceMode.POD,
  };
}

function planContainer(
  pod: V1Pod,
  container: V1Container,
  volumes: ReadonlyMap<string, VolumeSource>,
): ContainerPlan {
  const { name, image } = container;
  if (!name || !image) throw fault(`containers need name and image${name ? ` (${name})` : ""}`);
  const policy = container.imagePullPolicy ?? "IfNotPresent";
  if (policy !== "Always" && policy !== "IfNotPresent" && policy !== "Never")
    throw fault(`${name}: imagePullPolicy ${policy} is none of Always, IfNotPresent, Never`);
  return {
    image,
    pullPolicy: policy,
    config: {
      metadata: { name, attempt: 0 },
      image: { image, userSpecifiedImage: image },
      command: container.command,
      args: container.args,
      workingDir: container.workingDir,
      envs: (container.env ?? []).map((env) => ({ key: env.name, value: Buffer.from(env.value ?? "") })),
      mounts: (container.volumeMounts ?? []).map((mount) => volumeMount(name, mount, volumes)),
      labels: { "io.kubernetes.container.name": name },
      logPath: `${name}_0.log`,
      tty: container.tty,
      linux: {
        resources: resources(name, container),
        securityContext: security(pod, container.securityContext),
      },
    },
  };
}

const propagations: Readonly<Record<string, MountPropagation>> = {
  None: MountPropagation.PROPAGATION_PRIVATE,
  HostToContainer: MountPropagation.PROPAGATION_HOST_TO_CONTAINER,
  Bidirectional: MountPropagation.PROPAGATION_BIDIRECTIONAL,
};

function volumeMount(
  container: string,
  mount: V1VolumeMount,
  volumes: ReadonlyMap<string, VolumeSource>,
): MountInit {
  const source = volumes.get(mount.name);
  if (!source) throw fault(`${container}: volumeMounts names ${mount.name}, which is not among spec.volumes`);
  const propagation = propagations[mount.mountPropagation ?? "None"];
  if (propagation === undefined)
    throw fault(`${container}: mountPropagation ${mount.mountPropagation} is not known`);
  return {
    containerPath: mount.mountPath,
    hostPath: source.hostPath,
    readonly: mount.readOnly ?? false,
    propagation,
  };
}

/** The period over which a CPU limit is given, microseconds: the kernel's own default. */
const cpuPeriodUs = 100_000n;

/** Source: kubelet, pkg/kubelet/cm/helpers_linux.go (MilliCPUToShares, MilliCPUToQuota). */
function resources(container: string, { resources: asked }: V1Container): LinuxContainerResourcesInit {
  const at = (kind: "limits" | "requests", name: string, perUnit: bigint): bigint => {
    const text = asked?.[kind]?.[name];
    return text === undefined ? 0n : parseQuantity(text, perUnit, `${container}: resources.${kind}.${name}`);
  };
  const limitMilli = at("limits", "cpu", 1000n);
  const requestMilli = at("requests", "cpu", 1000n) || limitMilli;
  const quota = (limitMilli * cpuPeriodUs) / 1000n;
  return {
    ...(limitMilli > 0n ? { cpuPeriod: cpuPeriodUs, cpuQuota: quota < 1000n ? 1000n : quota } : {}),
    cpuShares: clamp((requestMilli * 1024n) / 1000n, 2n, 262_144n),
    memoryLimitInBytes: at("limits", "memory", 1n),
  };
}

function clamp(value: bigint, min: bigint, max: bigint): bigint {
  return value < min ? min : value > max ? max : value;
}

function security(pod: V1Pod, own: V1SecurityContext | undefined): LinuxContainerSecurityContextInit {
  const shared = pod.spec?.securityContext;
  const privileged = own?.privileged ?? false;
  return {
    privileged,
    namespaceOptions: namespaces(pod),
    readonlyRootfs: own?.readOnlyRootFilesystem ?? false,
    noNewPrivs: own?.allowPrivilegeEscalation === false,
    capabilities: { addCapabilities: own?.capabilities?.add, dropCapabilities: own?.capabilities?.drop },
    supplementalGroups: (shared?.supplementalGroups ?? []).map(BigInt),
    seccomp: seccomp(own?.seccompProfile ?? shared?.seccompProfile, {
      type: privileged ? ProfileType.Unconfined : ProfileType.RuntimeDefault,
    }),
    ...(privileged ? {} : { maskedPaths, readonlyPaths }),
    ...idOf("runAsUser", own?.runAsUser ?? shared?.runAsUser),
    ...idOf("runAsGroup", own?.runAsGroup ?? shared?.runAsGroup),
  };
}

/** What a kubelet sends for procMount: Default. */
const maskedPaths = [
  "/proc/asound",
  "/proc/acpi",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/sys/firmware",
  "/sys/devices/virtual/powercap",
];
const readonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

function seccomp(
  profile: { type: string; localhostProfile?: string } | undefined,
  fallback: { readonly type: ProfileType },
): SecurityProfileInit {
  if (!profile) return { profileType: fallback.type };
  const profileType = ProfileType[profile.type as keyof typeof ProfileType];
  if (profileType === undefined)
    throw fault(`seccompProfile.type ${profile.type} is none of RuntimeDefault, Localhost, Unconfined`);
  const path = profile.localhostProfile ?? "";
  // A kubelet looks below its own folder; there is none here.
  if (profileType === ProfileType.Localhost && !path.startsWith("/"))
    throw fault("seccompProfile.localhostProfile must be an absolute path");
  return { profileType, localhostRef: path };
}

function idOf<K extends "runAsUser" | "runAsGroup">(
  key: K,
  value: number | undefined,
): Partial<Record<K, { value: bigint }>> {
  if (value === undefined) return {};
  if (!Number.isSafeInteger(value)) throw fault(`securityContext.${key} ${value} is not a whole number`);
  return { [key]: { value: BigInt(value) } } as Partial<Record<K, { value: bigint }>>;
}

function fault(message: string): CliError {
  return new CliError(`pod file: ${message}`, exitCode.usage);
}
