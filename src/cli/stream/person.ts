/** The person's side of a session: this program's standard streams, raw where a terminal is wanted. */
import { constants } from "node:os";
import type { Context } from "../cli.ts";
import { exitCode } from "../cli-error.ts";
import { type CommandStreams, runCommand } from "./command.ts";
import { DetachKeys, parseDetachKeys } from "./detach-keys.ts";

export interface SessionFlags {
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly detachKeys: string;
}

/** What is asked for: a terminal only where there is one to show it. */
export interface SessionRequest {
  readonly stdin: boolean;
  readonly stdout: true;
  readonly stderr: boolean;
  readonly tty: boolean;
}

export function sessionRequest(context: Context, flags: SessionFlags): SessionRequest {
  const stdin = flags.interactive ?? false;
  let tty = flags.tty ?? false;
  if (tty && stdin && !context.stdin.isTTY) {
    context.stderr.write("kobako: standard input is no terminal: going on without --tty\n");
    tty = false;
  }
  return { stdin, stdout: true, stderr: !tty, tty };
}

/** How a session ended for this program. */
export interface SessionEnd {
  /** What it was told; of one that the person left 0, or 128 and the number of the signal that said so. */
  readonly exitCode: number;
  readonly left: boolean;
}

/** Runs a session with this program's streams. @throws CliError */
export async function runSession(
  context: Context,
  url: string,
  { stdin, tty }: SessionRequest,
  flags: SessionFlags,
): Promise<SessionEnd> {
  const { stdin: input, stdout, stderr } = context;
  const isRaw = tty && stdin;
  const streams: CommandStreams = {
    stdin: stdin ? input : undefined,
    stdout,
    stderr: tty ? undefined : stderr,
    terminal: tty
      ? {
          size: () => ({ width: stdout.columns ?? 80, height: stdout.rows ?? 24 }),
          onResize: (changed) => {
            stdout.on("resize", changed);
            return () => stdout.off("resize", changed);
          },
        }
      : undefined,
    detachKeys: isRaw ? new DetachKeys(parseDetachKeys(flags.detachKeys)) : undefined,
  };
  const stop = new AbortController();
  const stopped = Promise.withResolvers<SessionEnd>();
  const onSignal = (signal: NodeJS.Signals) => {
    stopped.resolve({ exitCode: 128 + constants.signals[signal], left: true });
    stop.abort();
  };
  // A terminal must be as it was before when this program ends.
  if (isRaw) input.setRawMode(true);
  process.once("SIGTERM", onSignal).once("SIGHUP", onSignal);
  try {
    const end = await Promise.race([runCommand(url, streams, stop.signal), stopped.promise]);
    if (end === "detached") return { exitCode: exitCode.ok, left: true };
    return { left: false, ...end };
  } finally {
    process.off("SIGTERM", onSignal).off("SIGHUP", onSignal);
    if (isRaw) input.setRawMode(false);
    input.pause();
  }
}
