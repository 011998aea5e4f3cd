/** CRI PodSandboxConfig to PodConfig. Pure. */
import {
  type DNSConfig,
  type NamespaceOption,
  NamespaceMode as WireMode,
  type PodSandboxConfig,
  type PortMapping as WirePort,
  ProfileType,
  Protocol,
  type SecurityProfile,
  type SELinuxOption,
} from "../../../cri-api/index.ts";
import { RuntimeError } from "../../errors/runtime-error.ts";
import type {
  DnsConfig,
  NamespaceMode,
  NamespaceOptions,
  PodConfig,
  PortMapping,
  SeccompProfile,
  SelinuxLabel,
} from "../../sandbox/config.ts";
import { enumName, noNul, plainMap, required } from "./fields.ts";
import { userNamespace } from "./user-namespace.ts";

const modes: Readonly<Record<number, NamespaceMode>> = {
  [WireMode.POD]: "pod",
  [WireMode.CONTAINER]: "container",
  [WireMode.NODE]: "node",
  [WireMode.TARGET]: "target",
};

export const modeNumbers = {
  pod: WireMode.POD,
  container: WireMode.CONTAINER,
  node: WireMode.NODE,
  target: WireMode.TARGET,
};

const protocols: Readonly<Record<number, PortMapping["protocol"]>> = {
  [Protocol.TCP]: "tcp",
  [Protocol.UDP]: "udp",
  [Protocol.SCTP]: "sctp",
};

/** @throws RuntimeError `invalid-argument` naming the field. */
export function podConfig(wire: PodSandboxConfig | undefined): PodConfig {
  const config = required("config", wire);
  const metadata = required("config.metadata", config.metadata);
  const security = config.linux?.securityContext;
  return {
    metadata: {
      name: metadata.name,
      uid: metadata.uid,
      namespace: metadata.namespace,
      attempt: metadata.attempt,
    },
    hostname: noNul("config.hostname", config.hostname),
    logDirectory: noNul("config.log_directory", config.logDirectory),
    dns: config.dnsConfig === undefined ? undefined : dnsConfig(config.dnsConfig),
    portMappings: config.portMappings.map(portMapping),
    labels: plainMap(config.labels),
    annotations: plainMap(config.annotations),
    cgroupParent: config.linux?.cgroupParent ?? "",
    sysctls: plainMap(config.linux?.sysctls ?? {}),
    namespaces: namespaceOptions("linux.security_context.namespace_options", security?.namespaceOptions),
    privileged: security?.privileged ?? false,
    readonlyRootfs: security?.readonlyRootfs ?? false,
    selinux: selinuxLabel(security?.selinuxOptions),
    seccomp: seccompProfile(security?.seccomp, security?.seccompProfilePath ?? ""),
    apparmorProfile: apparmorProfile(security?.apparmor, ""),
    supplementalGroups: (security?.supplementalGroups ?? []).map(Number),
  };
}

/** Absent options are the CRI's defaults: everything of the pod's own, PID namespace shared (POD is 0). */
export function namespaceOptions(field: string, wire: NamespaceOption | undefined): NamespaceOptions {
  if (wire === undefined) return { network: "pod", pid: "pod", ipc: "pod", targetId: "", user: undefined };
  return {
    network: enumName(`${field}.network`, modes, wire.network),
    pid: enumName(`${field}.pid`, modes, wire.pid),
    ipc: enumName(`${field}.ipc`, modes, wire.ipc),
    targetId: wire.targetId,
    ...userNamespace(`${field}.userns_options`, wire.usernsOptions),
  };
}

/** The newer field wins over the path form that it replaces. */
export function seccompProfile(wire: SecurityProfile | undefined, path: string): SeccompProfile | undefined {
  if (wire !== undefined) {
    switch (wire.profileType) {
      case ProfileType.RuntimeDefault:
        return { type: "runtime-default" };
      case ProfileType.Unconfined:
        return { type: "unconfined" };
      case ProfileType.Localhost:
        return { type: "localhost", path: noNul("seccomp.localhost_ref", wire.localhostRef) };
      default:
        throw new RuntimeError("invalid-argument", `seccomp.profile_type ${wire.profileType} is unknown`);
    }
  }
  if (path === "") return undefined;
  if (path === "runtime/default" || path === "docker/default") return { type: "runtime-default" };
  if (path === "unconfined") return { type: "unconfined" };
  if (path.startsWith("localhost/"))
    return { type: "localhost", path: noNul("seccomp_profile_path", path.slice("localhost/".length)) };
  throw new RuntimeError(
    "invalid-argument",
    `seccomp_profile_path ${JSON.stringify(path.slice(0, 120))}: expected runtime/default, unconfined or localhost/PATH`,
  );
}

/** As "runtime/default", "unconfined", "localhost/NAME" or "". */
export function apparmorProfile(wire: SecurityProfile | undefined, text: string): string {
  if (wire === undefined) return noNul("apparmor_profile", text);
  switch (wire.profileType) {
    case ProfileType.RuntimeDefault:
      return "runtime/default";
    case ProfileType.Unconfined:
      return "unconfined";
    case ProfileType.Localhost:
      return `localhost/${noNul("apparmor.localhost_ref", wire.localhostRef)}`;
    default:
      throw new RuntimeError("invalid-argument", `apparmor.profile_type ${wire.profileType} is unknown`);
  }
}

export function selinuxLabel(wire: SELinuxOption | undefined): SelinuxLabel | undefined {
  if (wire === undefined) return undefined;
  const { user, role, type, level } = wire;
  return user + role + type + level === "" ? undefined : { user, role, type, level };
}

function dnsConfig(wire: DNSConfig): DnsConfig | undefined {
  // A kubelet sends an empty one for dnsPolicy Default: the node's file, as without one.
  if (wire.servers.length + wire.searches.length + wire.options.length === 0) return undefined;
  return { servers: wire.servers, searches: wire.searches, options: wire.options };
}

function portMapping(wire: WirePort): PortMapping {
  return {
    protocol: enumName("config.port_mappings.protocol", protocols, wire.protocol),
    containerPort: wire.containerPort,
    hostPort: wire.hostPort,
    hostIp: wire.hostIp,
  };
}
