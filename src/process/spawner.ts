/**
 * kobako-spawner, our small process that forks for us: see native/spawner/main.c, also for the frames.
 * A fork of the daemon itself blocks it for 1 to 5 ms and makes every page it then touches fault; a frame to a small
 * process costs microseconds.
 * Enters: a program, its input. Leaves: how it ended and what it wrote. Keeps: one child process, started with the
 * first program and again when it has died; it ends with us.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { constants } from "node:os";
import { getSystemErrorName } from "node:util";
import { RuntimeError } from "../errors/runtime-error.ts";
import { othersOf } from "./stray.ts";

export interface Order {
  /** The program's absolute path, then its arguments. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string | Uint8Array;
  /** What is appended to with its standard error; undefined: it is collected. */
  readonly stderrFile: string | undefined;
  readonly maxOutputBytes: number;
  /** What is left of its group when it ends is not killed, and its output is waited for to its end. */
  readonly staysBehind: boolean;
}

export type Outcome =
  | {
      readonly type: "ended";
      readonly code: number | null;
      readonly signal: NodeJS.Signals | null;
      readonly stdout: Buffer;
      readonly stderr: Buffer;
    }
  | { readonly type: "not-started"; readonly error: string }
  | { readonly type: "too-much" };

const wordBytes = 4;
const opRun = 0;
const opKill = 1;
const flagStaysBehind = 1;
/** Fields of a run after its length: id, op, flags, max_output, argc, envc, stdin_len. */
const runWords = 7;
/** Fields of an answer after its length: id, how, status, stdout_len, stderr_len. */
const answerWords = 5;
const howEnded = 0;
const howNotStarted = 1;

const signalNames = new Map(Object.entries(constants.signals).map(([name, n]) => [n, name]));

export class Spawner {
  readonly #binary: string;
  readonly #label: string;
  readonly #waiting = new Map<number, { resolve(o: Outcome): void; reject(e: Error): void }>();
  #child: ChildProcess | undefined;
  #lastId = 0;
  #unread: Buffer[] = [];
  #unreadBytes = 0;

  /** `label` stands in its command line, so that people see whose it is. */
  constructor(binary: string, label: string) {
    this.#binary = binary;
    this.#label = label;
  }

  /**
   * Starts the program. `kill` ends its whole group; `done` settles when it has ended and its output is read.
   * `done` rejects with `unavailable` when the spawner dies meanwhile.
   */
  begin(order: Order): { kill(): void; done: Promise<Outcome> } {
    const child = this.#open();
    this.#lastId = (this.#lastId + 1) >>> 0;
    const id = this.#lastId;
    const done = new Promise<Outcome>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
    });
    if (this.#waiting.size === 1) this.#hold(child, true);
    child.stdin?.write(encodeRun(id, order));
    return {
      done,
      kill: () => {
        if (this.#waiting.has(id)) child.stdin?.write(words(2 * wordBytes, id, opKill));
      },
    };
  }

  /** Spawners of former daemons that have not ended yet: they may start what they were told. */
  former(): number[] {
    return othersOf(this.#binary, this.#label, this.#child?.pid);
  }

  /** Programs under way are left to their own end. */
  close(): void {
    this.#child?.stdin?.end();
  }

  #open(): ChildProcess {
    if (this.#child !== undefined) return this.#child;
    const child = spawn(this.#binary, [this.#label], {
      cwd: "/",
      env: {},
      detached: true,
      stdio: ["pipe", "pipe", "inherit"],
    });
    const gone = (error?: Error) => this.#gone(child, error);
    child.on("error", gone);
    child.once("close", () => gone());
    child.stdin?.on("error", () => {}); // EPIPE: its end tells
    child.stdout?.on("data", (bytes: Buffer) => this.#read(bytes));
    this.#child = child;
    return child;
  }

  /** While nothing is under way it does not keep the daemon alive. */
  #hold(child: ChildProcess, busy: boolean): void {
    for (const one of [child, child.stdin, child.stdout] as readonly { ref?(): void; unref?(): void }[]) {
      if (busy) one.ref?.();
      else one.unref?.();
    }
  }

  #gone(child: ChildProcess, error: Error | undefined): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    this.#unread = [];
    this.#unreadBytes = 0;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting)
      reject(new RuntimeError("unavailable", `${this.#binary} has died`, { cause: error }));
  }

  #read(bytes: Buffer): void {
    this.#unread.push(bytes);
    this.#unreadBytes += bytes.length;
    // Answers come in one or two pieces; joined only when the one under way is whole.
    let all = this.#unread.length === 1 ? bytes : undefined;
    for (;;) {
      const head = all ?? Buffer.concat(this.#unread);
      if (head.length < wordBytes) break;
      const end = wordBytes + readWord(head, 0);
      if (head.length < end) {
        all = head;
        break;
      }
      this.#take(head.subarray(wordBytes, end));
      all = head.subarray(end);
      this.#unread = [all];
      if (all.length === 0) break;
    }
    if (all !== undefined) this.#unread = all.length === 0 ? [] : [all];
  }

  #take(frame: Buffer): void {
    const [id = 0, how = 0, status = 0, stdoutBytes = 0] = Array.from({ length: answerWords }, (_, i) =>
      readWord(frame, i * wordBytes),
    );
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (this.#waiting.size === 0 && this.#child !== undefined) this.#hold(this.#child, false);
    if (waiting === undefined) return;
    const body = frame.subarray(answerWords * wordBytes);
    if (how === howEnded) {
      const signal = status & 0x7f;
      waiting.resolve({
        type: "ended",
        code: signal === 0 ? (status >> 8) & 0xff : null,
        signal: signal === 0 ? null : ((signalNames.get(signal) ?? "SIGKILL") as NodeJS.Signals),
        // Copied: what holds on to them must not hold on to the whole read.
        stdout: Buffer.from(body.subarray(0, stdoutBytes)),
        stderr: Buffer.from(body.subarray(stdoutBytes)),
      });
    } else if (how === howNotStarted) {
      waiting.resolve({ type: "not-started", error: getSystemErrorName(-status) });
    } else {
      waiting.resolve({ type: "too-much" });
    }
  }
}

/** Native byte order: it never leaves the machine, and we run on little-endian ones. */
function readWord(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at);
}

function words(...values: number[]): Buffer {
  const bytes = Buffer.allocUnsafe(values.length * wordBytes);
  for (const [i, value] of values.entries()) bytes.writeUInt32LE(value, i * wordBytes);
  return bytes;
}

function encodeRun(id: number, order: Order): Buffer {
  const env = Object.entries(order.env).map(([name, value]) => `${name}=${value}`);
  const strings = [...order.argv, ...env, order.stderrFile ?? ""];
  // A NUL would end a string early and shift all that follow.
  if (strings.some((text) => text.includes("\0")))
    throw new RuntimeError("invalid-argument", `program ${order.argv[0]}: an argument holds a NUL byte`);
  const text = Buffer.from(`${strings.join("\0")}\0`);
  const stdin = typeof order.stdin === "string" ? Buffer.from(order.stdin) : order.stdin;
  const length = runWords * wordBytes + text.length + stdin.length;
  const flags = order.staysBehind ? flagStaysBehind : 0;
  const { argv, maxOutputBytes } = order;
  const head = words(length, id, opRun, flags, maxOutputBytes, argv.length, env.length, stdin.length);
  return Buffer.concat([head, text, stdin]);
}
