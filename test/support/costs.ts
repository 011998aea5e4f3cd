/** What the processes of one daemon hold: memory and descriptors, read from the kernel. */
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import type { TestDaemon } from "./daemon.ts";
import { descriptors, ownProcesses } from "./host.ts";

/** The daemon and its monitors. */
export function runtimePids(daemon: TestDaemon): number[] {
  const monitors = ownProcesses(daemon.scope).filter(({ name }) => name === "kobako-monitor");
  return [daemon.pid, ...monitors.map(({ pid }) => pid)];
}

/**
 * Descriptors of the daemon and its monitors together, without the one of a container's cgroup that is kept for its next
 * exec: it comes soon after an exec was told to have ended.
 */
export function heldDescriptors(daemon: TestDaemon): number {
  return runtimePids(daemon).reduce((sum, pid) => {
    const targets = descriptors(pid);
    const kept = new Set(
      targets.filter((target) => /\/exec-\d+$/.test(target)).map((target) => dirname(target)),
    );
    return sum + targets.length - kept.size;
  }, 0);
}

/** Resident memory of a process in MiB, 0 when it is gone. */
export function rssMib(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

export class MemoryWatch implements Disposable {
  readonly #pids: readonly number[];
  readonly #before: readonly number[];
  readonly #timer: NodeJS.Timeout;
  readonly #peak: number[];

  /** Looks at the resident memory of `pids` ten times a second until disposed of. */
  constructor(pids: readonly number[]) {
    this.#pids = pids;
    this.#before = pids.map(rssMib);
    this.#peak = [...this.#before];
    this.#timer = setInterval(() => this.#look(), 100);
  }

  /** By how many MiB each has grown at most, in the order of the pids. */
  get growth(): number[] {
    this.#look();
    return this.#peak.map((peak, i) => peak - (this.#before[i] ?? 0));
  }

  #look(): void {
    for (const [i, pid] of this.#pids.entries()) this.#peak[i] = Math.max(this.#peak[i] ?? 0, rssMib(pid));
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
