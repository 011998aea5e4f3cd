/** kobako logs: reads the log file itself, as a kubelet does. */
import { once } from "node:events";
import { type Container, ContainerState, runtimeService } from "../../../cri-api/index.ts";
import type { Context } from "../cli.ts";
import { CliError, exitCode } from "../cli-error.ts";
import { Daemon, StatusError } from "../client.ts";
import { findContainer, findPod } from "../find.ts";
import { type LogEntry, readLog } from "../log-file.ts";
import { byTime, wholeLines } from "../log-merge.ts";
import { printable, shortId } from "../output.ts";

interface LogFlags {
  readonly follow?: boolean;
  readonly previous?: boolean;
  readonly pod?: string;
  readonly tail?: string;
  readonly since?: string;
  readonly timestamps?: boolean;
}

/** A container whose log is shown; with several of them each line begins with the name. */
interface Source {
  readonly id: string;
  readonly name: string;
  readonly path: string;
}

export async function logs(context: Context, refs: readonly string[], flags: LogFlags): Promise<void> {
  const tailLines = flags.tail === undefined || flags.tail === "all" ? undefined : count(flags.tail);
  const sinceMs = flags.since === undefined ? undefined : parseSince(flags.since, Date.now());
  if (refs.length > 0 === (flags.pod !== undefined))
    throw new CliError("name containers, or a pod with --pod", exitCode.usage);
  using daemon = new Daemon(context.address);
  const sources = await findSources(daemon, refs, flags);
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  const read = ({ id, path }: Source) => {
    const follow = flags.follow ? { ended: () => hasEnded(daemon, id) } : undefined;
    return readLog(path, { tailLines, sinceMs, follow }, stop.signal);
  };
  const [only] = sources;
  try {
    if (sources.length === 1 && only !== undefined) {
      for await (const entry of explained(only, read(only))) await write(context, "", entry, flags);
      return;
    }
    const lines = sources.map((source) => ({ source, lines: wholeLines(explained(source, read(source))) }));
    if (flags.follow)
      await Promise.all(
        lines.map(async ({ source, lines: from }) => {
          for await (const entry of from) await write(context, `[${source.name}] `, entry, flags);
        }),
      );
    else
      for await (const { source, entry } of byTime(lines))
        await write(context, `[${source.name}] `, entry, flags);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    stop.abort();
  }
}

async function findSources(daemon: Daemon, refs: readonly string[], flags: LogFlags): Promise<Source[]> {
  const { containers } = await daemon.call(runtimeService.listContainers, {});
  let found: readonly Container[];
  if (flags.pod === undefined) found = await Promise.all(refs.map((ref) => findContainer(daemon, ref)));
  else {
    const { id } = await findPod(daemon, flags.pod);
    // Of each name the last attempt.
    found = containers.filter(
      (one) =>
        one.podSandboxId === id &&
        attemptsOf(one, containers).every((other) => attempt(other) <= attempt(one)),
    );
    if (found.length === 0) throw new CliError(`pod ${flags.pod} has no containers`);
  }
  if (flags.previous) found = found.map((one) => previousOf(one, containers));
  const named = found.map(({ metadata }) => metadata?.name ?? "");
  return await Promise.all(
    found.map(async ({ id }, i) => {
      const { status } = await daemon.call(runtimeService.containerStatus, { containerId: id });
      const name = named[i] ?? "";
      if (!status?.logPath)
        throw new CliError(`container ${printable(name)} keeps no log: its pod has no log folder`);
      // Two pods may have containers of one name.
      const isAmbiguous = named.filter((other) => other === name).length > 1;
      return { id, name: printable(isAmbiguous ? `${name} ${shortId(id)}` : name), path: status.logPath };
    }),
  );
}

function attempt({ metadata }: Container): number {
  return metadata?.attempt ?? 0;
}

/** All that one name has had in its pod. */
function attemptsOf(container: Container, all: readonly Container[]): readonly Container[] {
  return all.filter(
    (other) =>
      other.podSandboxId === container.podSandboxId && other.metadata?.name === container.metadata?.name,
  );
}

/** @throws CliError when there was none, or it was removed */
function previousOf(container: Container, all: readonly Container[]): Container {
  const before = attemptsOf(container, all).filter((other) => attempt(other) < attempt(container));
  const last = before.toSorted((a, b) => attempt(b) - attempt(a))[0];
  if (last === undefined)
    throw new CliError(
      `container ${printable(container.metadata?.name ?? "")} has no previous attempt: it has not been restarted, or that one was removed`,
    );
  return last;
}

/** The same entries; what keeps a log from being read is said by its path. */
async function* explained(source: Source, entries: AsyncIterable<LogEntry>): AsyncGenerator<LogEntry> {
  try {
    yield* entries;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT")
      throw new CliError(`log ${source.path} is not there: the container has not started, or it was removed`);
    if (code === "EACCES") throw new CliError(`no permission to read ${source.path}: run this as root`);
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

async function write(context: Context, prefix: string, entry: LogEntry, flags: LogFlags): Promise<void> {
  const out = entry.stream === "stderr" ? context.stderr : context.stdout;
  const time = flags.timestamps && entry.time !== "" ? `${entry.time} ` : "";
  const text = prefix + time === "" ? entry.text : Buffer.concat([Buffer.from(prefix + time), entry.text]);
  if (!out.write(text)) await once(out, "drain");
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
