/**
 * The contract between sandbox logic and whatever runs the containers: the bundled runtime, an OCI
 * command, or a containerd shim. A handler starts sandboxes or finds them again; a `RuntimeSandbox`
 * is the live connection to one of them and carries all further verbs.
 * Never: knows images, networks, CRI messages or the store. Ids are the caller's; folders are made by it.
 * All calls wait at most for their own deadline and for `signal`; a call given up may still take
 * effect, so the undo of `prepare`, `create` and `start` is always `delete`.
 */
import type { Duplex } from "node:stream";
import type { IdMap } from "../oci/id-map.ts";
import type { OciProcess, OciResources, OciSpec } from "../oci/runtime-spec.ts";

/** Why a pod's or container's namespaces come from where they do. */
export interface SandboxNamespaces {
  readonly network: "pod" | "host";
  readonly ipc: "pod" | "host";
  readonly uts: "pod" | "host";
  /** `pod`: one for all containers; `container`: one for each. */
  readonly pid: "pod" | "container" | "host";
}

export interface SandboxSpec {
  readonly id: string;
  /** The pod's folder below the state folder; exists, 0700. */
  readonly runDir: string;
  /** Where the network namespace is to be pinned; null with the host's network. */
  readonly netnsPin: string | null;
  readonly namespaces: SandboxNamespaces;
  /** Of the pod's user namespace; undefined: the host's. Only for handlers that offer it. */
  readonly idMap: IdMap | undefined;
  readonly hostname: string;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly shmBytes: number;
  /** Who makes the cgroups of the monitor, the pause process and the containers. */
  readonly cgroupDriver: "cgroupfs" | "systemd";
  /** cgroup of the monitor itself, never the pod's. */
  readonly monitorCgroup: string;
  /** cgroup of a shim that the monitor stands beside. */
  readonly shimCgroup: string;
  /** cgroup of the pod's reaping init, or of its sandbox; made only where there is one. null: it must not be needed. */
  readonly podCgroup: string | null;
  readonly oomScoreAdj: number;
  /** Where the cgroups of the pod's containers are, below each hierarchy's root. */
  readonly cgroupParent: string;
  /** For a container that the runtime makes for the sandbox itself; as the containers get them. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** What must be recorded to find a sandbox again after a restart of the daemon. */
export interface SandboxIdentity {
  readonly id: string;
  readonly runDir: string;
  readonly pid: number;
  /** Field 22 of /proc/<pid>/stat; with the pid it names one process for ever. */
  readonly startTime: string;
}

export type ContainerPhase = "prepared" | "created" | "running" | "exited";

/** What the runtime knows about a container. Fields not reached yet are undefined. */
export interface ContainerStatus {
  readonly id: string;
  readonly phase: ContainerPhase;
  readonly pid: number | undefined;
  readonly startTime: string | undefined;
  readonly startedAtNs: bigint | undefined;
  readonly finishedAtNs: bigint | undefined;
  readonly exitCode: number | undefined;
  /** 0: not ended by a signal. */
  readonly signal: number;
  readonly oomKilled: boolean;
  /** Path below each hierarchy's root. */
  readonly cgroup: string;
}

export interface SandboxStatus {
  /** The reaping init of a shared PID namespace. */
  readonly pausePid: number | undefined;
  readonly containers: readonly ContainerStatus[];
}

export interface ContainerExit {
  readonly containerId: string;
  readonly exitCode: number;
  readonly signal: number;
  readonly oomKilled: boolean;
  /** 0n when it never started. */
  readonly startedAtNs: bigint;
  readonly finishedAtNs: bigint;
}

export type SandboxEvent =
  | ({ readonly type: "exit" } & ContainerExit)
  | { readonly type: "oom"; readonly containerId: string }
  | {
      readonly type: "log-fault";
      readonly containerId: string;
      readonly droppedBytes: number;
      readonly message: string;
    }
  | { readonly type: "pause-exit" };

export interface PrepareRequest {
  readonly containerId: string;
  /** The container's folder; the root filesystem appears at `rootfs` in it, in the container's mount namespace only. */
  readonly bundle: string;
  readonly rootfs: {
    /** Layer folders, top first. In a pod with a user namespace they are shown through its map. */
    readonly lower: readonly string[];
    /** Of that namespace's root. */
    readonly upper: string;
    readonly work: string;
    readonly options: readonly string[];
    /** Where a handler may make a filesystem image of it; the caller removes what is there with the rest. */
    readonly disk?: string;
  };
  /** "name", "name:group", "uid", "uid:gid" or "": the image's or the request's. */
  readonly user: string;
  /** Overrides the group of `user` when not empty; a gid. */
  readonly group: string;
  readonly supplementalGroups: readonly number[];
  readonly groupsPolicy: "merge" | "strict";
}

/** The user a container runs as, resolved inside its root filesystem. */
export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  /** All supplemental groups, with the primary one. */
  readonly additionalGids: readonly number[];
  readonly home: string;
  /** "" when the uid has no line in passwd. */
  readonly username: string;
}

