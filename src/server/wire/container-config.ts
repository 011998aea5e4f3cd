/** CRI ContainerConfig to ContainerConfig, and the parts of it that are shown again. Pure. */
import {
  type ContainerConfig as WireConfig,
  type LinuxContainerResources,
  type LinuxContainerResourcesInit,
  type LinuxContainerSecurityContext,
  type Mount,
  MountPropagation as WirePropagation,
  type MountInit,
  Signal,
  SupplementalGroupsPolicy,
} from "../../../cri-api/index.ts";
import type {
  ContainerConfig,
  ContainerMount,
  ContainerResources,
  ContainerSecurity,
  MountPropagation,
} from "../../container/config.ts";
import { RuntimeError } from "../../errors/runtime-error.ts";
import { enumName, noNul, plainMap, required } from "./fields.ts";
import { apparmorProfile, namespaceOptions, seccompProfile, selinuxLabel } from "./pod-config.ts";
import { mountIdMap, wireIdMap } from "./user-namespace.ts";

const propagations: Readonly<Record<number, MountPropagation>> = {
  [WirePropagation.PROPAGATION_PRIVATE]: "private",
  [WirePropagation.PROPAGATION_HOST_TO_CONTAINER]: "slave",
  [WirePropagation.PROPAGATION_BIDIRECTIONAL]: "shared",
};

const propagationNumbers = {
  private: WirePropagation.PROPAGATION_PRIVATE,
  slave: WirePropagation.PROPAGATION_HOST_TO_CONTAINER,
  shared: WirePropagation.PROPAGATION_BIDIRECTIONAL,
};

const policies: Readonly<Record<number, "merge" | "strict">> = {
  [SupplementalGroupsPolicy.Merge]: "merge",
  [SupplementalGroupsPolicy.Strict]: "strict",
};

/** CRI's signal numbers to names such as "SIGTERM" and back; RUNTIME_DEFAULT is "". */
const signalNames: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(Signal).map(([name, number]) => [
    number,
    number === Signal.SIGNAL_RUNTIME_DEFAULT
      ? ""
      : name
          .replace(/^SIGNAL_/, "")
          .replace(/PLUS/, "+")
          .replace(/MINUS/, "-"),
  ]),
);

/** @throws RuntimeError `invalid-argument` naming the field. */
export function containerConfig(wire: WireConfig | undefined): ContainerConfig {
  const config = required("config", wire);
  const metadata = required("config.metadata", config.metadata);
  if (config.cdiDevices.length > 0) {
    throw new RuntimeError(
      "unimplemented",
      `config.CDI_devices: ${config.cdiDevices[0]?.name ?? ""}: CDI devices are not offered yet`,
    );
  }
  return {
    metadata: { name: metadata.name, attempt: metadata.attempt },
    image: config.image?.image ?? "",
    userSpecifiedImage: config.image?.userSpecifiedImage ?? "",
    command: config.command.map((arg) => noNul("config.command", arg)),
    args: config.args.map((arg) => noNul("config.args", arg)),
    workingDir: noNul("config.working_dir", config.workingDir),
    envs: config.envs.map(({ key, value }) => ({ key: noNul("config.envs.key", key), value })),
    mounts: config.mounts.map(containerMount),
    devices: config.devices.map((device) => ({
      containerPath: noNul("config.devices.container_path", device.containerPath),
      hostPath: noNul("config.devices.host_path", device.hostPath),
      permissions: device.permissions,
    })),
    labels: plainMap(config.labels),
    annotations: plainMap(config.annotations),
    logPath: noNul("config.log_path", config.logPath),
    stdin: config.stdin,
    stdinOnce: config.stdinOnce,
    tty: config.tty,
    resources: config.linux?.resources === undefined ? undefined : containerResources(config.linux.resources),
    security: containerSecurity(config.linux?.securityContext),
    stopSignal: enumName("config.stop_signal", signalNames, config.stopSignal),
  };
}

export function containerResources(wire: LinuxContainerResources): ContainerResources {
  return {
    cpuPeriodUs: wire.cpuPeriod,
    cpuQuotaUs: wire.cpuQuota,
    cpuShares: wire.cpuShares,
    memoryLimitBytes: wire.memoryLimitInBytes,
    oomScoreAdj: wire.oomScoreAdj,
    cpusetCpus: wire.cpusetCpus,
    cpusetMems: wire.cpusetMems,
    hugepageLimits: wire.hugepageLimits.map(({ pageSize, limit }) => ({ pageSize, limitBytes: limit })),
    unified: plainMap(wire.unified),
    memorySwapLimitBytes: wire.memorySwapLimitInBytes,
  };
}

