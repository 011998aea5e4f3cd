/**
 * What the spec depends on beside the request: facts of the host, and of what the request names on it.
 * Values only; host.ts gathers them.
 */
/** True for the daemon's whole life. */
export interface HostFacts {
  readonly arch: "x64" | "arm64";
  /** Release of the running kernel, "6.18.5-1". */
  readonly kernel: string;
  readonly hostname: string;
  readonly cgroupVersion: 1 | 2;
  /** Whether the hierarchy that containers go to has these controllers. */
  readonly hugetlb: boolean;
  readonly swap: boolean;
  /** Capabilities that the daemon holds, full names. */
  readonly capabilities: readonly string[];
  readonly seccomp: boolean;
  readonly apparmor: boolean;
  readonly selinux: boolean;
  /** CPUs that the machine may have: some masked paths exist once per CPU. */
  readonly possibleCpus: number;
  /** mount_setattr(2) with AT_RECURSIVE, Linux 5.12. */
  readonly recursiveReadonly: boolean;
}

/** The source of a mount as found on the host. */
export interface MountSource {
  /** Links resolved. */
  readonly path: string;
  /** Of the mount that holds it. */
  readonly propagation: "private" | "slave" | "shared";
  /** Where that mount is. */
  readonly mountPoint: string;
}

/** What stands at a path that a request calls a device. */
export interface DeviceNode {
  readonly path: string;
  readonly type: "c" | "b" | "link" | "folder" | "other";
  readonly major: number;
  readonly minor: number;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** What one request names. */
export interface RequestFacts {
  /** By host path as requested. */
  readonly sources: ReadonlyMap<string, MountSource>;
  /** By host path as requested; absent: nothing is there. */
  readonly devices: ReadonlyMap<string, DeviceNode>;
  /** All of the host's, for a privileged container; else empty. */
  readonly hostDevices: readonly DeviceNode[];
  /** The text of the file of a localhost seccomp profile. */
  readonly seccompFile: string | undefined;
}