export interface CreateRequest {
  readonly containerId: string;
  readonly bundle: string;
  /** Written to `config.json` in the bundle. */
  readonly spec: OciSpec;
  /** Absolute; null: output is dropped. */
  readonly logPath: string | null;
  /** The folder that `logPath` must stay in, links not followed. */
  readonly logRoot: string | null;
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly stdinOnce: boolean;
  /** Add the pod's /dev/shm. */
  readonly shm: boolean;
}

export interface CreatedContainer {
  readonly pid: number;
  readonly startTime: string;
  readonly cgroup: string;
}

export interface ExecRequest {
  readonly containerId: string;
  /** As the container's own, with another program: what bounds it is the container's, whatever stands here. */
  readonly process: OciProcess;
  readonly tty: boolean;
  readonly stdin: boolean;
  /** The runtime kills the whole exec after this long. 0: never. */
  readonly timeoutMs: number;
}

/** A command without input. */
export type RunRequest = Omit<ExecRequest, "tty" | "stdin">;

export interface AttachRequest {
  readonly containerId: string;
  readonly stdin: boolean;
}

export interface ProcessEnd {
  readonly exitCode: number;
  readonly signal: number;
  readonly timedOut: boolean;
}

/** A command that was run to its end. */
export interface CollectedExec {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  /** Output beyond the cap, that was read and is in neither; 0 when all is there, else some of it may be uncounted. */
  readonly droppedBytes: number;
  readonly end: ProcessEnd;
}

export interface OutputChunk {
  readonly stream: "stdout" | "stderr";
  readonly data: Buffer;
}

/**
 * The streams of an exec'd or attached process. Whoever opens it closes it; closing kills an exec
 * that still runs. A reader that does not read stops the process (back-pressure).
 */
export interface ProcessStreams extends Disposable {
  /** 0 for an attach. */
  readonly pid: number;
  /**
   * Output in order of arrival, to be iterated once. Ends with the process; throws `unavailable`
   * when the connection is lost.
   */
  readonly output: AsyncIterable<OutputChunk>;
  /** Of what still comes nothing is wanted: it is dropped where it arrives. Without it, it is given all the same. */
  discardOutput?(): void;
  /** How the process ended: settles after the last output was received. Rejects `unavailable` when the connection is lost. */
  readonly ended: Promise<ProcessEnd>;
  /** Resolves when there is room for more. After the end it does nothing. */
  writeStdin(data: Uint8Array): Promise<void>;
  endStdin(): void;
  /** Sizes in characters; only with a tty. */
  resize(width: number, height: number): void;
  close(): void;
}

export interface KillRequest {
  readonly containerId: string;
  /** Number of the signal. */
  readonly signal: number;
  /** Every process of the container, not only its first. */
  readonly all: boolean;
}

