/** A plain request and a plain host, for the tables of this folder's tests. */
import type { ContainerConfig, ContainerResources, ContainerSecurity } from "../config.ts";
import type { PodConfig } from "../../sandbox/config.ts";
import { capabilityNames } from "./capability.ts";
import type { HostFacts, RequestFacts } from "./facts.ts";
import { containerSpec, type ContainerSpecInput } from "./spec.ts";

export const host: HostFacts = {
  arch: "x64",
  kernel: "6.18.0",
  hostname: "node-1",
  cgroupVersion: 2,
  hugetlb: true,
  swap: true,
  capabilities: capabilityNames,
  seccomp: true,
  apparmor: false,
  selinux: false,
  possibleCpus: 2,
  recursiveReadonly: true,
};

export const noFacts: RequestFacts = {
  sources: new Map(),
  devices: new Map(),
  hostDevices: [],
  seccompFile: undefined,
};

export const namespaces = {
  network: "pod",
  pid: "container",
  ipc: "pod",
  targetId: "",
  user: "node",
} as const;

export const pod: PodConfig = {
  metadata: { name: "web", uid: "uid-1", namespace: "default", attempt: 0 },
  hostname: "web-0",
  logDirectory: "",
  dns: undefined,
  portMappings: [],
  labels: {},
  annotations: {},
  cgroupParent: "/kubepods/pod1",
  sysctls: {},
  namespaces,
  privileged: false,
  readonlyRootfs: false,
  selinux: undefined,
  seccomp: undefined,
  apparmorProfile: "",
  supplementalGroups: [],
};

export const security: ContainerSecurity = {
  addCapabilities: [],
  dropCapabilities: [],
  addAmbientCapabilities: [],
  privileged: false,
  namespaces,
  selinux: undefined,
  runAsUser: undefined,
  runAsGroup: undefined,
  runAsUsername: "",
  readonlyRootfs: false,
  supplementalGroups: [],
  supplementalGroupsPolicy: "merge",
  noNewPrivs: false,
  maskedPaths: [],
  readonlyPaths: [],
  seccomp: undefined,
  apparmorProfile: "",
};

export const container: ContainerConfig = {
  metadata: { name: "app", attempt: 0 },
  image: "sha256:1",
  userSpecifiedImage: "example.org/app:1",
  command: [],
  args: [],
  workingDir: "",
  envs: [],
  mounts: [],
  devices: [],
  labels: {},
  annotations: {},
  logPath: "",
  stdin: false,
  stdinOnce: false,
  tty: false,
  resources: undefined,
  security,
  stopSignal: "",
};

export const noLimits: ContainerResources = {
  cpuPeriodUs: 0n,
  cpuQuotaUs: 0n,
  cpuShares: 0n,
  memoryLimitBytes: 0n,
  oomScoreAdj: 0n,
  cpusetCpus: "",
  cpusetMems: "",
  hugepageLimits: [],
  unified: {},
  memorySwapLimitBytes: 0n,
};

export interface Change {
  readonly container?: Partial<ContainerConfig>;
  readonly security?: Partial<ContainerSecurity>;
  readonly pod?: Partial<PodConfig>;
  readonly host?: Partial<HostFacts>;
  readonly facts?: Partial<RequestFacts>;
  readonly input?: Partial<ContainerSpecInput>;
}

/** The spec of the plain request with these changes. */
export function specOf(change: Change = {}) {
  return containerSpec({
    id: "c".repeat(64),
    podId: "p".repeat(64),
    pod: { ...pod, ...change.pod },
    container: {
      ...container,
      ...change.container,
      security: { ...security, ...change.container?.security, ...change.security },
    },
    image: { env: ["PATH=/bin"], entrypoint: ["/app"], cmd: ["--serve"], workingDir: "/srv" },
    user: { uid: 0, gid: 0, additionalGids: [], home: "/root" },
    files: { hosts: "/run/p/hosts", hostname: "/run/p/hostname", resolvConf: "/run/p/resolv.conf" },
    cgroupsPath: "/kubepods/pod1/c1",
    host: { ...host, ...change.host },
    facts: { ...noFacts, ...change.facts },
    ...change.input,
  });
}
