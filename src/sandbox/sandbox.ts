import type { PodConfig } from "./config.ts";
import type { SandboxState } from "./state.ts";

/** The native process beside a pod; pid and start time together name it for good. */
export interface MonitorProcess {
  readonly pid: number;
  /** /proc/PID/stat field 22, clock ticks since boot. */
  readonly startTime: string;
  /** PID 1 of a shared PID namespace, or null. */
  readonly pausePid: number | null;
}

/** What the network gave. The first address is the pod's; the others are additional. */
export interface SandboxNetwork {
  readonly ips: readonly string[];
  readonly networkName: string;
  readonly interfaceName: string;
}

/** Facts of one sandbox. A value: a change makes a new one, so List and Status read without a lock. */
export interface Sandbox {
  readonly id: string;
  readonly config: PodConfig;
  /** The handler that runs it, resolved: never "". */
  readonly handler: string;
  /** The handler that was asked for, as the CRI reports it. */
  readonly requestedHandler: string;
  readonly state: SandboxState;
  readonly createdAtNs: bigint;
  readonly bootId: string;
  /** Volatile folder: monitor socket, hosts, resolv.conf, bundles. */
  readonly folder: string;
  /** Pin of the network namespace; undefined with the host's network. */
  readonly netnsPath: string | undefined;
  readonly monitor: MonitorProcess | undefined;
  readonly network: SandboxNetwork | undefined;
  /** Parent cgroup of the containers, as cgroupfs path below a hierarchy's root. */
  readonly cgroupParent: string;
  /** The parent was not there before: it goes with the sandbox. */
  readonly ownsCgroupParent: boolean;
  /** Why it is not ready: "" while it is. */
  readonly reason: string;
  /** Keyed hashes of the request's fields, for "same request?" without storing the request. */
  readonly fingerprint: Readonly<Record<string, string>>;
}

/** `namespace/name/uid/attempt`: what makes two requests the same sandbox (CRI, PodSandboxMetadata). */
export function sandboxName(metadata: PodConfig["metadata"]): string {
  // No part of it holds a "/" (validate.ts), so that two different ones never look alike.
  return `${metadata.namespace}/${metadata.name}/${metadata.uid}/${metadata.attempt}`;
}