/** Counters of one network interface since it was made. */
export interface InterfaceCounters {
  readonly name: string;
  readonly rxBytes: bigint;
  readonly rxErrors: bigint;
  readonly txBytes: bigint;
  readonly txErrors: bigint;
}

/** Since the container began. A counter that a runtime does not keep is 0n, a limit it does not tell undefined. */
export interface ContainerUsage {
  readonly cpuUsageNs: bigint;
  readonly memoryUsageBytes: bigint;
  readonly memoryLimitBytes: bigint | undefined;
  readonly inactiveFileBytes: bigint;
  readonly rssBytes: bigint;
  readonly pageFaults: bigint;
  readonly majorPageFaults: bigint;
  readonly swapUsageBytes: bigint | undefined;
  readonly swapLimitBytes: bigint | undefined;
  readonly processes: bigint | undefined;
}

/** The live connection to one sandbox. */
export interface RuntimeSandbox {
  readonly identity: SandboxIdentity;
  /** The sandbox as it was when connected; `onEvent` tells everything after it. */
  readonly initial: SandboxStatus;
  /**
   * Settles once when the connection ended; never rejects. undefined: `close` or `shutdown` was
   * called. Otherwise why: the caller connects again and takes the sandbox for dead when that fails.
   */
  readonly closed: Promise<Error | undefined>;

  state(signal: AbortSignal): Promise<SandboxStatus>;
  /**
   * Called once, when the pod's network is attached and before the first `prepare`: what a runtime needs
   * in a pod beside its containers (a guest, a sandbox process) begins here. On failure the sandbox is shut down.
   * `ips`: the pod's addresses; none with the host's network.
   */
  networkReady(signal: AbortSignal, ips?: readonly string[]): Promise<void>;
  /** @throws `invalid-argument` for a user or group that does not exist. */
  prepare(request: PrepareRequest, signal: AbortSignal): Promise<ResolvedUser>;
  create(request: CreateRequest, signal: AbortSignal): Promise<CreatedContainer>;
  /** When the program runs. @throws `failed-precondition` naming a program that can't be executed. */
  start(containerId: string, signal: AbortSignal): Promise<{ startedAtNs: bigint }>;
  /** @throws `failed-precondition` when it does not run, `not-found` for an unknown id. */
  kill(request: KillRequest, signal: AbortSignal): Promise<void>;
  /** @throws `failed-precondition` when the program is missing or the container does not run. */
  exec(request: ExecRequest, signal: AbortSignal): Promise<ProcessStreams>;
  /**
   * Runs a command without input and terminal to its end. At most `capBytes` of its output (both streams together) are
   * kept; what is beyond is read and dropped, so that the process goes on as it would.
   * @throws as `exec`; `cancelled` or `deadline-exceeded` by `signal` (it is killed), `unavailable`.
   */
  run(request: RunRequest, capBytes: number, signal: AbortSignal): Promise<CollectedExec>;
  attach(request: AttachRequest, signal: AbortSignal): Promise<ProcessStreams>;
  /**
   * A TCP connection to `port` on the loopback of the pod's network namespace, IPv4 first, then IPv6. It is
   * half-open; its caller destroys it. Never reaches the host's network instead, unless the pod has that.
   * @throws `failed-precondition` when nobody listens, `deadline-exceeded` when nobody accepts.
   */
  portForward(port: number, signal: AbortSignal): Promise<Duplex>;
  update(containerId: string, resources: OciResources, signal: AbortSignal): Promise<void>;
  /** Freezes every process of a running container. @throws `unimplemented` where the handler can't. */
  pause(containerId: string, signal: AbortSignal): Promise<void>;
  /** Lets a paused container go on. @throws `failed-precondition` when it is not paused. */
  resume(containerId: string, signal: AbortSignal): Promise<void>;
  /**
   * What a container uses, where its cgroup does not tell: its processes are not this host's (gVisor, VMs).
   * Not there, or undefined: the cgroup tells.
   */
  usage?(containerId: string, signal: AbortSignal): Promise<ContainerUsage | undefined>;
  /**
   * Writes the state of a running container's processes into files below `path`, an empty folder; it runs on, or stays
   * paused. Goes to its end also when the daemon dies. Not there: the handler can't.
   * @throws `failed-precondition` or `unimplemented` in the words of who was to do it.
   */
  checkpoint?(containerId: string, path: string, timeoutMs: number, signal: AbortSignal): Promise<void>;
  reopenLog(containerId: string, signal: AbortSignal): Promise<void>;
  /** Counters of the pod's network namespace. */
  netStats(signal: AbortSignal): Promise<readonly InterfaceCounters[]>;
  /** Kills and removes a container in any state; an unknown one is success. */
  delete(containerId: string, signal: AbortSignal): Promise<void>;
  /** Ends everything of the sandbox, the connection too. */
  shutdown(signal: AbortSignal): Promise<void>;
  /** Drops the connection and leaves the sandbox alone. */
  close(): void;
}

