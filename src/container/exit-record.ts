import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** How a container's first process ended, as its monitor saw it. */
export interface ExitFact {
  readonly exitCode: number;
  readonly oomKilled: boolean;
  /** 0n: it never ran. */
  readonly startedAtNs: bigint;
  readonly finishedAtNs: bigint;
}

/**
 * Reads the record that the monitor wrote before it told anyone (design: exit records are the truth
 * that a restarted daemon reads). undefined when there is none, or not a whole one.
 */
export async function readExitRecord(bundle: string): Promise<ExitFact | undefined> {
  try {
    const record = JSON.parse(await readFile(join(bundle, "exit.json"), "utf8")) as Record<string, unknown>;
    return {
      exitCode: Number(record.exit_code),
      oomKilled: record.oom_killed === true,
      startedAtNs: BigInt(String(record.started_at_ns)),
      finishedAtNs: BigInt(String(record.finished_at_ns)),
    };
  } catch {
    // Absent, or cut by a machine that stopped: the caller states a reason of its own.
    return undefined;
  }
}
