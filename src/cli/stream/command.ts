/** An exec or attach: joins the streams of a session with those of this program. */
import { once } from "node:events";
import type { Duplex, Readable, Writable } from "node:stream";
import { CliError } from "../cli-error.ts";
import { StreamConnection } from "./connection.ts";
import type { DetachKeys } from "./detach-keys.ts";

export interface TerminalSize {
  readonly width: number;
  readonly height: number;
}

/** What of a person's terminal a session needs. */
export interface Terminal {
  size(): TerminalSize;
  /** Calls `changed` at each change of the size. Returns what ends that. */
  onResize(changed: () => void): () => void;
}

export interface CommandStreams {
  /** Undefined: the session was asked for without. */
  readonly stdin: Readable | undefined;
  readonly stdout: Writable;
  /** Undefined with a terminal. */
  readonly stderr: Writable | undefined;
  readonly terminal: Terminal | undefined;
  readonly detachKeys: DetachKeys | undefined;
}

/** How a session ended: by its own end, with the exit code that it was told, or by the person's leaving. */
export type CommandEnd = { readonly exitCode: number } | "detached";

/** Newest protocol of remote commands over SPDY; all of ours speak it. */
const protocol = "v4.channel.k8s.io";
const maxStatusBytes = 64 << 10;

/** Serves until the session has ended. @throws CliError when it could not begin or was lost */
export async function runCommand(url: string, o: CommandStreams, signal: AbortSignal): Promise<CommandEnd> {
  using connection = await StreamConnection.open(url, protocol, signal);
  const open = (streamType: string) => connection.stream({ streamtype: streamType });
  const error = open("error").end();
  const stdin = o.stdin === undefined ? undefined : open("stdin");
  const stdout = open("stdout").end();
  const stderr = o.stderr === undefined ? undefined : open("stderr").end();
  const resize = o.terminal === undefined ? undefined : open("resize");
  const stopSizes =
    o.terminal === undefined || resize === undefined ? undefined : sendSizes(o.terminal, resize);
  const left = Promise.withResolvers<"detached">();
  const ended = Promise.all([
    readStatus(error),
    copyOutput(stdout, o.stdout),
    stderr === undefined || o.stderr === undefined ? undefined : copyOutput(stderr, o.stderr),
  ]);
  if (o.stdin !== undefined && stdin !== undefined)
    void copyInput(o.stdin, stdin, o.detachKeys).then((detached) => {
      if (detached) left.resolve("detached");
    });
  try {
    const result = await Promise.race([ended, left.promise]);
    return result === "detached" ? result : { exitCode: exitCodeOf(result[0]) };
  } catch (fault) {
    if (fault instanceof CliError) throw fault;
    if (signal.aborted) throw new CliError("given up");
    throw new CliError(`the session was lost: ${fault instanceof Error ? fault.message : fault}`);
  } finally {
    ended.catch(() => {});
    stopSizes?.();
  }
}

function sendSizes(terminal: Terminal, resize: Duplex): () => void {
  const send = () => {
    const { width, height } = terminal.size();
    resize.write(JSON.stringify({ Width: width, Height: height }));
  };
  send();
  return terminal.onResize(send);
}

/** Until the input ends, or nobody takes it any more; true: the detach keys were typed. Never rejects. */
async function copyInput(from: Readable, to: Duplex, keys: DetachKeys | undefined): Promise<boolean> {
  try {
    for await (const piece of from) {
      const { bytes, detached } = keys?.feed(piece as Buffer) ?? { bytes: piece as Buffer, detached: false };
      if (to.destroyed) return false;
      if (bytes.length > 0 && !to.write(bytes)) await room(to);
      if (detached) return true;
    }
    to.end();
  } catch {
    // The session has ended, or what we read from broke: there is no more input.
    to.end();
  }
  return false;
}

/** Resolves when `to` takes more, or is over. */
async function room(to: Duplex): Promise<void> {
  const waiting = new AbortController();
  const { signal } = waiting;
  try {
    await Promise.race([once(to, "drain", { signal }), once(to, "close", { signal })]);
  } finally {
    waiting.abort(); // the other one would listen for ever
  }
}

async function copyOutput(from: Duplex, to: Writable): Promise<void> {
  for await (const piece of from) if (!to.write(piece)) await once(to, "drain");
}

async function readStatus(error: Duplex): Promise<string> {
  let text = "";
  for await (const piece of error) {
    text += String(piece);
    if (text.length > maxStatusBytes) throw new CliError("the daemon's status is too long");
  }
  return text;
}

interface Status {
  readonly status?: unknown;
  readonly message?: unknown;
  readonly reason?: unknown;
  readonly details?: {
    readonly causes?: readonly { readonly reason?: unknown; readonly message?: unknown }[];
  };
}

/** @throws CliError when the command did not run */
function exitCodeOf(text: string): number {
  let status: Status | null = null;
  try {
    status = JSON.parse(text) as Status | null;
  } catch {
    // Told below.
  }
  if (status?.status === "Success") return 0;
  const cause = status?.details?.causes?.find(({ reason }) => reason === "ExitCode");
  const code = Number(cause?.message);
  if (status?.reason === "NonZeroExitCode" && Number.isInteger(code) && code > 0 && code < 256) return code;
  const message = typeof status?.message === "string" ? status.message : "the session ended without a status";
  throw new CliError(message.replace(/^Internal error occurred: /, ""));
}
