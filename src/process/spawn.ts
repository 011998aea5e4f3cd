/**
 * Children of the daemon: one program run to its end, or one held by its pipes.
 * Enters: an absolute path, arguments, the child's whole environment. Leaves: how it ended and what it said.
 * Every child leads a process group of its own; when it ends, or is given up, its whole group is killed.
 * Never: a shell, a search of PATH, the daemon's environment, output beyond the cap in memory.
 */
import { spawn } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { isAbsolute } from "node:path";
import type { Readable, Writable } from "node:stream";
import { RuntimeError, errorKind } from "../errors/runtime-error.ts";
import { setTimeout as delay } from "node:timers/promises";
import { killNow } from "./kill.ts";
import { Spawner } from "./spawner.ts";
import { processAgeMs } from "./stat.ts";
import { processesWith } from "./stray.ts";

export interface LaunchOptions {
  /** The child's whole environment. Default: empty. */
  readonly env?: Readonly<Record<string, string>>;
  /** Default: "/". */
  readonly cwd?: string;
  /** Descriptors of the caller that become 3, 4, … of the child. They stay open here. */
  readonly fds?: readonly number[];
  /** A descriptor for the child's standard error instead of a pipe. */
  readonly stderrFd?: number;
  /** After this long the group is killed and the call fails with `deadline-exceeded`. Default: 30 s. */
  readonly timeoutMs?: number;
  /**
   * The program forks away on purpose: what is left of its group is not killed when it ends by itself, and `run`
   * waits for the end of its output.
   */
  readonly staysBehind?: boolean;
}

export interface RunOptions extends Pick<LaunchOptions, "env" | "timeoutMs" | "staysBehind"> {
  /** Written to the child's standard input, which is then closed. Default: nothing. */
  readonly stdin?: string | Uint8Array;
  /** Cap per stream. More on stdout kills the child; of stderr the rest is dropped. Default: 1 MiB. */
  readonly maxOutputBytes?: number;
  /** Its standard error is appended to this file (made 0600, links not followed) instead of returned. */
  readonly stderrFile?: string;
}

export interface ExitStatus {
  /** Exit code, or null when a signal ended the child. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface RunResult extends ExitStatus {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

/** A running child. Its owner reads the pipes and awaits `ended`. */
export interface Child {
  readonly pid: number;
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** null when `stderrFd` was given. */
  readonly stderr: Readable | null;
  /**
   * How the child ended. Rejects with `deadline-exceeded` or `cancelled` when it was given up, after
   * it is gone. Pipes may still hold what it wrote.
   */
  readonly ended: Promise<ExitStatus>;
  /** Kills the whole group; `ended` then rejects with `reason`. */
  abort(reason: RuntimeError): void;
}

const defaultTimeoutMs = 30_000;
const defaultMaxOutputBytes = 1 << 20;
/** How long output may trail the end of a child whose descendants left its group but kept its pipes. */
const drainMs = 500;
/** Between two looks for programs that are nobody's children any more. */
const lookMs = 100;

/**
 * Starts `file`. The caller must handle `ended`.
 * @throws RuntimeError `invalid-argument` for a path that is not absolute, `failed-precondition` when
 * the program is missing or can't be executed, `resource-exhausted` when the host has no room for it,
 * `cancelled` or `deadline-exceeded` when `signal` is already aborted.
 */
export async function launch(
  file: string,
  args: readonly string[],
  options: LaunchOptions,
  signal: AbortSignal,
): Promise<Child> {
  if (!isAbsolute(file))
    throw new RuntimeError("invalid-argument", `program "${file}" is not an absolute path`);
  if (signal.aborted) throw givenUp(file, signal);
  const child = spawn(file, args, {
    cwd: options.cwd ?? "/",
    env: { ...options.env },
    detached: true, // setsid: its pid names its group
    stdio: ["pipe", "pipe", options.stderrFd ?? "pipe", ...(options.fds ?? [])],
  });
  const pid = child.pid;
  if (pid === undefined) {
    const error = await new Promise<NodeJS.ErrnoException>((resolve) => child.once("error", resolve));
    throw startError(file, error);
  }
  child.on("error", () => {}); // a later kill or message error; `exit` is what counts
  const { stdin, stdout } = child;
  if (!stdin || !stdout) throw new RuntimeError("internal", `program ${file} has no pipes`);
  stdin.on("error", () => {}); // EPIPE: the child ended or does not read; its exit tells

  let reason: RuntimeError | undefined;
  const abort = (why: RuntimeError) => {
    reason ??= why;
    if (child.exitCode === null && child.signalCode === null) killNow(-pid);
  };
  const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
  const timer = setTimeout(() => abort(tooLong(file, timeoutMs)), timeoutMs);
  const onAbort = () => abort(givenUp(file, signal));
  signal.addEventListener("abort", onAbort, { once: true });
  const ended = new Promise<ExitStatus>((resolve, reject) => {
    child.once("exit", (code, exitSignal) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      if (reason || !options.staysBehind) killNow(-pid); // what it left behind in its group
      if (reason) reject(reason);
      else resolve({ code, signal: exitSignal });
    });
  });
  return { pid, stdin, stdout, stderr: child.stderr, ended, abort };
}

