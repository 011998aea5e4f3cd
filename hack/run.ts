/** Running a program from hack/: output collected or shown, never through a shell. */
import { spawn } from "node:child_process";

export interface Finished {
  /** 128 + n for signal n's sake is not needed here: a signal counts as 1. */
  readonly code: number;
  /** stdout and stderr in the order of arrival; empty with `show`. */
  readonly output: string;
}

export interface Options {
  readonly cwd?: string;
  readonly env?: Record<string, string | undefined>;
  readonly show?: boolean;
  readonly input?: string;
  /** Ends the program. */
  readonly signal?: AbortSignal;
}

export async function run(command: readonly string[], o: Options = {}): Promise<Finished> {
  const [file = "", ...args] = command;
  const child = spawn(file, args, {
    cwd: o.cwd,
    env: { ...process.env, ...o.env },
    ...(o.signal === undefined ? {} : { signal: o.signal }),
    stdio: [
      o.input === undefined ? "ignore" : "pipe",
      o.show ? "inherit" : "pipe",
      o.show ? "inherit" : "pipe",
    ],
  });
  const chunks: Buffer[] = [];
  child.stdout?.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.stdin?.end(o.input);
  const code = await new Promise<number>((resolve, reject) => {
    child.once("error", (cause) =>
      reject(o.signal?.aborted ? o.signal.reason : new Error(`${file} cannot be started`, { cause })),
    );
    child.once("close", (status) => resolve(status ?? 1));
  });
  return { code, output: Buffer.concat(chunks).toString("utf8") };
}

/** As `run`, but a failure throws with the output. Returns the output. */
export async function must(command: readonly string[], o: Options = {}): Promise<string> {
  const { code, output } = await run(command, o);
  if (code !== 0) throw new Error(`${command.join(" ")}: exit code ${code}\n${output}`);
  return output;
}
