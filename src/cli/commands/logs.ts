/** kobako logs: reads the log file itself, as a kubelet does. */
import { once } from "node:events";
import { ContainerState, runtimeService } from "../../../cri-api/index.ts";
import type { Context } from "../cli.ts";
import { CliError, exitCode } from "../cli-error.ts";
import { Daemon, StatusError } from "../client.ts";
import { findContainer } from "../find.ts";
import { type LogEntry, readLog } from "../log-file.ts";

interface LogFlags {
  readonly follow?: boolean;
  readonly tail?: string;
  readonly since?: string;
  readonly timestamps?: boolean;
}

export async function logs(context: Context, ref: string, flags: LogFlags): Promise<void> {
  const tailLines = flags.tail === undefined || flags.tail === "all" ? undefined : count(flags.tail);
  const sinceMs = flags.since === undefined ? undefined : parseSince(flags.since, Date.now());
  using daemon = new Daemon(context.address);
  const { id } = await findContainer(daemon, ref);
  const { status } = await daemon.call(runtimeService.containerStatus, { containerId: id });
  if (!status?.logPath) throw new CliError(`container ${ref} keeps no log: its pod has no log folder`);
  const follow = flags.follow ? { ended: () => hasEnded(daemon, id) } : undefined;
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  try {
    for await (const entry of readLog(status.logPath, { tailLines, sinceMs, follow }, stop.signal))
      await write(context, entry, flags.timestamps ?? false);
  } catch (error) {
    if (stop.signal.aborted) return;
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT")
      throw new CliError(
        `log ${status.logPath} is not there: the container has not started, or it was removed`,
      );
    if (code === "EACCES") throw new CliError(`no permission to read ${status.logPath}: run this as root`);
    throw error;
  }
}

async function hasEnded(daemon: Daemon, containerId: string): Promise<boolean> {
  try {
    const { status } = await daemon.call(runtimeService.containerStatus, { containerId });
    return (
      status?.state !== ContainerState.CONTAINER_RUNNING && status?.state !== ContainerState.CONTAINER_CREATED
    );
  } catch (error) {
    if (error instanceof StatusError && error.status === "NOT_FOUND") return true;
    // A daemon that is being restarted: the log goes on without it.
    if (error instanceof CliError && error.exitCode === exitCode.unreachable) return false;
    throw error;
  }
}

async function write(context: Context, entry: LogEntry, timestamps: boolean): Promise<void> {
  const out = entry.stream === "stderr" ? context.stderr : context.stdout;
  if (timestamps && entry.time !== "") out.write(`${entry.time} `);
  if (!out.write(entry.text)) await once(out, "drain");
}

function count(text: string): number {
  if (!/^\d{1,9}$/.test(text))
    throw new CliError(`--tail ${text} must be a number of lines or "all"`, exitCode.usage);
  return Number(text);
}

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** "90s", "1h30m": so long before `nowMs`; else a time as Date reads it. Milliseconds since 1970. */
export function parseSince(text: string, nowMs: number): number {
  if (/^(\d+(ms|[smhd]))+$/.test(text)) {
    const parts = text.matchAll(/(\d+)(ms|[smhd])/g);
    return nowMs - [...parts].reduce((sum, [, n, unit]) => sum + Number(n) * (unitsMs[unit ?? ""] ?? 0), 0);
  }
  const at = /^\d{4}-/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at))
    throw new CliError(
      `--since ${text} must be a duration such as 5m or a time such as 2026-01-02T15:04:05Z`,
      exitCode.usage,
    );
  return at;
}
