import type { ContainerConfig } from "./config.ts";
import type { ContainerState } from "./state.ts";

/** Who the first process is, as resolved in the root filesystem. */
export interface ContainerUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  readonly home: string;
  readonly username: string;
}

/**
 * Facts of one container. A value: a change makes a new one, so List and Status read without a lock.
 * The configuration is kept without its environment: that may hold secrets, and nothing needs it
 * after the bundle is written.
 */
export interface Container {
  readonly id: string;
  readonly sandboxId: string;
  readonly config: Omit<ContainerConfig, "envs">;
  readonly state: ContainerState;
  readonly createdAtNs: bigint;
  /** 0n: never started. */
  readonly startedAtNs: bigint;
  /** 0n: not finished. */
  readonly finishedAtNs: bigint;
  readonly exitCode: number;
  /** Completed, Error, OOMKilled, StartError, MonitorLost, ...; "" while it lives. */
  readonly reason: string;
  readonly message: string;
  /** The image's id (its config digest). */
  readonly imageId: string;
  /** `name@digest` when the image has one, else the id: CRI ContainerStatus.image_ref. */
  readonly imageRef: string;
  /** Absolute, "" without a log. */
  readonly logPath: string;
  /** Signal that asks it to stop, as "SIGTERM". */
  readonly stopSignal: string;
  readonly user: ContainerUser | undefined;
  readonly bundle: string;
  /** Of init on the host; 0: none. */
  readonly pid: number;
  readonly startTime: string;
  /** Path below a hierarchy's root. */
  readonly cgroup: string;
  readonly fingerprint: Readonly<Record<string, string>>;
}

/** Name of the container within its sandbox: what makes two requests the same (CRI, ContainerMetadata). */
export function containerName(sandboxId: string, metadata: { name: string; attempt: number }): string {
  return `${sandboxId}_${metadata.name}_${metadata.attempt}`;
}