export function wireResources(resources: ContainerResources): LinuxContainerResourcesInit {
  return {
    cpuPeriod: resources.cpuPeriodUs,
    cpuQuota: resources.cpuQuotaUs,
    cpuShares: resources.cpuShares,
    memoryLimitInBytes: resources.memoryLimitBytes,
    oomScoreAdj: resources.oomScoreAdj,
    cpusetCpus: resources.cpusetCpus,
    cpusetMems: resources.cpusetMems,
    hugepageLimits: resources.hugepageLimits.map(({ pageSize, limitBytes }) => ({
      pageSize,
      limit: limitBytes,
    })),
    unified: resources.unified,
    memorySwapLimitInBytes: resources.memorySwapLimitBytes,
  };
}

export function wireMount(mount: ContainerMount): MountInit {
  return {
    containerPath: mount.containerPath,
    hostPath: mount.hostPath,
    readonly: mount.readonly,
    selinuxRelabel: mount.selinuxRelabel,
    propagation: propagationNumbers[mount.propagation],
    recursiveReadOnly: mount.recursiveReadonly,
    uidMappings: wireIdMap(mount.idMap),
    gidMappings: wireIdMap(mount.idMap),
  };
}

/** CRI's number of a signal name; RUNTIME_DEFAULT for one that the CRI has no number for. */
export function wireSignal(name: string): number {
  const found = Object.entries(signalNames).find(([, known]) => known === name);
  return found === undefined ? Signal.SIGNAL_RUNTIME_DEFAULT : Number(found[0]);
}

function containerMount(wire: Mount): ContainerMount {
  if (wire.image !== undefined && wire.image.image !== "") {
    throw new RuntimeError(
      "unimplemented",
      `config.mounts: ${wire.containerPath} is an image volume: those are not offered yet`,
    );
  }
  if (wire.mountOptions.length > 0) {
    throw new RuntimeError(
      "unimplemented",
      `config.mounts: ${wire.containerPath} has mount_options: features.mount_options says that they are not offered`,
    );
  }
  return {
    containerPath: noNul("config.mounts.container_path", wire.containerPath),
    hostPath: noNul("config.mounts.host_path", wire.hostPath),
    readonly: wire.readonly,
    recursiveReadonly: wire.recursiveReadOnly,
    selinuxRelabel: wire.selinuxRelabel,
    propagation: enumName("config.mounts.propagation", propagations, wire.propagation),
    idMap: mountIdMap(`config.mounts: ${wire.containerPath}`, wire.uidMappings, wire.gidMappings),
  };
}

function containerSecurity(wire: LinuxContainerSecurityContext | undefined): ContainerSecurity {
  return {
    addCapabilities: wire?.capabilities?.addCapabilities ?? [],
    dropCapabilities: wire?.capabilities?.dropCapabilities ?? [],
    addAmbientCapabilities: wire?.capabilities?.addAmbientCapabilities ?? [],
    privileged: wire?.privileged ?? false,
    namespaces: namespaceOptions("linux.security_context.namespace_options", wire?.namespaceOptions),
    selinux: selinuxLabel(wire?.selinuxOptions),
    runAsUser: wire?.runAsUser?.value,
    runAsGroup: wire?.runAsGroup?.value,
    runAsUsername: noNul("run_as_username", wire?.runAsUsername ?? ""),
    readonlyRootfs: wire?.readonlyRootfs ?? false,
    supplementalGroups: wire?.supplementalGroups ?? [],
    supplementalGroupsPolicy: enumName(
      "supplemental_groups_policy",
      policies,
      wire?.supplementalGroupsPolicy ?? 0,
    ),
    noNewPrivs: wire?.noNewPrivs ?? false,
    maskedPaths: (wire?.maskedPaths ?? []).map((path) => noNul("masked_paths", path)),
    readonlyPaths: (wire?.readonlyPaths ?? []).map((path) => noNul("readonly_paths", path)),
    seccomp: seccompProfile(wire?.seccomp, wire?.seccompProfilePath ?? ""),
    apparmorProfile: apparmorProfile(wire?.apparmor, wire?.apparmorProfile ?? ""),
  };
}
