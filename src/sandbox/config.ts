/** What a pod asks for, as plain values. Source: cri-api/runtime/v1/api.proto, PodSandboxConfig. */
import type { IdMap } from "../oci/id-map.ts";

/** Where a namespace comes from. `node`: the host's. `target`: of another container (`targetId`). */
export type NamespaceMode = "pod" | "container" | "node" | "target";

export interface UserNamespaceOptions {
  /** undefined: not said; a container then has its pod's, a pod the host's. */
  readonly user: "pod" | "node" | undefined;
  /** With user = "pod". */
  readonly idMap?: IdMap | undefined;
}

export interface NamespaceOptions extends UserNamespaceOptions {
  readonly network: NamespaceMode;
  readonly pid: NamespaceMode;
  readonly ipc: NamespaceMode;
  /** A container id, with pid = "target". */
  readonly targetId: string;
}

export type SeccompProfile =
  | { readonly type: "runtime-default" }
  | { readonly type: "unconfined" }
  | { readonly type: "localhost"; readonly path: string };

export interface SelinuxLabel {
  readonly user: string;
  readonly role: string;
  readonly type: string;
  readonly level: string;
}

export interface PortMapping {
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly containerPort: number;
  readonly hostPort: number;
  readonly hostIp: string;
}

export interface DnsConfig {
  readonly servers: readonly string[];
  readonly searches: readonly string[];
  readonly options: readonly string[];
}

export interface PodMetadata {
  readonly name: string;
  readonly uid: string;
  readonly namespace: string;
  readonly attempt: number;
}

export interface PodConfig {
  readonly metadata: PodMetadata;
  readonly hostname: string;
  /** Absolute folder of the containers' logs; "" when the pod keeps none. */
  readonly logDirectory: string;
  /** undefined: the host's resolv.conf is copied. */
  readonly dns: DnsConfig | undefined;
  readonly portMappings: readonly PortMapping[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** "": the root. cgroupfs: a path; systemd: a slice. */
  readonly cgroupParent: string;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly namespaces: NamespaceOptions;
  readonly privileged: boolean;
  readonly readonlyRootfs: boolean;
  readonly selinux: SelinuxLabel | undefined;
  readonly seccomp: SeccompProfile | undefined;
  readonly apparmorProfile: string;
  readonly supplementalGroups: readonly number[];
}