let spawner: Spawner | undefined;

/**
 * From now on `run` lets kobako-spawner fork, of which `binary` is the path; `label` stands in its command line.
 * Disposing of the result ends it. @see spawner.ts
 */
export function useSpawner(binary: string, label: string): Disposable {
  const mine = new Spawner(binary, label);
  spawner = mine;
  return {
    [Symbol.dispose]() {
      mine.close();
      if (spawner === mine) spawner = undefined;
    },
  };
}

/**
 * Runs `file` to its end and returns how it ended and what it wrote; any exit code is a result.
 * @throws RuntimeError as `launch`, and `deadline-exceeded`, `cancelled`, `resource-exhausted` (more
 * output than the cap): the child's group is gone by then; `unavailable` when the spawner died meanwhile.
 */
export async function run(
  file: string,
  args: readonly string[],
  options: RunOptions,
  signal: AbortSignal,
): Promise<RunResult> {
  return spawner === undefined
    ? await runForked(file, args, options, signal)
    : await runSpawned(spawner, file, args, options, signal);
}

async function runSpawned(
  by: Spawner,
  file: string,
  args: readonly string[],
  options: RunOptions,
  signal: AbortSignal,
): Promise<RunResult> {
  if (!isAbsolute(file))
    throw new RuntimeError("invalid-argument", `program "${file}" is not an absolute path`);
  if (signal.aborted) throw givenUp(file, signal);
  const { timeoutMs = defaultTimeoutMs, maxOutputBytes: cap = defaultMaxOutputBytes } = options;
  const job = by.begin({
    argv: [file, ...args],
    env: options.env ?? {},
    stdin: options.stdin ?? "",
    stderrFile: options.stderrFile,
    maxOutputBytes: cap,
    staysBehind: options.staysBehind ?? false,
  });
  let reason: RuntimeError | undefined;
  const giveUp = (why: RuntimeError) => {
    reason ??= why;
    job.kill();
  };
  const timer = setTimeout(() => giveUp(tooLong(file, timeoutMs)), timeoutMs);
  const onAbort = () => giveUp(givenUp(file, signal));
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    const outcome = await job.done;
    if (outcome.type === "not-started") throw startError(file, { code: outcome.error });
    if (outcome.type === "too-much") throw tooMuch(file, cap);
    if (reason !== undefined) throw reason;
    return outcome;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

/**
 * Waits for the end of programs of `run` that nobody waits for, because their daemon or its spawner was killed, and
 * of their descendants. `entry` ("NAME=value") of their environment tells them. When one has lasted for `limitMs`, all
 * are killed.
 */
export async function straysEnded(entry: string, limitMs: number, signal: AbortSignal): Promise<void> {
  for (;;) {
    // In this order: a program is there before its spawner is gone.
    const spawners = spawner?.former() ?? [];
    const programs = processesWith(entry);
    if (spawners.length === 0 && programs.length === 0) return;
    for (const pid of spawners) killNow(pid);
    if (programs.some((pid) => processAgeMs(pid) >= limitMs)) for (const pid of programs) killNow(pid);
    await delay(lookMs, undefined, { signal });
  }
}

/** The same without a spawner: for commands, which run one program, and tests. */
async function runForked(
  file: string,
  args: readonly string[],
  options: RunOptions,
  signal: AbortSignal,
): Promise<RunResult> {
  const { stdin = "", maxOutputBytes: cap = defaultMaxOutputBytes, stderrFile, ...launchOptions } = options;
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;
  const log =
    stderrFile === undefined
      ? undefined
      : openSync(stderrFile, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
  let child: Child;
  try {
    child = await launch(
      file,
      args,
      { ...launchOptions, ...(log === undefined ? {} : { stderrFd: log }) },
      signal,
    );
  } finally {
    if (log !== undefined) closeSync(log);
  }
  const stdout = collect(child.stdout, cap, () => child.abort(tooMuch(file, cap)));
  const stderr = child.stderr ? collect(child.stderr, cap, () => {}) : nothing;
  child.stdin.end(stdin);
  try {
    const status = await child.ended;
    if (options.staysBehind) await stdout.closed;
    else await drained([stdout.closed, stderr.closed]);
    // An overflow that showed only after the exit.
    if (stdout.overflowed) throw tooMuch(file, cap);
    return { ...status, stdout: stdout.bytes(), stderr: stderr.bytes() };
  } finally {
    child.stdin.destroy();
    child.stdout.destroy();
    child.stderr?.destroy();
  }
}

function tooMuch(file: string, cap: number): RuntimeError {
  return new RuntimeError("resource-exhausted", `program ${file} wrote more than ${cap} bytes`);
}

function tooLong(file: string, timeoutMs: number): RuntimeError {
  return new RuntimeError("deadline-exceeded", `program ${file} did not end within ${timeoutMs} ms`);
}

interface Collected {
  readonly overflowed: boolean;
  readonly closed: Promise<void>;
  bytes(): Buffer;
}

const nothing: Collected = { overflowed: false, closed: Promise.resolve(), bytes: () => Buffer.alloc(0) };

function collect(stream: Readable, capBytes: number, onOverflow: () => void): Collected {
  const chunks: Buffer[] = [];
  let size = 0;
  let overflowed = false;
  stream.on("data", (chunk: Buffer) => {
    const room = capBytes - size;
    if (room > 0) chunks.push(chunk.length > room ? chunk.subarray(0, room) : chunk);
    size += Math.min(chunk.length, room);
    if (chunk.length > room && !overflowed) {
      overflowed = true;
      onOverflow();
    }
  });
  stream.on("error", () => {});
  const closed = new Promise<void>((resolve) => stream.once("close", resolve));
  return {
    get overflowed() {
      return overflowed;
    },
    closed,
    bytes: () => Buffer.concat(chunks),
  };
}

/** Waits for the pipes to end, but not for descendants that left the group and hold them open. */
async function drained(closed: Promise<void>[]): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, drainMs);
  });
  await Promise.race([Promise.all(closed), late]);
  clearTimeout(timer);
}

function givenUp(file: string, signal: AbortSignal): RuntimeError {
  const kind = errorKind(signal.reason) === "deadline-exceeded" ? "deadline-exceeded" : "cancelled";
  return new RuntimeError(kind, `program ${file} was given up`, { cause: signal.reason });
}

function startError(
  file: string,
  error: { readonly code?: string | undefined; readonly message?: string },
): RuntimeError {
  const code = error.code ?? "";
  const kind = ["EAGAIN", "ENOMEM", "EMFILE", "ENFILE"].includes(code)
    ? "resource-exhausted"
    : "failed-precondition";
  return new RuntimeError(kind, `program ${file} can't be started (${code || error.message})`, {
    cause: error,
  });
}
