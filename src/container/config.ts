/** What a container asks for, as plain values. Source: cri-api/runtime/v1/api.proto, ContainerConfig. */
import type { IdMap } from "../oci/id-map.ts";
import type { NamespaceOptions, SeccompProfile, SelinuxLabel } from "../sandbox/config.ts";

export type MountPropagation = "private" | "slave" | "shared";

export interface ContainerMount {
  readonly containerPath: string;
  readonly hostPath: string;
  readonly readonly: boolean;
  readonly recursiveReadonly: boolean;
  readonly selinuxRelabel: boolean;
  readonly propagation: MountPropagation;
  /** Whose files it shows as whose: as the pod's user namespace, or undefined: by their numbers on the host. */
  readonly idMap?: IdMap | undefined;
}

export interface DeviceMapping {
  readonly containerPath: string;
  readonly hostPath: string;
  /** Some of "r", "w", "m". */
  readonly permissions: string;
}

/** cgroup limits; 0, "" or undefined: not set. Source: LinuxContainerResources. */
export interface ContainerResources {
  readonly cpuPeriodUs: bigint;
  readonly cpuQuotaUs: bigint;
  readonly cpuShares: bigint;
  readonly memoryLimitBytes: bigint;
  readonly oomScoreAdj: bigint;
  readonly cpusetCpus: string;
  readonly cpusetMems: string;
  readonly hugepageLimits: readonly { readonly pageSize: string; readonly limitBytes: bigint }[];
  readonly unified: Readonly<Record<string, string>>;
  readonly memorySwapLimitBytes: bigint;
}

export interface ContainerSecurity {
  readonly addCapabilities: readonly string[];
  readonly dropCapabilities: readonly string[];
  readonly addAmbientCapabilities: readonly string[];
  readonly privileged: boolean;
  readonly namespaces: NamespaceOptions;
  readonly selinux: SelinuxLabel | undefined;
  readonly runAsUser: bigint | undefined;
  readonly runAsGroup: bigint | undefined;
  readonly runAsUsername: string;
  readonly readonlyRootfs: boolean;
  readonly supplementalGroups: readonly bigint[];
  readonly supplementalGroupsPolicy: "merge" | "strict";
  readonly noNewPrivs: boolean;
  readonly maskedPaths: readonly string[];
  readonly readonlyPaths: readonly string[];
  /** undefined: unconfined; a kubelet always names one. */
  readonly seccomp: SeccompProfile | undefined;
  /** "" or "runtime/default", "unconfined", "localhost/NAME". */
  readonly apparmorProfile: string;
}

export interface ContainerConfig {
  readonly metadata: { readonly name: string; readonly attempt: number };
  /** What the client named: a reference or an image id. */
  readonly image: string;
  readonly userSpecifiedImage: string;
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly workingDir: string;
  readonly envs: readonly { readonly key: string; readonly value: Uint8Array }[];
  readonly mounts: readonly ContainerMount[];
  readonly devices: readonly DeviceMapping[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Relative to the pod's log folder; "": no log. */
  readonly logPath: string;
  readonly stdin: boolean;
  readonly stdinOnce: boolean;
  readonly tty: boolean;
  readonly resources: ContainerResources | undefined;
  readonly security: ContainerSecurity;
  /** "SIGTERM" style name, or "": the image's, else SIGTERM. */
  readonly stopSignal: string;
}
