/** What the domain asks of cgroups; paths are those below a hierarchy's root. */
export interface CgroupTree {
  exists(path: string): boolean;
  /** Kills every process in and below the cgroup; one that does not exist is success. */
  killAll(path: string, signal: AbortSignal): Promise<void>;
  /** Removes the cgroup with those below it and waits, until `signal`, for what is still in use; one that does not exist is success. */
  remove(path: string, signal: AbortSignal): Promise<void>;
}

/** Kills what is in the cgroup and removes it; one that does not exist is success. */
export async function endCgroup(cgroups: CgroupTree, path: string, signal: AbortSignal): Promise<void> {
  await cgroups.killAll(path, signal);
  await cgroups.remove(path, signal);
}