/** What Status tells the kubelet about a handler; pods are scheduled by it. */
export interface RuntimeFeatures {
  readonly recursiveReadOnlyMounts: boolean;
  readonly userNamespaces: boolean;
}

/** What a handler is and can, as asked from its program. */
export interface HandlerInfo {
  readonly features: RuntimeFeatures;
  /** The program's own words, on one line. */
  readonly version: string;
  /** The highest `ociVersion` of a config.json that it takes. */
  readonly ociVersion: string;
  /** What it can't do that the builtin handler can, as sentences for people. */
  readonly missing: readonly string[];
}

export type HandlerType = "builtin" | "oci" | "shim-v2";

export interface RuntimeHandler {
  /** As configured: the key below [runtimes]. */
  readonly name: string;
  readonly type: HandlerType;
  /** Absolute path of its program; "" for the builtin one. */
  readonly program: string;
  /**
   * Asked from the program when it is another file than last time; else from memory, in microseconds.
   * @throws `failed-precondition` when there is no such program or it is not what it should be,
   * `deadline-exceeded` when it does not answer.
   */
  info(signal: AbortSignal): Promise<HandlerInfo>;
  /**
   * Makes a sandbox: its namespaces exist when this returns.
   * `onEvent` is called in order, never before this returned, and must not throw.
   * `onNamespaces` is called once as soon as the namespaces stand: what needs no more than them may begin.
   * On failure nothing of it is left, also no process.
   */
  startSandbox(
    spec: SandboxSpec,
    onEvent: (event: SandboxEvent) => void,
    signal: AbortSignal,
    onNamespaces?: () => void,
  ): Promise<RuntimeSandbox>;
  /**
   * Finds a sandbox that was started earlier, also by an earlier daemon.
   * @throws `not-found` when it is dead: nobody answers, or not the process recorded;
   * `deadline-exceeded` when it does not answer in time; `failed-precondition` for an unknown protocol. After any other
   * error it may live, and answer the next time.
   */
  connect(
    identity: SandboxIdentity,
    onEvent: (event: SandboxEvent) => void,
    signal: AbortSignal,
  ): Promise<RuntimeSandbox>;
  /**
   * Ends the sandbox in this run folder with all its containers, whichever it is: nobody has a record of it.
   * @throws as `connect` does: then what is left can only be killed by its processes.
   */
  abandon(runDir: string, signal: AbortSignal): Promise<void>;
  /** Whether a sandbox of this kind is in this run folder; undefined: its folders have no record of that. */
  hasRecord?(runDir: string): boolean;
  /**
   * Ends what of a sandbox outlives its monitor, which is dead or about to be killed. Nothing is left of it: success.
   * Not there: nothing outlives one.
   * @throws RuntimeError when something stays: asked again, it is tried again.
   */
  endRemains?(runDir: string, signal: AbortSignal): Promise<void>;
}
