/** A command in a running container, run to its end. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { RuntimeError } from "../errors/runtime-error.ts";
import type { OciProcess, OciSpec } from "../oci/runtime-spec.ts";
import { sayCut } from "../runtime/exec-output.ts";
import type { CollectedExec, RuntimeSandbox } from "../runtime/handler.ts";
import type { Container } from "./container.ts";

/** gRPC's limit at the client is 16 MiB; the rest of the message needs some of it. */
const maxOutputBytes = (16 << 20) - (64 << 10);

/** Base processes by container id: what an exec takes from its container. */
export class ExecBases {
  readonly #bases = new Map<string, OciProcess>();

  /** To be told of each container that is made: reading its process back would cost the first exec 0.2 ms. */
  made(containerId: string, process: OciProcess): void {
    this.#bases.set(containerId, process);
  }

  /**
   * The process of the container's own config.json. A container of a former daemon has it read, once: the bundle does
   * not change. Synchronously: it lies in the run folder, a small tmpfs.
   */
  get(container: Container): OciProcess {
    const known = this.#bases.get(container.id);
    if (known !== undefined) return known;
    const path = join(container.bundle, "config.json");
    let spec: OciSpec;
    try {
      spec = JSON.parse(readFileSync(path, "utf8")) as OciSpec;
    } catch (cause) {
      throw new RuntimeError("internal", `bundle of container ${container.id} is unreadable`, {
        subject: { path },
        cause,
      });
    }
    const base = spec.process;
    if (base === undefined)
      throw new RuntimeError("internal", `bundle of container ${container.id} has no process`, {
        subject: { path },
      });
    this.#bases.set(container.id, base);
    return base;
  }

  forget(containerId: string): void {
    this.#bases.delete(containerId);
  }
}

/**
 * The process of an exec of `args`: as the container's own, with another program.
 * @throws RuntimeError `invalid-argument` without a program.
 */
export function execProcess(
  container: Container,
  bases: ExecBases,
  args: readonly string[],
  tty: boolean,
): OciProcess {
  if (args[0] === undefined || args[0] === "")
    throw new RuntimeError("invalid-argument", "cmd is empty: name the program to run");
  if (args.some((arg) => arg.includes("\0")))
    throw new RuntimeError("invalid-argument", "cmd holds a NUL byte");
  const base = bases.get(container);
  const env = base.env ?? [];
  // A terminal has a type; what the container says of it comes first.
  const typed = !tty || env.some((entry) => entry.startsWith("TERM="));
  return { ...base, args: [...args], terminal: tty, env: typed ? env : [...env, "TERM=xterm"] };
}

/**
 * Runs `args` in the container and returns its output, at most 16 MiB less 64 KiB of it; what is dropped is said in the
 * last line of stderr.
 * `timeoutMs` 0: no limit; after it the whole exec is killed.
 * @throws RuntimeError `deadline-exceeded` after the timeout, `failed-precondition` when the program
 * can't be executed, `invalid-argument` without one.
 */
export async function execSync(
  target: { container: Container; connection: RuntimeSandbox },
  bases: ExecBases,
  args: readonly string[],
  timeoutMs: number,
  signal: AbortSignal,
): Promise<CollectedExec> {
  const { container, connection } = target;
  const process = execProcess(container, bases, args, false);
  const result = await connection.run(
    { containerId: container.id, process, timeoutMs },
    maxOutputBytes,
    signal,
  );
  if (result.end.timedOut) {
    throw new RuntimeError(
      "deadline-exceeded",
      `command ${JSON.stringify(args[0]?.slice(0, 80))} timed out after ${timeoutMs / 1000} s and was killed`,
    );
  }
  return sayCut(result);
}
