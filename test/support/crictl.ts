/** crictl v1.36.0 as its users have it, built from its module by hack/tools. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { within } from "./slowness.ts";

const execute = promisify(execFile);
let path: Promise<string> | undefined;

/** The program's path; builds it the first time (minutes). */
export function crictlPath(): Promise<string> {
  path ??= execute(join(import.meta.dirname, "../../hack/tools"), ["crictl"]).then(({ stdout }) =>
    stdout.trim(),
  );
  return path;
}

export interface CrictlResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

/** Runs `crictl ARGS` against `socket` and returns also what failed. */
export async function tryCrictl(socket: string, args: readonly string[]): Promise<CrictlResult> {
  const endpoint = `unix://${socket}`;
  const program = await crictlPath();
  return await new Promise((resolve) => {
    execFile(
      program,
      [
        "--config=/dev/null",
        `--runtime-endpoint=${endpoint}`,
        `--image-endpoint=${endpoint}`,
        `--timeout=${within(60)}s`,
        ...args,
      ],
      { maxBuffer: 64 << 20, timeout: within(120_000), killSignal: "SIGKILL" },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
        resolve({ stdout, stderr, code });
      },
    );
  });
}

/** As `tryCrictl`, but a failure throws. Returns stdout without the last line's end. */
export async function crictl(socket: string, ...args: readonly string[]): Promise<string> {
  const { stdout, stderr, code } = await tryCrictl(socket, args);
  if (code !== 0) throw new Error(`crictl ${args.join(" ")}: exit code ${code}\n${stderr}`);
  return stdout.trimEnd();
}
